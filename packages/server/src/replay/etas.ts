// etas.ts: how well waiters are told how long they will wait: each is given an estimate once, which is held against its wait. Not
// here: the estimate itself (the forecast package).
//   Q1. An estimate is made when the request comes, or as soon as it is among the first WAITERS_MAX of its queue, as in the server
//       (shard/etas.ts), and is scored at the grant as it was made.
import {
  cutAt,
  type DurationForecaster,
  type DurationLike,
  type EtaEstimate,
  emptyDurationForecast,
  QueueEta,
} from "@forelock/forecast";
import type { Attempt } from "./simulation.ts";

const WAITERS_MAX = 100;

export interface EtaCoverage {
  /** Share of waits that were at most their p50, and their p90; 0 when nobody waited. */
  readonly coverage50: number;
  readonly coverage90: number;
  readonly waits: number;
}

interface Told {
  readonly estimate: EtaEstimate;
  readonly atMs: number;
}

/** One element's queue, in order of arrival. */
interface Queue {
  waiting: Attempt[];
  /** How many of them have been told. */
  told: number;
}

export class Etas {
  readonly #forecaster: DurationForecaster;
  readonly #holderForecast: (attempt: Attempt, nowMs: number) => DurationLike;
  readonly #eta = new QueueEta();
  readonly #queues = new Map<string, Queue>();
  readonly #holders = new Map<string, Attempt>();
  readonly #told = new Map<Attempt, Told>();
  #waits = 0;
  #within50 = 0;
  #within90 = 0;

  /** @param holderForecast of a hold that goes on */
  constructor(forecaster: DurationForecaster, holderForecast: (attempt: Attempt, nowMs: number) => DurationLike) {
    this.#forecaster = forecaster;
    this.#holderForecast = holderForecast;
  }

  get coverage(): EtaCoverage {
    const waits = this.#waits;
    const share = (hits: number): number => (waits === 0 ? 0 : hits / waits);
    return { coverage50: share(this.#within50), coverage90: share(this.#within90), waits };
  }

  waits(attempt: Attempt, nowMs: number): void {
    const { element } = attempt;
    let queue = this.#queues.get(element);
    if (queue === undefined) {
      queue = { waiting: [], told: 0 };
      this.#queues.set(element, queue);
    }
    queue.waiting.push(attempt);
    this.#tell(queue, nowMs);
  }

  granted(attempt: Attempt, nowMs: number): void {
    this.#holders.set(attempt.element, attempt);
    const told = this.#told.get(attempt);
    if (told !== undefined) {
      this.#told.delete(attempt);
      this.#score(told, nowMs - told.atMs);
    }
    const queue = this.#queues.get(attempt.element);
    if (queue === undefined || queue.waiting[0] !== attempt) return;
    queue.waiting.shift();
    queue.told -= 1;
    this.#tell(queue, nowMs);
  }

  // Q1
  #tell(queue: Queue, nowMs: number): void {
    const { waiting } = queue;
    while (queue.told < Math.min(waiting.length, WAITERS_MAX)) {
      const attempt = waiting[queue.told];
      if (attempt === undefined) return;
      this.#told.set(attempt, { estimate: this.#estimate(attempt, waiting.slice(0, queue.told), nowMs), atMs: nowMs });
      queue.told += 1;
    }
  }

  #estimate({ element }: Attempt, before: readonly Attempt[], nowMs: number): EtaEstimate {
    const holder = this.#holders.get(element);
    const holders =
      holder === undefined ? [] : [cutAt(this.#holderForecast(holder, nowMs), holder.forcedMs - holder.grantMs)];
    // A batch of one client stands side by side: one forecast does for all.
    const forecastByClient = new Map<string, DurationLike>();
    const ahead = before.map(({ row }) => {
      let forecast = forecastByClient.get(row.client);
      if (forecast === undefined) {
        forecast = this.#forecaster.forecast(row.client, row.element, 0, emptyDurationForecast(), nowMs);
        forecastByClient.set(row.client, forecast);
      }
      return forecast;
    });
    return this.#eta.estimate({ holders, ahead, capacity: 1 });
  }

  #score({ estimate }: Told, waitMs: number): void {
    this.#waits += 1;
    if (waitMs <= estimate.p50Ms) this.#within50 += 1;
    if (waitMs <= estimate.p90Ms) this.#within90 += 1;
    this.#eta.observe(estimate, waitMs);
  }
}
