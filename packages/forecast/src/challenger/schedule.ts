// schedule.ts: which series to fit next, with which model, and when there is processor time for it. Not here: threads, clocks, the
// fits themselves (the server's forecast-worker/).
//   F1. Over any stretch of time, work costs at most `budgetRatio` of it, plus BURST_MS and the piece under way.
//   F2. What was never fitted goes first, the cheapest kind first. After that the fit most overdue for its own interval does, so that
//       too little time stretches all intervals alike.
//   F3. When there is too little time, tables and fits get half of it each.

/** How often one kind of model is fitted again; kinds are listed cheapest and most useful first. */
export interface RefitRule {
  readonly model: string;
  readonly everyMs: number;
  /** Due also after so many new observations; absent: by time alone. */ readonly everyObservations?: number;
}

/** Of the shape found best by back-test: ridge is cheap and soon outdated, the others are dear and keep. */
export const REFIT_RULES: readonly RefitRule[] = [
  { model: "ridge", everyMs: 60_000, everyObservations: 64 },
  { model: "sarima", everyMs: 600_000 },
  { model: "lstm", everyMs: 1_800_000 },
];

export interface ScheduleOptions {
  readonly rules: readonly RefitRule[];
  /** Share of one core, in (0, 1]. */ readonly budgetRatio: number;
  /** Series followed; beyond it the one that was submitted longest ago is forgotten. At least 1. */ readonly keysMax: number;
}

export type Plan =
  | { readonly kind: "fit"; readonly key: string; readonly model: string }
  /** The last fit is still good: only its table is to be made again, from the newest values. */
  | { readonly kind: "table"; readonly key: string; readonly model: string }
  /** There is work, but its time is not earned before so long. */
  | { readonly kind: "wait"; readonly waitMs: number }
  /** Nothing to do before the next `submit`. */
  | { readonly kind: "idle" };

/** Time that may be saved up while there is nothing to do. */
const BURST_MS = 2_000;

interface ModelState {
  /** Of the last fit, also of one in vain. */ readonly fittedMs: number;
  readonly fittedObservations: number;
  readonly tabledObservations: number;
  readonly isUsable: boolean;
}

interface KeyState {
  readonly observations: number;
  readonly models: Map<string, ModelState>;
}

/** Plain state and no clock: the same calls give the same plans. */
export class FitSchedule {
  readonly #options: ScheduleOptions;
  /** By key, the one submitted longest ago first. */
  readonly #states = new Map<string, KeyState>();
  #creditMs: number;
  #creditedMs: number;
  /** Processor time of tables less that of fits, lately. */
  #tablesAheadMs = 0;

  constructor(options: ScheduleOptions, nowMs: number) {
    this.#options = options;
    this.#creditMs = BURST_MS;
    this.#creditedMs = nowMs;
  }

  get keys(): number {
    return this.#states.size;
  }

  /**
   * New values of a series are there.
   * @param observations of the series so far, never falling
   * @returns the key that had to be forgotten for it, with all that was fitted
   */
  submit(key: string, observations: number): string | undefined {
    const known = this.#states.get(key);
    this.#states.delete(key); // To the end of the order.
    this.#states.set(key, { models: known?.models ?? new Map(), observations });
    if (this.#states.size <= this.#options.keysMax) return undefined;
    const [oldest] = this.#states.keys();
    if (oldest !== undefined) this.#states.delete(oldest);
    return oldest;
  }

  forget(key: string): void {
    this.#states.delete(key);
  }

  /** What to do now. Answer every "fit" and "table" with `done`. */
  next(nowMs: number): Plan {
    let table: Plan | undefined;
    let fit: Plan | undefined;
    let fitUrgency = 0;
    for (const [key, state] of this.#states) {
      for (const [index, rule] of this.#options.rules.entries()) {
        const need = needOf(state, rule, nowMs);
        if (need === "table") table ??= { kind: "table", key, model: rule.model };
        if (need === undefined || need === "table") continue;
        const urgency = need.overdueRatio === Infinity ? Number.MAX_VALUE / 2 ** index : need.overdueRatio;
        if (urgency <= fitUrgency) continue; // Among equals, the series that waits longest.
        fit = { kind: "fit", key, model: rule.model };
        fitUrgency = urgency;
      }
    }
    const best = this.#tablesAheadMs > 0 ? (fit ?? table) : (table ?? fit); // F3
    if (best === undefined) return { kind: "idle" };
    this.#earn(nowMs);
    if (this.#creditMs >= 0) return best;
    return { kind: "wait", waitMs: Math.ceil(-this.#creditMs / this.#options.budgetRatio) }; // F1
  }

  /**
   * @param outcome.costMs processor time it took, at least 0
   * @param outcome.isUsable whether there is a fit to make tables from; false: tried again when the rule says so
   * @param outcome.observations of the series that it was made from
   */
  done(
    plan: { readonly kind: "fit" | "table"; readonly key: string; readonly model: string },
    outcome: { readonly costMs: number; readonly isUsable: boolean; readonly observations: number },
    nowMs: number,
  ): void {
    this.#earn(nowMs);
    this.#creditMs -= outcome.costMs;
    const balanceMs = this.#tablesAheadMs + (plan.kind === "table" ? outcome.costMs : -outcome.costMs);
    this.#tablesAheadMs = Math.min(BURST_MS, Math.max(-BURST_MS, balanceMs));
    const state = this.#states.get(plan.key);
    if (state === undefined) return; // Forgotten meanwhile.
    const { observations, isUsable } = outcome;
    const fit = { fittedMs: nowMs, fittedObservations: observations };
    const before = plan.kind === "table" ? state.models.get(plan.model) : undefined;
    state.models.set(plan.model, { ...fit, ...before, tabledObservations: observations, isUsable });
  }

  #earn(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#creditedMs);
    this.#creditedMs = Math.max(this.#creditedMs, nowMs);
    this.#creditMs = Math.min(BURST_MS, this.#creditMs + passedMs * this.#options.budgetRatio);
  }
}

/** What one model of a series needs; nothing before new values are there. */
function needOf(
  { observations, models }: KeyState,
  rule: RefitRule,
  nowMs: number,
): "table" | { readonly overdueRatio: number } | undefined {
  const model = models.get(rule.model);
  if (model === undefined) return { overdueRatio: Infinity };
  const { fittedMs, fittedObservations, tabledObservations, isUsable } = model;
  if (observations <= tabledObservations) return undefined;
  const byTime = (nowMs - fittedMs) / rule.everyMs;
  const byCount =
    rule.everyObservations === undefined ? 0 : (observations - fittedObservations) / rule.everyObservations;
  const overdueRatio = Math.max(byTime, byCount);
  if (overdueRatio >= 1) return { overdueRatio };
  return isUsable ? "table" : undefined;
}
