// tally.ts: what is counted while a workload is replayed under one policy.
//   T1. A pre-emption is a warning whose end is to be forced. It is false when its holder would have released within the countdown.
//   T2. A request waits until the grant under which its work got done, or got stuck: one that lost its grant has waited all the
//       while, and one that never finishes waits to the end. Counted grant by grant, a policy would look the better the more work
//       it throws away: each of the many grants comes soon.
import type { WarningCause } from "../partition/state.ts";
import type { Attempt, HoldEnd } from "./simulation.ts";

/** What a policy came to. Times in milliseconds. */
export interface PolicyResult {
  readonly name: string;
  readonly grants: number;
  readonly waitMsMean: number;
  readonly waitMsP90: number;
  readonly waitMsP99: number;
  /** Of single grants, whatever became of them. */
  readonly grantWaitMsP99: number;
  /** Requests that were finished, in an hour of simulated time. */
  readonly finishedPerHour: number;
  /** Of healthy holders that were forced: how long each had held. */
  readonly workLostMs: number;
  readonly preemptions: number;
  readonly falsePreemptions: number;
  /** Healthy holders that were forced: they would have released, but not within the countdown. */
  readonly healthyForced: number;
  readonly gracefulReleases: number;
  /** Holders that acknowledged, and of them those that were given more time. */
  readonly acknowledged: number;
  readonly extended: number;
  /** Requests that neither got stuck nor ever finished. */
  readonly unfinished: number;
}

export class Tally {
  readonly #grantWaitsMs: number[] = [];
  /** By row. */
  readonly #firstMs: Float64Array;
  /** By row; NaN until the request is finished or stuck. */
  readonly #waitsMs: Float64Array;
  #finished = 0;
  #stuck = 0;
  #workLostMs = 0;
  #preemptions = 0;
  #false = 0;
  #healthyForced = 0;
  #graceful = 0;
  #acknowledged = 0;
  #extended = 0;
  #lastMs = 0;

  constructor(rows: number) {
    this.#firstMs = new Float64Array(rows);
    this.#waitsMs = new Float64Array(rows).fill(Number.NaN);
  }

  requested({ index, number, requestMs }: Attempt): void {
    if (number === 0) this.#firstMs[index] = requestMs;
  }

  granted({ requestMs }: Attempt, nowMs: number): void {
    this.#grantWaitsMs.push(nowMs - requestMs);
  }

  warned(attempt: Attempt, cause: WarningCause, nowMs: number): void {
    if (!cause.enforce) return;
    this.#preemptions += 1;
    const wouldRelease = attempt.fate === "well" || attempt.fate === "hangs";
    if (wouldRelease && attempt.endMs <= nowMs + cause.countdownMs) this.#false += 1; // T1
  }

  released(attempt: Attempt): void {
    if (attempt.forcedMs !== Number.POSITIVE_INFINITY) this.#graceful += 1;
    if (attempt.fate === "well") this.#finished += 1;
    else this.#stuck += 1;
    this.#settle(attempt);
  }

  acknowledged(isExtended: boolean): void {
    this.#acknowledged += 1;
    if (isExtended) this.#extended += 1;
  }

  lost(attempt: Attempt, end: HoldEnd, nowMs: number): void {
    if (attempt.fate !== "well") {
      this.#stuck += 1;
      this.#settle(attempt);
    } else if (end === "preempted") {
      this.#healthyForced += 1;
      this.#workLostMs += nowMs - attempt.grantMs;
    }
  }

  end(nowMs: number): void {
    this.#lastMs = nowMs;
  }

  result(name: string): PolicyResult {
    const waits = this.#waitsMs.map((ms, index) =>
      Number.isNaN(ms) ? this.#lastMs - (this.#firstMs[index] ?? 0) : ms,
    );
    waits.sort();
    const grantWaits = Float64Array.from(this.#grantWaitsMs).sort();
    return {
      name,
      grants: grantWaits.length,
      waitMsMean: waits.length === 0 ? 0 : Math.round(waits.reduce((sum, ms) => sum + ms, 0) / waits.length),
      waitMsP90: quantile(waits, 0.9),
      waitMsP99: quantile(waits, 0.99),
      grantWaitMsP99: quantile(grantWaits, 0.99),
      finishedPerHour: this.#lastMs === 0 ? 0 : (this.#finished * 3_600_000) / this.#lastMs,
      workLostMs: this.#workLostMs,
      preemptions: this.#preemptions,
      falsePreemptions: this.#false,
      healthyForced: this.#healthyForced,
      gracefulReleases: this.#graceful,
      acknowledged: this.#acknowledged,
      extended: this.#extended,
      unfinished: waits.length - this.#finished - this.#stuck,
    };
  }

  #settle({ index, grantMs }: Attempt): void {
    this.#waitsMs[index] = grantMs - (this.#firstMs[index] ?? 0);
  }
}

/** The least value that is not exceeded by a share `level` of them; 0 for none. @param sorted ascending */
export function quantile(sorted: Float64Array, level: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * level) - 1)] ?? 0;
}
