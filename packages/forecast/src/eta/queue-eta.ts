// queue-eta.ts: how long waiters will wait, from the forecasts of those before them, corrected by how wrong it has been. Not here:
// the forecasts (duration/), who is before whom (the caller).
//   Q1. Waits are sums and maxima of distributions. Quantiles are added in one place only, as the bound on how wide a sum can be.
//   Q2. Bounded: a queue costs one sum for each of the first SUMMED_MAX waiters and two for each one behind.
//   Q3. Never non-finite, and p90 >= p50 >= 0.
import { BUCKETS, checkMilliseconds, MILLISECONDS_MAX } from "../duration/buckets.ts";
import { StateReader, StateWriter } from "../duration/state.ts";
import { type PendingWait, PendingWaits, type WaitHandle } from "./pending.ts";
import { FOLLOWED_MAX, PERMITS_MAX, permitWaitsMs, quantileOfWaitsMs } from "./permits.ts";
import {
  type DurationLike,
  longerWeights,
  momentsOf,
  quantileMs,
  residualWeights,
  sumWeights,
  weightsFromMoments,
} from "./waiting.ts";

/** What is before a waiter, or before a whole queue. */
export interface QueueView {
  /** Those who hold now, each with its age. */
  readonly holders: readonly DurationLike[];
  /** Those who will be granted first, in order, with age 0. An array is a group that holds together (shared). */
  readonly ahead: readonly (DurationLike | readonly DurationLike[])[];
  /**
   * 1: the element is free when all its holders have ended. More: so many permits, each free when its holder has ended, and a
   * group takes one permit each.
   */
  readonly capacity: number;
}

/** How long a waiter will wait from now. */
export interface EtaEstimate {
  readonly p50Ms: number;
  readonly p90Ms: number;
  /** The same before correction: what the truth is compared with. */
  readonly rawP50Ms: number;
  readonly rawP90Ms: number;
  /** Waiters before this one. */
  readonly ahead: number;
}

/** Waits that are exact sums; behind them the rest of the queue is taken for one log-normal duration. */
const SUMMED_MAX = 8;
const NO_WAIT: EtaEstimate = { p50Ms: 0, p90Ms: 0, rawP50Ms: 0, rawP90Ms: 0, ahead: 0 };
/**
 * How far the holds of one queue go together, from 0 (not at all) to 1 (as one). What makes one longer than was thought (a slow
 * disk, a batch of the same kind) makes the next one longer too; independent sums cover 58 % instead of 90 % of the waits behind
 * a hundred batch jobs.
 */
const DEPENDENCE = 0.5;
const VERSION = 0x1001; // Apart from that of the forecaster, so that one is not restored from the other.
const LEVELS = [0.5, 0.9] as const;
/** Queue depths with a correction of their own: 0, 1-2, 3-7, 8-31, 32-127, 128 and more ahead. */
const DEPTHS = [0, 2, 7, 31, 127] as const;
/** Of the logarithm of the wait, for one wait that was wrong; half for the depth, half for all. */
const STEP = 0.06;
/**
 * So many waiters ahead halve what one wait teaches, for p50 and p90: a queue of a hundred tells the same truth a hundred times
 * over. p90 forgives that less, since it has to be right about the queue after this one too.
 */
const PACE_AHEAD = [64, 8] as const;
/** Where the corrections for all depths are among the shifts. */
const COMMON = (DEPTHS.length + 1) * LEVELS.length;
/** Overdue waits that one call learns from at most. */
const OVERDUE_MAX = 16;
const WAITS_MAX = 65_536;
/** A factor of a million: what a correction can do at most. */
const SHIFT_MAX = Math.log(1e6);
const COVERAGE_KEEP = 2 ** (-1 / 200);

/** Estimates of waits, and what keeps their coverage honest: a factor on each quantile, learned from waits that have ended. */
export class QueueEta {
  // For each depth and for all (the last), one for each of LEVELS.
  readonly #shifts = new Float64Array(COMMON + LEVELS.length);
  readonly #coverage = Float64Array.from(LEVELS);
  readonly #pending: PendingWaits;
  #observed = 0;
  readonly #one = new Float64Array(BUCKETS);
  readonly #rest = new Float64Array(BUCKETS);
  #sum = new Float64Array(BUCKETS);
  #next = new Float64Array(BUCKETS);

