// table.ts (preempt): how warnings, terms and owed calls hang on grants and waits. Called by apply and by the lock's table.
//   P4. A warning, and what was agreed with a request, goes with its grant or wait, and from the wait to the grant it becomes.
//   P5. A countdown begins anew, in full, when a server starts, but no more than three times.
//   P7. What a warning came to is kept while it binds what may be done: a day at most, and the last JUDGEMENTS_MAX of a partition.
import { addCompensation, addJudgement, addTerms, addWarning } from "../partition/hash.ts";
import type {
  CompensationRow,
  Grant,
  Judgement,
  JudgementKind,
  PartitionState,
  Terms,
  Wait,
  Warning,
} from "../partition/state.ts";

const RESTARTS_MAX = 3;
/** The longest that anything follows from a judgement: a cool-down of a day. */
const JUDGED_MS = 86_400_000;
const JUDGEMENTS_MAX = 1_000;

export function changeWarning(state: PartitionState, warning: Warning, mutate: () => void): void {
  const { endsAtMs } = warning;
  addWarning(state, -1, warning);
  mutate();
  addWarning(state, 1, warning);
  if (warning.endsAtMs !== endsAtMs) arm(state, warning); // Two entries for one moment would end it twice.
}

/** Also for snapshots. */
export function insertWarning(state: PartitionState, warning: Warning): void {
  state.warnings.set(warning.id, warning);
  state.warningByTarget.set(warning.target, warning);
  addWarning(state, 1, warning);
  arm(state, warning);
}

function arm(state: PartitionState, warning: Warning): void {
  state.deadlines.add({ kind: "warning", atMs: warning.endsAtMs, order: warning.id, warning });
}

export function insertTerms(state: PartitionState, target: Grant | Wait, terms: Terms): void {
  state.termsByTarget.set(target, terms);
  addTerms(state, 1, target, terms);
}

/** The warning of a grant or wait that ends, if it has one. */
export function dropWarning(state: PartitionState, target: Grant | Wait): void {
  const warning = state.warningByTarget.get(target);
  if (warning === undefined) return;
  addWarning(state, -1, warning);
  warning.endsAtMs = Number.POSITIVE_INFINITY; // So that its entry among the deadlines is not true any more.
  state.warnings.delete(warning.id);
  state.warningByTarget.delete(target);
}

/** Everything that hangs on a grant or wait that goes. Called by the table. */
export function dropTarget(state: PartitionState, target: Grant | Wait): void {
  if (state.warnings.size > 0) dropWarning(state, target);
  const terms = state.termsByTarget.size > 0 ? state.termsByTarget.get(target) : undefined;
  if (terms === undefined) return;
  addTerms(state, -1, target, terms);
  state.termsByTarget.delete(target);
}

/** P4. Called between the making of the grant and the end of its wait. */
export function handOn(state: PartitionState, wait: Wait, grant: Grant): void {
  const terms = state.termsByTarget.get(wait);
  if (terms !== undefined) {
    addTerms(state, -1, wait, terms);
    state.termsByTarget.delete(wait);
    insertTerms(state, grant, terms);
  }
  const warning = state.warningByTarget.get(wait);
  if (warning === undefined || warning.phase === "passed_over") return; // It made room, and starts afresh.
  state.warningByTarget.delete(wait);
  state.warningByTarget.set(grant, warning);
  changeWarning(state, warning, () => {
    warning.target = grant;
    warning.endsAtMs = state.clockMs + warning.countdownMs + warning.extendedMs;
  });
}

/** Notes the call that a lost grant asked for. Called before the grant goes. */
export function owe(state: PartitionState, grant: Grant, why: CompensationRow["why"]): void {
  const terms = state.termsByTarget.size > 0 ? state.termsByTarget.get(grant) : undefined;
  if (terms?.compensation === undefined) return;
  insertCompensation(state, {
    ...terms.compensation,
    id: state.nextCompensation,
    element: grant.element.name,
    token: grant.token,
    session: grant.session.id,
    principal: grant.session.principal,
    why,
  });
  state.nextCompensation += 1;
}

/** Also for snapshots. */
export function insertCompensation(state: PartitionState, row: CompensationRow): void {
  state.compensations.set(row.id, row);
  addCompensation(state, 1, row);
}

/** What came of a grant's warning when the grant ended by its release. Called before the grant goes. */
export function judgeRelease(state: PartitionState, grant: Grant): void {
  const warning = state.warnings.size > 0 ? state.warningByTarget.get(grant) : undefined;
  if (warning?.phase === "warned" && state.clockMs <= warning.endsAtMs) judge(state, warning, grant, "wrong");
}

/** P7 */
export function judge(state: PartitionState, { id }: Warning, { element, session }: Grant, kind: JudgementKind): void {
  for (let oldest = state.judgements[0]; oldest !== undefined; oldest = state.judgements[0]) {
    if (state.clockMs - oldest.atMs <= JUDGED_MS && state.judgements.length < JUDGEMENTS_MAX) break;
    addJudgement(state, -1, oldest);
    state.judgements.shift();
  }
  const { principal, client } = session;
  insertJudgement(state, { kind, warning: id, principal, client, element: element.name, atMs: state.clockMs });
}

/** Also for snapshots. */
export function insertJudgement(state: PartitionState, row: Judgement): void {
  state.judgements.push(row);
  addJudgement(state, 1, row);
}

/** P5 */
export function restartCountdowns(state: PartitionState): void {
  for (const warning of state.warnings.values()) {
    if (warning.endsAtMs === Number.POSITIVE_INFINITY || warning.restarts >= RESTARTS_MAX) continue;
    changeWarning(state, warning, () => {
      warning.restarts += 1;
      warning.endsAtMs = state.clockMs + warning.countdownMs + warning.extendedMs;
    });
  }
}

/** Whether a call that is owed keeps the element from being granted. */
export function isCompensating(state: PartitionState, name: string): boolean {
  if (state.compensations.size === 0) return false;
  for (const row of state.compensations.values()) if (row.blocks && row.element === name) return true;
  return false;
}
