// ledger.ts: what was done, or would have been, and what came of it: the memory of budgets, cool-downs and offences, and the
// numbers by which an operator can tell whether to trust it. Bounded; at a limit the oldest is forgotten.
//   B1. A warning was wrong when its holder released within the countdown and had not acknowledged: it would have done so anyway.
//   B2. Under `observe` nobody is told, so every release within the countdown counts as wrong.
//   B3. Who was forced and had not answered was stuck as likely as it had seemed: counted as certain, each healthy holder that was
//       forced would make the next one look more stuck.
import type { Risk } from "./risk.ts";

export type DecisionKind = "warned" | "observed" | "pending" | "threshold" | "policy" | "promoted";
export type DecisionOutcome =
  | "open"
  | "released"
  | "extended"
  | "forced"
  | "lost"
  | "right"
  | "wrong"
  | "ignored"
  | "withdrawn";

export interface Decided {
  /** Names the grant, or the wait, within the node. */
  readonly key: string;
  /** Its name on the wire; absent for what is no warning. */
  readonly warning?: string;
  readonly kind: DecisionKind;
  /** Wall clock. */
  readonly wallMs: number;
  /** Of the clock of the countdowns. */
  readonly atMs: number;
  readonly name: string;
  readonly token: bigint;
  readonly client: string;
  readonly risk: Risk | undefined;
  readonly threshold: number;
  readonly countdownMs: number;
  readonly waiters: number;
  readonly reason: string;
  outcome: DecisionOutcome;
  isAcknowledged: boolean;
  /** Judged already: a decision counts once. */
  isJudged: boolean;
}

export interface LedgerTotals {
  /** Of holders, and of requests that waited. */
  warnings: number;
  released: number;
  extended: number;
  forced: number;
  wrong: number;
  ignored: number;
  observed: number;
  observedRight: number;
  observedWrong: number;
  observedSavedMs: number;
}

const DECISIONS_MAX = 1_000;
const OPEN_MAX = 10_000;
const CLIENTS_MAX = 10_000;
const COOLING_MAX = 10_000;
const HOUR_MS = 3_600_000;
/** What is believed of holders before any was seen: one of a thousand gets stuck, as strongly as this many holds would tell. */
const PRIOR_HOLDS = 1_000;
const PRIOR_STUCK = 1;
/** Ends after which half of what they told is forgotten. */
const KEEP = 0.5 ** (1 / 5_000);

interface Forced {
  readonly warning: string;
  readonly atMs: number;
}

interface ClientRecord {
  /** Forced releases within the last hour. */
  forced: readonly Forced[];
  /** Countdowns in a row that ran out. */
  offences: number;
  ends: number;
  stuck: number;
}

export interface LedgerState {
  readonly totals: LedgerTotals;
  readonly ends: number;
  readonly stuck: number;
  readonly clients: readonly (readonly [string, ClientRecord])[];
}

export class Ledger {
  readonly totals: LedgerTotals = {
    ...{ warnings: 0, released: 0, extended: 0, forced: 0, wrong: 0, ignored: 0 },
    ...{ observed: 0, observedRight: 0, observedWrong: 0, observedSavedMs: 0 },
  };
  #decisions: Decided[] = [];
  readonly #openByKey = new Map<string, Decided>();
  readonly #clients = new Map<string, ClientRecord>();
  readonly #coolUntilMs = new Map<string, number>();
  #ends = PRIOR_HOLDS;
  #stuck = PRIOR_STUCK;
  readonly #onJudged: (row: Decided, isWrong: boolean) => void;

  /** @param onJudged told once of each warning and observation when it is known whether it was wrong */
  constructor(onJudged: (row: Decided, isWrong: boolean) => void = () => {}) {
    this.#onJudged = onJudged;
  }

  /** Newest first. */
  decisions(limit: number): readonly Decided[] {
    return this.#decisions.slice(-limit).reverse();
  }

  openDecision(key: string): Decided | undefined {
    return this.#openByKey.get(key);
  }

  /** Decisions of which it is not yet known what came of them. */
  get open(): number {
    return this.#openByKey.size;
  }