  /** @param waitsMax waits that are followed at once; beyond it `enter` answers `undefined` */
  constructor(waitsMax: number = WAITS_MAX) {
    this.#pending = new PendingWaits(waitsMax);
  }

  /** Waits that are followed. */
  get following(): number {
    return this.#pending.size;
  }

  /** The wait of somebody behind all of `view.ahead`. */
  estimate(view: QueueView): EtaEstimate {
    return this.#estimates(view, view.ahead.length).at(-1)!; // There is one more than who is ahead.
  }

  /**
   * The waits of the first `waitersMax` of `view.ahead` themselves, in order, in one pass: what a queue shows to everyone in it.
   */
  estimateAll(view: QueueView, waitersMax: number): readonly EtaEstimate[] {
    const waiters = Math.min(view.ahead.length, Math.max(0, Math.floor(waitersMax)));
    return this.#estimates({ ...view, ahead: view.ahead.slice(0, waiters) }, 0).slice(0, waiters);
  }

  /**
   * Follows a wait that begins now, with the estimate that its waiter was told: what makes the corrections learn. Once for each
   * waiter, though its estimate may be told anew many times.
   * @returns `undefined` when `waitsMax` are followed already; tell `observe` at its grant instead
   */
  enter(estimate: EtaEstimate, nowMs: number): WaitHandle | undefined {
    checkMilliseconds("nowMs", nowMs);
    this.#learnOverdue(nowMs);
    const handle = this.#pending.add({
      startMs: nowMs,
      rawMs: [estimate.rawP50Ms, estimate.rawP90Ms],
      toldMs: [estimate.p50Ms, estimate.p90Ms],
      ahead: estimate.ahead,
      isScored: [false, false],
    });
    if (handle === undefined) return undefined;
    this.#pending.remind(handle, 0, nowMs + estimate.p50Ms);
    this.#pending.remind(handle, 1, nowMs + estimate.p90Ms);
    return handle;
  }

  /** The wait has ended with the grant. False when it is not followed (any more). */
  granted(handle: WaitHandle, nowMs: number): boolean {
    checkMilliseconds("nowMs", nowMs);
    this.#learnOverdue(nowMs);
    const wait = this.#pending.remove(handle);
    if (wait === undefined) return false;
    this.#learn(wait, Math.max(0, nowMs - wait.startMs));
    return true;
  }

  /** The waiter left without a grant. What its waiting has shown stays learned. False when it is not followed (any more). */
  left(handle: WaitHandle): boolean {
    return this.#pending.remove(handle) !== undefined;
  }

  /**
   * Tells how long somebody waited who was given `estimate`, until the grant, all at once. Where waits are long, `enter` and
   * `granted` learn sooner and without bias: here the short waits of a queue are known long before the long ones.
   * Throws a RangeError when the wait is negative or not a number.
   */
  observe(estimate: EtaEstimate, actualWaitMs: number): void {
    checkMilliseconds("actualWaitMs", actualWaitMs);
    this.#learn(
      {
        startMs: 0,
        rawMs: [estimate.rawP50Ms, estimate.rawP90Ms],
        toldMs: [estimate.p50Ms, estimate.p90Ms],
        ahead: estimate.ahead,
        isScored: [false, false],
      },
      actualWaitMs,
    );
  }

  /** The share of recent waits that were at most their p50 and their p90, and how many were observed. */
  coverage(): { readonly coverage50Ratio: number; readonly coverage90Ratio: number; readonly observed: number } {
    const [coverage50Ratio, coverage90Ratio] = this.#coverage;
    return { coverage50Ratio: coverage50Ratio!, coverage90Ratio: coverage90Ratio!, observed: this.#observed }; // One for each level.
  }

  /** The corrections as bytes, under 200 of them. Waits that are followed are not in it: they begin anew with an estimate of then. */
  serialize(): Uint8Array {
    const out = new StateWriter(VERSION);
    out.floats64(this.#shifts);
    out.floats64(this.#coverage);
    out.float64(this.#observed);
    return out.take();
  }

  /** Throws a RangeError that says what is wrong with the bytes. */
  static restore(bytes: Uint8Array): QueueEta {
    const from = new StateReader(bytes, VERSION);
    const restored = new QueueEta();
    from.floats64(restored.#shifts);
    from.floats64(restored.#coverage);
    restored.#observed = from.float64();
    from.end();
    return restored;
  }

  #learn({ rawMs, toldMs, ahead, isScored }: PendingWait, waitMs: number): void {
    for (const level of [0, 1] as const) {
      // Against the correction of today, not that of the estimate: a long queue gets its truths all at once and late, and would
      // push on long after the correction is right.
      if (!isScored[level]) this.#shift(ahead, level, waitMs <= rawMs[level] * this.#factor(ahead, level));
      this.#coverage[level]! += (1 - COVERAGE_KEEP) * ((waitMs <= toldMs[level] ? 1 : 0) - this.#coverage[level]!); // In range.
    }
    this.#observed += 1;
  }

  /** Waits that have outlasted their quantile are known to have missed it, long before they end. */
  #learnOverdue(nowMs: number): void {
    for (let count = 0; count < OVERDUE_MAX; count += 1) {
      const due = this.#pending.due(nowMs);
      if (due === undefined) return;
      const { wait, handle, level } = due;
      const dueMs = wait.startMs + wait.rawMs[level] * this.#factor(wait.ahead, level);
      if (dueMs < nowMs) {
        wait.isScored[level] = true;
        this.#shift(wait.ahead, level, false);
      } else this.#pending.remind(handle, level, dueMs); // The correction has grown meanwhile: not yet.
    }
  }

  #shift(ahead: number, level: 0 | 1, isBelow: boolean): void {
    const step = ((STEP / 2) * (LEVELS[level] - (isBelow ? 1 : 0))) / (1 + ahead / PACE_AHEAD[level]);
    for (const at of [depthOf(ahead) * LEVELS.length + level, COMMON + level])
      this.#shifts[at] = clamp(this.#shifts[at]! + step); // In range.
  }

  #factor(ahead: number, level: 0 | 1): number {
    return Math.exp(this.#shifts[depthOf(ahead) * LEVELS.length + level]! + this.#shifts[COMMON + level]!); // In range.
  }

  /** Estimates for the places from `first` of the queue to the one behind it. */
  #estimates(view: QueueView, first: number): readonly EtaEstimate[] {
    if (!(Number.isInteger(view.capacity) && view.capacity >= 1))
      throw new RangeError(`capacity is ${view.capacity}; it must be a whole number, at least 1.`);
    return view.capacity === 1 ? this.#exclusive(view, first) : this.#permits(view, first);
  }

  #exclusive({ holders, ahead }: QueueView, first: number): readonly EtaEstimate[] {
    const estimates: EtaEstimate[] = [];
    const all = new Moments();
    const rest = new Moments(); // Of who is behind the first SUMMED_MAX.
    let isNow = holders.length === 0; // Nothing to wait for yet.
    if (!isNow) {
      this.#longest(holders, this.#sum);
      all.add(this.#sum);
    }
    for (let place = 0; place <= ahead.length; place += 1) {
      if (place >= first) estimates.push(isNow ? NO_WAIT : this.#exclusiveAt(place, all, rest));
      const waiter = ahead[place];
      if (waiter === undefined) break;
      this.#longest(isGroup(waiter) ? waiter : [waiter], this.#one);
      all.add(this.#one);
      if (isNow) this.#sum.set(this.#one);
      else if (place < SUMMED_MAX) this.#addToSum(this.#one);
      else rest.add(this.#one);
      isNow = false;
    }
    return estimates;
  }

  #exclusiveAt(place: number, all: Moments, rest: Moments): EtaEstimate {
    let weights = this.#sum;
    if (rest.mean > 0) {
      weightsFromMoments(rest.mean, rest.variance, this.#rest);
      sumWeights(this.#sum, this.#rest, this.#next);
      weights = this.#next;
    }
    const p50Ms = quantileMs(weights, 0.5);
    const apartMs = quantileMs(weights, 0.9) - p50Ms;
    const asOneMs = Math.max(apartMs, all.p90IfOneMs - p50Ms);
    // Between the two as variances go, which add.
    const aboveMs = Math.sqrt((1 - DEPENDENCE) * apartMs * apartMs + DEPENDENCE * asOneMs * asOneMs);
    return this.#corrected(place, p50Ms, p50Ms + aboveMs);
  }

  #permits({ holders, ahead, capacity }: QueueView, first: number): readonly EtaEstimate[] {
    const queue = ahead.flatMap((waiter) => (isGroup(waiter) ? waiter : [waiter]));
    const firstOfPlace = startsOf(ahead);
    const free = Math.max(0, capacity - holders.length);
    const held = holders.slice(0, PERMITS_MAX).map(residualOf);
    // A free permit is one that nobody has to wait for.
    for (let permit = 0; permit < free && held.length < PERMITS_MAX; permit += 1) held.push(nothing());
    const share = held.length / Math.max(held.length, capacity); // Fewer permits are followed than there are: fewer waiters go with them.
    const followed = queue.slice(0, FOLLOWED_MAX).map(residualOf);
    const waits = permitWaitsMs(held, followed);
    const estimates: EtaEstimate[] = [];
    for (let place = first; place <= ahead.length; place += 1) {
      const before = firstOfPlace[place]! * share; // One for each place.
      const at = Math.min(followed.length, Math.round(before));
      const stretch = at > 0 && before > at ? before / at : 1; // Behind the last one followed: in proportion.
      const waitsMs = waits[at]!; // There is one more than was followed.
      const [p50Ms, p90Ms] = LEVELS.map((level) => stretch * quantileOfWaitsMs(waitsMs, level));
      estimates.push(this.#corrected(place, p50Ms!, p90Ms!)); // One for each level.
    }
    return estimates;
  }

  #longest(together: readonly DurationLike[], into: Float64Array): void {
    into.fill(0);
    into[0] = 1; // Of nobody: no time at all.
    for (const duration of together) {
      residualWeights(duration, this.#rest);
      longerWeights(this.#rest, into);
    }
  }

  #addToSum(weights: Float64Array): void {
    sumWeights(this.#sum, weights, this.#next);
    [this.#sum, this.#next] = [this.#next, this.#sum];
  }

  // Q3
  #corrected(ahead: number, rawP50Ms: number, rawP90Ms: number): EtaEstimate {
    const p50Ms = rawP50Ms * this.#factor(ahead, 0);
    const p90Ms = rawP90Ms * this.#factor(ahead, 1);
    return {
      p50Ms: Math.min(MILLISECONDS_MAX, p50Ms, p90Ms),
      p90Ms: Math.min(MILLISECONDS_MAX, Math.max(p50Ms, p90Ms)),
      rawP50Ms,
      rawP90Ms,
      ahead,
    };
  }
}

/** What the sum of some durations needs of each: moments, were they independent, and the p90, were they one. */
class Moments {
  mean = 0;
  variance = 0;
  /** p90 of the sum, were its parts to go up and down as one: the widest that it can be, and no estimate. */
  p90IfOneMs = 0;

  add(weights: Float64Array): void {
    const { mean, variance } = momentsOf(weights);
    this.mean += mean;
    this.variance += variance;
    this.p90IfOneMs += quantileMs(weights, 0.9);
  }
}

function isGroup(waiter: DurationLike | readonly DurationLike[]): waiter is readonly DurationLike[] {
  return Array.isArray(waiter);
}

/** For each place of the queue, and the one behind it, how many single waiters are before it. */
function startsOf(ahead: QueueView["ahead"]): readonly number[] {
  const starts = [0];
  for (const waiter of ahead) starts.push(starts.at(-1)! + (isGroup(waiter) ? waiter.length : 1)); // Never empty.
  return starts;
}

function residualOf(duration: DurationLike): Float64Array {
  const weights = new Float64Array(BUCKETS);
  residualWeights(duration, weights);
  return weights;
}

function nothing(): Float64Array {
  const weights = new Float64Array(BUCKETS);
  weights[0] = 1;
  return weights;
}

function depthOf(ahead: number): number {
  const depth = DEPTHS.findIndex((most) => ahead <= most);
  return depth < 0 ? DEPTHS.length : depth;
}

function clamp(shift: number): number {
  return Math.max(-SHIFT_MAX, Math.min(SHIFT_MAX, shift));
}
