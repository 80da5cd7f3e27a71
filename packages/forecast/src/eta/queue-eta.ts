// queue-eta.ts: how long waiters will wait, from the forecasts of those before them, corrected by how wrong it has been. Not here:
// the forecasts (duration/), who is before whom (the caller).
//   Q1. Waits are sums and maxima of distributions. Quantiles are added in one place only, as the bound on how wide a sum can be.
//   Q2. Bounded: a queue costs one sum for each of the first SUMMED_MAX waiters and two for each one behind.
//   Q3. Never non-finite, and p90 >= p50 >= 0.
import { BUCKETS, checkMilliseconds, MILLISECONDS_MAX } from "../duration/buckets.ts";
import { StateReader, StateWriter } from "../duration/state.ts";
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
  /** The same before correction, in any order: what `observe` compares the truth with. */
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
/** So many waiters ahead halve what one wait teaches. */
const PACE_AHEAD = 8;
/** A factor of a million: what a correction can do at most. */
const SHIFT_MAX = Math.log(1e6);
const COVERAGE_KEEP = 2 ** (-1 / 200);

/** Estimates of waits, and what keeps their coverage honest: a factor on each quantile, learned from waits that have ended. */
export class QueueEta {
  // For each depth and for all (the last), one for each of LEVELS.
  readonly #shifts = new Float64Array((DEPTHS.length + 2) * LEVELS.length);
  readonly #coverage = Float64Array.from(LEVELS);
  #observed = 0;
  readonly #one = new Float64Array(BUCKETS);
  readonly #rest = new Float64Array(BUCKETS);
  #sum = new Float64Array(BUCKETS);
  #next = new Float64Array(BUCKETS);

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
   * Tells how long somebody waited who was given `estimate`, from then until the grant. Who left without a grant is not told.
   * Throws a RangeError when the wait is negative or not a number.
   */
  observe(estimate: EtaEstimate, actualWaitMs: number): void {
    checkMilliseconds("actualWaitMs", actualWaitMs);
    // A queue of a hundred tells the same truth a hundred times over: each of them counts for less.
    const pace = STEP / (1 + estimate.ahead / PACE_AHEAD);
    const own = depthOf(estimate.ahead) * LEVELS.length;
    const common = (DEPTHS.length + 1) * LEVELS.length;
    for (let index = 0; index < LEVELS.length; index += 1) {
      const level = LEVELS[index]!; // In range, here and below.
      const hit = actualWaitMs <= (index === 0 ? estimate.p50Ms : estimate.p90Ms) ? 1 : 0;
      // Against the correction of today, not that of the estimate: a long queue gets its truths all at once and late, and would
      // push on long after the correction is right.
      const raw = index === 0 ? estimate.rawP50Ms : estimate.rawP90Ms;
      const isBelow = actualWaitMs <= raw * Math.exp(this.#shifts[own + index]! + this.#shifts[common + index]!);
      const step = (pace / 2) * (level - (isBelow ? 1 : 0));
      this.#shifts[own + index] = clamp(this.#shifts[own + index]! + step);
      this.#shifts[common + index] = clamp(this.#shifts[common + index]! + step);
      this.#coverage[index]! += (1 - COVERAGE_KEEP) * (hit - this.#coverage[index]!);
    }
    this.#observed += 1;
  }

  /** The share of recent waits that were at most their p50 and their p90, and how many were observed. */
  coverage(): { readonly coverage50Ratio: number; readonly coverage90Ratio: number; readonly observed: number } {
    const [coverage50Ratio, coverage90Ratio] = this.#coverage;
    return { coverage50Ratio: coverage50Ratio!, coverage90Ratio: coverage90Ratio!, observed: this.#observed }; // One for each level.
  }

  /** The corrections as bytes, under 150 of them. */
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
    const own = depthOf(ahead) * LEVELS.length;
    const common = (DEPTHS.length + 1) * LEVELS.length;
    const p50Ms = rawP50Ms * Math.exp(this.#shifts[own]! + this.#shifts[common]!); // In range, as below.
    const p90Ms = rawP90Ms * Math.exp(this.#shifts[own + 1]! + this.#shifts[common + 1]!);
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