  /** The open decision of a warning. */
  byWarning(warning: string): Decided | undefined {
    for (const row of this.#openByKey.values()) if (row.warning === warning) return row;
    return undefined;
  }

  /** Share of holders that did not end by themselves. */
  get stuckRatio(): number {
    return this.#stuck / this.#ends;
  }

  /** What was decided about no grant: a policy, a threshold, a model. `name`: the prefix, or what the model is of. */
  remark(remark: Pick<Decided, "kind" | "wallMs" | "name" | "client" | "threshold" | "reason">): void {
    this.note({
      ...remark,
      ...{ key: "", atMs: 0, token: 0n, risk: undefined, countdownMs: 0, waiters: 0 },
    });
  }

  note(decided: Omit<Decided, "outcome" | "isAcknowledged" | "isJudged">): void {
    const row: Decided = { ...decided, outcome: "open", isAcknowledged: false, isJudged: false };
    this.#decisions.push(row);
    if (this.#decisions.length > DECISIONS_MAX * 2) this.#decisions = this.#decisions.slice(-DECISIONS_MAX);
    if (row.kind === "warned" || row.kind === "pending") this.totals.warnings += 1;
    if (row.kind === "observed") this.totals.observed += 1;
    if (row.kind !== "warned" && row.kind !== "observed" && row.kind !== "pending") return;
    this.#open(row);
  }

  /** A warning of an earlier run of the server, which is still open: what comes of it is told here, too. */
  adopt(decided: Omit<Decided, "outcome" | "isAcknowledged" | "isJudged">, isAcknowledged: boolean): void {
    this.#open({ ...decided, outcome: "open", isAcknowledged, isJudged: false });
  }

  /** A forced release of an earlier run, or on another server. @param atMs may lie before the beginning of the clock */
  adoptForced(client: string, warning: string, atMs: number): void {
    const record = this.#record(client);
    if (record.forced.some((known) => known.warning === warning)) return;
    record.forced = [...record.forced, { warning, atMs }];
  }

  /** A warning that was wrong, in an earlier run or on another server. */
  adoptCoolDown(client: string, element: string, untilMs: number): void {
    this.#cool(client, element, untilMs);
  }

  #open(row: Decided): void {
    makeRoom(this.#openByKey, OPEN_MAX);
    this.#openByKey.set(row.key, row);
  }

  acknowledged(key: string, isExtended: boolean): void {
    const row = this.#openByKey.get(key);
    if (row === undefined) return;
    row.isAcknowledged = true;
    if (!isExtended) return;
    row.outcome = "extended";
    this.totals.extended += 1;
  }

  /** A grant ended by itself. @param nowMs of the clock of `atMs` */
  released(key: string, client: string, nowMs: number, coolDownMs: number): void {
    this.#end(client, 0);
    const row = this.#take(key);
    if (row === undefined) return;
    const isInTime = nowMs <= row.atMs + row.countdownMs;
    if (row.kind === "observed") {
      row.outcome = isInTime ? "wrong" : "right";
      this.#judge(row, isInTime);
      if (isInTime) this.totals.observedWrong += 1;
      else {
        this.totals.observedRight += 1;
        this.totals.observedSavedMs += row.waiters * (nowMs - row.atMs - row.countdownMs);
      }
    } else {
      const isWrong = isInTime && !row.isAcknowledged; // B1
      row.outcome = isWrong ? "wrong" : "released";
      this.#judge(row, isWrong);
      if (isWrong) this.totals.wrong += 1;
      else this.totals.released += 1;
    }
    const record = this.#record(client);
    record.offences = 0;
    if (row.outcome === "wrong") this.#cool(client, row.name, nowMs + coolDownMs);
  }

  /** A grant was forced, or its session died. @param warning whose countdown ended it, if one did */
  ended(key: string, client: string, why: "preempted" | "expired" | "forced", nowMs: number, warning = key): void {
    const row = this.#take(key);
    const isIgnored = row !== undefined && !row.isAcknowledged;
    const isStuck = why === "expired" || (why === "preempted" && isIgnored);
    this.#end(client, !isStuck ? 0 : why === "expired" ? 1 : suspicionIn(row?.risk)); // B3
    if (why === "preempted") {
      const record = this.#record(client);
      record.forced = [...recent(record.forced, nowMs), { warning, atMs: nowMs }];
      record.offences += 1;
      this.totals.forced += 1;
      if (isIgnored) this.totals.ignored += 1;
    }
    if (row === undefined) return;
    row.outcome = why === "preempted" ? "forced" : row.kind === "observed" ? "right" : "lost";
    if (row.kind === "observed") {
      this.totals.observedRight += 1;
      this.totals.observedSavedMs += Math.max(0, row.waiters * (nowMs - row.atMs - row.countdownMs));
    }
    this.#judge(row, false);
  }

  /** A countdown ended and nothing was forced. */
  over(key: string, why: "ignored" | "passed_over" | "withdrawn"): void {
    const row = this.#openByKey.get(key);
    if (row === undefined) return;
    if (why !== "withdrawn" && !row.isAcknowledged) this.totals.ignored += 1;
    row.outcome = why === "passed_over" ? "ignored" : why;
    if (why === "withdrawn") this.#openByKey.delete(key);
  }

  /** Forgets the warnings that are over and that nothing told of: of waits that ended without a grant, of grants that were upgraded. */
  sweep(isThere: (warning: string) => boolean): void {
    for (const [key, row] of this.#openByKey) {
      if (row.warning === undefined || isThere(row.warning)) continue;
      this.#openByKey.delete(key);
      if (row.outcome === "open") row.outcome = "withdrawn";
    }
  }

  /** A wait became a grant: its warning goes on under the grant's name. */
  renamed(from: string, to: string): void {
    const row = this.#openByKey.get(from);
    if (row === undefined) return;
    this.#openByKey.delete(from);
    this.#openByKey.set(to, row);
  }

  isCooling(client: string, element: string, nowMs: number): boolean {
    const until = this.#coolUntilMs.get(`${client}\n${element}`);
    return until !== undefined && nowMs < until;
  }

  forcedWithinHour(client: string, nowMs: number): number {
    const record = this.#clients.get(client);
    if (record === undefined) return 0;
    record.forced = recent(record.forced, nowMs);
    return record.forced.length;
  }

  offences(client: string): number {
    return this.#clients.get(client)?.offences ?? 0;
  }

  /** Share of this client's holds that did not end by themselves. */
  offenceRatio(client: string): number {
    const record = this.#clients.get(client);
    if (record === undefined) return this.stuckRatio;
    const weight = 20; // Holds for which the share of all clients stands in.
    return (record.stuck + weight * this.stuckRatio) / (record.ends + weight);
  }

  /** For the snapshot of profiles. */
  save(): LedgerState {
    return { totals: { ...this.totals }, ends: this.#ends, stuck: this.#stuck, clients: [...this.#clients] };
  }

  restore(state: LedgerState): void {
    Object.assign(this.totals, state.totals);
    this.#ends = state.ends;
    this.#stuck = state.stuck;
    // Moments of a clock that starts anew are not worth keeping: the partitions remember what was forced (`adoptForced`).
    for (const [client, record] of state.clients)
      this.#clients.set(client, { ...record, forced: this.#clients.get(client)?.forced ?? [] });
  }

  #take(key: string): Decided | undefined {
    if (this.#openByKey.size === 0) return undefined;
    const row = this.#openByKey.get(key);
    if (row !== undefined) this.#openByKey.delete(key);
    return row;
  }

  #judge(row: Decided, isWrong: boolean): void {
    if (row.isJudged) return;
    row.isJudged = true;
    this.#onJudged(row, isWrong);
  }

  /** @param stuck probability, 0 to 1 */
  #end(client: string, stuck: number): void {
    this.#ends = this.#ends * KEEP + 1;
    this.#stuck = this.#stuck * KEEP + stuck;
    if (stuck === 0 && this.#clients.size === 0) return; // Nearly always.
    const record = stuck > 0 ? this.#record(client) : this.#clients.get(client);
    if (record === undefined) return;
    record.ends = record.ends * KEEP + 1;
    record.stuck = record.stuck * KEEP + stuck;
  }

  #record(client: string): ClientRecord {
    let record = this.#clients.get(client);
    if (record !== undefined) return record;
    makeRoom(this.#clients, CLIENTS_MAX);
    record = { forced: [], offences: 0, ends: 0, stuck: 0 };
    this.#clients.set(client, record);
    return record;
  }

  #cool(client: string, element: string, untilMs: number): void {
    makeRoom(this.#coolUntilMs, COOLING_MAX);
    this.#coolUntilMs.set(`${client}\n${element}`, untilMs);
  }
}

const recent = (forced: readonly Forced[], nowMs: number): readonly Forced[] =>
  forced.filter(({ atMs }) => atMs >= nowMs - HOUR_MS);

/** Forgets the oldest of a table that is full. */
function makeRoom(table: Map<string, unknown>, max: number): void {
  if (table.size < max) return;
  const [oldest] = table.keys();
  if (oldest !== undefined) table.delete(oldest);
}

function suspicionIn(risk: Risk | undefined): number {
  return risk?.parts.find(({ name }) => name === "suspicion")?.value ?? 1;
}
