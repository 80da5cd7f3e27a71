// snapshot-preempt.ts: warnings, terms, owed calls, policies and judgements in the snapshot of a partition. The rest is in snapshot.ts.
import { assert } from "@forelock/protocol";
import { insertCompensation, insertJudgement, insertTerms, insertWarning } from "../preempt/table.ts";
import { isWait } from "../preempt/target.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import {
  readCause,
  readCompensation,
  readPolicy,
  readTerms,
  writeCause,
  writeCompensation,
  writePolicy,
  writeTerms,
} from "./codec-preempt.ts";
import { addPolicy } from "./hash.ts";
import { readAll, writeAll } from "./snapshot.ts";
import {
  type Grant,
  holderByToken,
  type JudgementKind,
  type PartitionState,
  type Wait,
  type WarningPhase,
} from "./state.ts";

const PHASES: readonly WarningPhase[] = ["warned", "acknowledged", "extended", "ignored", "passed_over"];
const KINDS: readonly JudgementKind[] = ["forced", "wrong"];
const WHYS = ["expired", "forced", "preempted"] as const;

export function writePreempt(out: ByteWriter, state: PartitionState): void {
  out.number(state.nextWarning);
  out.number(state.nextCompensation);
  writeAll(out, state.termsByTarget.size, state.termsByTarget, ([target, terms]) => {
    writeTarget(out, target);
    writeTerms(out, terms);
  });
  const warnings = [...state.warnings.values()].sort((a, b) => a.id - b.id);
  writeAll(out, warnings.length, warnings, (warning) => {
    out.number(warning.id);
    writeTarget(out, warning.target);
    writeCause(out, warning);
    out.byte(PHASES.indexOf(warning.phase));
    out.number(warning.extensions);
    out.number(warning.extendedMs);
    out.float(warning.endsAtMs);
    out.number(warning.restarts);
  });
  writeAll(out, state.compensations.size, state.compensations.values(), (row) => {
    out.number(row.id);
    writeCompensation(out, row);
    out.text(row.element);
    out.token(row.token);
    out.text(row.session);
    out.text(row.principal);
    out.byte(WHYS.indexOf(row.why));
  });
  writeAll(out, state.policies.size, state.policies, ([prefix, row]) => {
    out.text(prefix);
    writePolicy(out, row);
  });
  writeAll(out, state.judgements.length, state.judgements, (row) => {
    out.byte(KINDS.indexOf(row.kind));
    out.number(row.warning);
    out.text(row.principal);
    out.text(row.client);
    out.text(row.element);
    out.number(row.atMs);
  });
}

/** After grants and waits, which the rows name. */
export function readPreempt(reader: ByteReader, state: PartitionState, hasJudgements: boolean): void {
  state.nextWarning = reader.number();
  state.nextCompensation = reader.number();
  readAll(reader, () => insertTerms(state, readTarget(reader, state), readTerms(reader)));
  readAll(reader, () => {
    const id = reader.number();
    const target = readTarget(reader, state);
    const cause = readCause(reader);
    const phase = PHASES[reader.byte()];
    assert(phase !== undefined, "a warning is in one of the known phases");
    insertWarning(state, {
      ...cause,
      id,
      target,
      phase,
      extensions: reader.number(),
      extendedMs: reader.number(),
      endsAtMs: reader.float(),
      restarts: reader.number(),
    });
  });
  readAll(reader, () => {
    const id = reader.number();
    const terms = readCompensation(reader);
    const row = { element: reader.text(), token: reader.token(), session: reader.text(), principal: reader.text() };
    const why = WHYS[reader.byte()];
    assert(why !== undefined, "a grant is lost in one of the known ways");
    insertCompensation(state, { ...terms, id, ...row, why });
  });
  readAll(reader, () => {
    const prefix = reader.text();
    const row = readPolicy(reader);
    state.policies.set(prefix, row);
    addPolicy(state, 1, prefix, row);
  });
  if (!hasJudgements) return;
  readAll(reader, () => {
    const kind = KINDS[reader.byte()];
    assert(kind !== undefined, "a warning comes to one of the known ends");
    const warning = reader.number();
    const who = { principal: reader.text(), client: reader.text(), element: reader.text() };
    insertJudgement(state, { kind, warning, ...who, atMs: reader.number() });
  });
}

function writeTarget(out: ByteWriter, target: Grant | Wait): void {
  out.number(isWait(target) ? target.id : 0);
  out.text(isWait(target) ? "" : target.element.name);
  out.token(isWait(target) ? 0n : target.token);
}

function readTarget(reader: ByteReader, state: PartitionState): Grant | Wait {
  const wait = reader.number();
  const element = state.elements.get(reader.text());
  const token = reader.token();
  const target = wait === 0 ? element && holderByToken(element, token) : state.waits.get(wait);
  assert(target !== undefined, "a warning or terms name a grant or wait of the snapshot");
  return target;
}
