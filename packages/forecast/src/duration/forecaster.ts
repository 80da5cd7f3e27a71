// forecaster.ts: how long work will take, learned online from how long it took, per client and element.
import { type DurationForecast, emptyDurationForecast } from "./forecast.ts";

const BUCKETS = 64;
const LOW = Math.log(0.1);
const WIDTH = (Math.log(64 * 86_400_000) - LOW) / BUCKETS;

/** A running hold, as `begin` named it. */
declare const brand: unique symbol;
export type HoldHandle = number & { readonly [brand]: "HoldHandle" };

export interface DurationForecasterOptions {
  /** Pairs of client and element that are remembered; the least recently used goes. */
  readonly pairsMax?: number;
  readonly clientsMax?: number;
  readonly elementsMax?: number;
  /** Holds that are known to be running; at the limit `begin` answers `undefined`. */
  readonly runningMax?: number;
}

interface Row {
  readonly weights: Float64Array;
  mass: number;
  count: number;
}

/** Streaming quantiles of durations. Units: milliseconds everywhere. */
export class DurationForecaster {
  readonly #rows = new Map<string, Row>();
  readonly #running = new Map<number, { client: string; element: string; startMs: number }>();
  readonly #runningMax: number;
  #next = 1;

  constructor(options: DurationForecasterOptions = {}) {
    this.#runningMax = options.runningMax ?? 65_536;
  }

  /** Learns that one piece of work took `durationMs`. */
  observe(client: string, element: string, durationMs: number): void {
    if (!(durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY))
      throw new RangeError(`durationMs is ${durationMs}; it must be a finite number of milliseconds, at least 0.`);
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor((Math.log(durationMs) - LOW) / WIDTH)));
    for (const key of keysOf(client, element)) {
      const row = this.#rows.get(key) ?? { weights: new Float64Array(BUCKETS), mass: 0, count: 0 };
      this.#rows.set(key, row);
      for (let index = 0; index < BUCKETS; index += 1) row.weights[index]! *= 0.99; // In range.
      row.weights[bucket]! += 1; // In range.
      row.mass = row.mass * 0.99 + 1;
      row.count += 1;
    }
  }

  /** A hold begins. `undefined` when `runningMax` are running: tell `observe` its duration at its end instead. */
  begin(client: string, element: string, nowMs: number): HoldHandle | undefined {
    if (this.#running.size >= this.#runningMax) return undefined;
    const handle = this.#next++;
    this.#running.set(handle, { client, element, startMs: nowMs });
    return handle as HoldHandle; // Made here.
  }

  /** The hold ended by itself: its duration is learned. False when the handle is not running (any more). */
  end(handle: HoldHandle, nowMs: number): boolean {
    const run = this.#running.get(handle);
    if (run === undefined) return false;
    this.#running.delete(handle);
    this.observe(run.client, run.element, Math.max(0, nowMs - run.startMs));
    return true;
  }

  /** The hold was cut short at `nowMs`: it is learned as "lasted at least so long". */
  drop(handle: HoldHandle, _nowMs: number): boolean {
    return this.#running.delete(handle);
  }

  /** Quantiles of the total duration, given that it is `ageMs` old. Allocates nothing when `into` is given. */
  forecast(client: string, element: string, ageMs: number, into = emptyDurationForecast()): DurationForecast {
    const mix = this.#mix(client, element);
    const age = position(ageMs);
    const below = cumulative(mix, age);
    const at = (level: number): number => Math.max(ageMs, quantile(mix, below + level * (1 - below)));
    into.ageMs = ageMs;
    into.p5Ms = at(0.05);
    into.p50Ms = at(0.5);
    into.p90Ms = at(0.9);
    into.p95Ms = at(0.95);
    into.p99Ms = at(0.99);
    into.level = "all";
    return into;
  }

  /** The probability in [0, 1] that work `ageMs` old lasts longer than `deadlineMs` (total, not remaining). */
  outlives(client: string, element: string, ageMs: number, deadlineMs: number): number {
    if (deadlineMs <= ageMs) return 1;
    const mix = this.#mix(client, element);
    const survived = 1 - cumulative(mix, position(ageMs));
    return survived <= 0 ? 0.5 : Math.min(1, (1 - cumulative(mix, position(deadlineMs))) / survived);
  }

  #mix(client: string, element: string): Float64Array {
    const mix = new Float64Array(BUCKETS);
    let left = 1;
    for (const key of keysOf(client, element)) {
      const row = this.#rows.get(key);
      if (row === undefined) continue;
      const share = (left * row.mass) / (row.mass + 5);
      for (let index = 0; index < BUCKETS; index += 1) mix[index]! += (share * row.weights[index]!) / row.mass; // In range.
      left -= share;
    }
    for (let index = 0; index < BUCKETS; index += 1) {
      const z = (LOW + (index + 0.5) * WIDTH - Math.log(1000)) / 2;
      mix[index]! += (left * WIDTH * Math.exp(-0.5 * z * z)) / (2 * Math.sqrt(2 * Math.PI)); // In range.
    }
    return mix;
  }
}

function keysOf(client: string, element: string): readonly string[] {
  return [`p ${JSON.stringify([client, element])}`, `c ${client}`, `e ${element}`, "all"];
}

function position(durationMs: number): number {
  return Math.min(BUCKETS, Math.max(0, (Math.log(durationMs) - LOW) / WIDTH));
}

function cumulative(mix: Float64Array, at: number): number {
  let sum = 0;
  let total = 0;
  for (let index = 0; index < BUCKETS; index += 1) {
    const weight = mix[index]!; // In range.
    total += weight;
    sum += weight * Math.min(1, Math.max(0, at - index));
  }
  return total > 0 ? sum / total : 0;
}

function quantile(mix: Float64Array, level: number): number {
  let total = 0;
  for (const weight of mix) total += weight;
  let sum = 0;
  for (let index = 0; index < BUCKETS; index += 1) {
    const weight = mix[index]! / total; // In range.
    if (sum + weight >= level && weight > 0) return Math.exp(LOW + (index + (level - sum) / weight) * WIDTH);
    sum += weight;
  }
  return Math.exp(LOW + BUCKETS * WIDTH);
}
