// waiting.ts: sums and maxima of independent durations, as weights over the 64 buckets. Not here: who waits for whom
// (queue-eta.ts), where durations come from (duration/).
//   W1. Weights sum to 1, up to rounding, after every operation.
//   W2. A quantile is read from a distribution and never added to another quantile: a sum of p90s is no p90.
import { BUCKET_LOG_WIDTH, BUCKETS, durationAt, positionOf } from "../duration/buckets.ts";
import { weightsFromQuantiles } from "../duration/knots.ts";

/** Quantiles of the total duration of something `ageMs` old; a `DurationForecast` is one. */
export interface DurationLike {
  readonly ageMs: number;
  readonly p5Ms: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Weights below this do not count in a sum: they would double its cost and move no quantile. */
const WEIGHT_MIN = 1e-7;
/** By distance of two buckets: how far above the upper one their sum lies, in buckets. */
const SUM_SHIFT = Float64Array.from(
  { length: BUCKETS },
  (_, distance) => Math.log1p(Math.exp(-distance * BUCKET_LOG_WIDTH)) / BUCKET_LOG_WIDTH,
);
const positions = new Float64Array(5);

/** What remains of a duration. `into` has BUCKETS entries; so has every other array of weights here. */
export function residualWeights(duration: DurationLike, into: Float64Array): void {
  const { ageMs } = duration;
  positions[0] = positionOf(duration.p5Ms - ageMs);
  positions[1] = positionOf(duration.p50Ms - ageMs);
  positions[2] = positionOf(duration.p90Ms - ageMs);
  positions[3] = positionOf(duration.p95Ms - ageMs);
  positions[4] = positionOf(duration.p99Ms - ageMs);
  weightsFromQuantiles(positions, into);
}

/** The distribution of the sum of two independent durations. `into` is neither of them. */
export function sumWeights(first: Float64Array, second: Float64Array, into: Float64Array): void {
  into.fill(0);
  for (let one = 0; one < BUCKETS; one += 1) {
    const weight = first[one]!; // In range, here and below.
    if (weight < WEIGHT_MIN) continue;
    for (let other = 0; other < BUCKETS; other += 1) {
      const product = weight * second[other]!;
      if (product < WEIGHT_MIN * WEIGHT_MIN) continue;
      const at = one > other ? one + SUM_SHIFT[one - other]! : other + SUM_SHIFT[other - one]!;
      const low = Math.min(BUCKETS - 1, Math.floor(at));
      const high = Math.min(BUCKETS - 1, low + 1);
      const share = product * (at - low);
      into[low]! += product - share;
      into[high]! += share;
    }
  }
  normalise(into);
}

/** The distribution of the longer of two independent durations, left in `into`, which holds the second. */
export function longerWeights(first: Float64Array, into: Float64Array): void {
  let firstBelow = 0;
  let secondBelow = 0;
  let below = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    firstBelow += first[bucket]!; // In range, here and below.
    secondBelow += into[bucket]!;
    const both = firstBelow * secondBelow;
    into[bucket] = both - below;
    below = both;
  }
  normalise(into);
}

/** Mean and variance, in milliseconds and their square. */
export function momentsOf(weights: Float64Array): { readonly mean: number; readonly variance: number } {
  let mean = 0;
  let square = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const durationMs = MIDDLES_MS[bucket]!; // In range, here and below.
    mean += weights[bucket]! * durationMs;
    square += weights[bucket]! * durationMs * durationMs;
  }
  return { mean, variance: Math.max(0, square - mean * mean) };
}

/**
 * The log-normal distribution with a mean and a variance: what the sum of many durations is taken for.
 * Source: Fenton (1960), moments matched.
 */
export function weightsFromMoments(mean: number, variance: number, into: Float64Array): void {
  const sigmaSquare = Math.log1p(variance / (mean * mean));
  const sigma = Math.max(0.05, Math.sqrt(sigmaSquare));
  const middle = Math.log(mean) - sigmaSquare / 2;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const z = (Math.log(MIDDLES_MS[bucket]!) - middle) / sigma; // In range.
    into[bucket] = Math.exp(-0.5 * z * z);
  }
  normalise(into, positionOf(mean));
}

/** A quantile in milliseconds. */
export function quantileMs(weights: Float64Array, level: number): number {
  let below = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const weight = weights[bucket]!; // In range.
    if (below + weight >= level) return durationAt(bucket + (weight > 0 ? (level - below) / weight : 0));
    below += weight;
  }
  return durationAt(BUCKETS);
}

const MIDDLES_MS = Float64Array.from({ length: BUCKETS }, (_, bucket) => durationAt(bucket + 0.5));

/** W1. Weights that have all vanished become one bucket, at `otherwise`. */
function normalise(weights: Float64Array, otherwise = 0): void {
  let total = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) total += weights[bucket]!; // In range.
  if (total > 0)
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) weights[bucket]! /= total; // In range.
  else weights[Math.min(BUCKETS - 1, Math.floor(otherwise))] = 1;
}
