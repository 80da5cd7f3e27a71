// fitter.ts: what the thread does: keeps the newest job of each series, fits and asks models when the schedule says so. Not here:
// when (FitSchedule of @forelock/forecast), messages (forecast-thread.ts).
import {
  type Challenger,
  challengerTable,
  type FitSchedule,
  type FittedChallenger,
  type Plan,
} from "@forelock/forecast";
import type { ForecastJob, ForecastTable } from "./job.ts";

export interface FitterOptions {
  readonly challengers: readonly Challenger[];
  readonly schedule: FitSchedule;
  readonly seed: number;
  readonly nowMs: () => number;
  readonly say: (table: ForecastTable) => void;
}

interface Followed {
  job: ForecastJob;
  readonly fits: Map<string, FittedChallenger>;
}

/** How long to rest after a piece of work: long enough for messages to come in between. */
const BETWEEN_MS = 1;

export class Fitter {
  readonly #options: FitterOptions;
  readonly #followed = new Map<string, Followed>();

  constructor(options: FitterOptions) {
    this.#options = options;
  }

  /** Takes the place of an older job of the same key. */
  take(job: ForecastJob): void {
    const followed = this.#followed.get(job.key);
    const isSame = followed !== undefined && isSameSeries(followed.job, job);
    if (isSame) followed.job = job;
    else {
      this.#options.schedule.forget(job.key); // Its fits are of another series.
      this.#followed.set(job.key, { job, fits: new Map() });
    }
    const forgotten = this.#options.schedule.submit(job.key, job.observations);
    if (forgotten !== undefined) this.#followed.delete(forgotten);
  }

  /** Does one piece of work. Returns the milliseconds after which to call again; `undefined`: after the next job. */
  step(): number | undefined {
    const { schedule, nowMs } = this.#options;
    const plan = schedule.next(nowMs());
    if (plan.kind === "idle") return undefined;
    if (plan.kind === "wait") return plan.waitMs;
    const followed = this.#followed.get(plan.key);
    if (followed === undefined)
      schedule.forget(plan.key); // Cannot be: both forget together. If it is, nothing is lost.
    else this.#work(plan, followed);
    return BETWEEN_MS;
  }

  #work(plan: Extract<Plan, { kind: "fit" | "table" }>, { job, fits }: Followed): void {
    const { schedule, nowMs, say } = this.#options;
    const beganMs = nowMs();
    if (plan.kind === "fit") this.#fit(plan.model, job, fits);
    const fitted = fits.get(plan.model);
    const table = fitted === undefined ? undefined : tableOf(plan.model, fitted, job);
    // Elapsed time is never below the processor time of this thread, so the budget holds also where that cannot be asked for.
    const costMs = nowMs() - beganMs;
    schedule.done(plan, { costMs, isUsable: fitted !== undefined, observations: job.observations }, nowMs());
    if (table !== undefined) say(table);
  }

  #fit(model: string, job: ForecastJob, fits: Map<string, FittedChallenger>): void {
    const { challengers, seed } = this.#options;
    const seasonSteps = job.kind === "series" ? job.seasonSteps : 0;
    const weekSteps = job.kind === "series" ? job.weekSteps : 0;
    const fitted = challengers.find(({ name }) => name === model)?.fit(job.values, { seasonSteps, weekSteps, seed });
    if (fitted === undefined) fits.delete(model);
    else fits.set(model, fitted);
  }
}

function isSameSeries(before: ForecastJob, now: ForecastJob): boolean {
  if (before.observations > now.observations) return false; // It began anew, for example after a restore.
  if (before.kind === "durations" || now.kind === "durations") return before.kind === now.kind;
  return before.seasonSteps === now.seasonSteps && before.weekSteps === now.weekSteps;
}

function tableOf(model: string, fitted: FittedChallenger, job: ForecastJob): ForecastTable | undefined {
  const { key, observations, values } = job;
  if (job.kind === "series") {
    const points = fitted.forecast(values, job.steps);
    return points.every(Number.isFinite)
      ? { kind: "series", key, model, origin: job.origin, observations, points }
      : undefined;
  }
  const { client, element } = job;
  const table = challengerTable(model, fitted, { client, element, logs: values, end: observations }, job.steps);
  return table === undefined ? undefined : { kind: "durations", key, client, element, model, observations, table };
}
