// survival.ts: what a histogram says of work that has lasted for some time already. Not here: whose histogram (forecaster.ts).
//   V1. Quantiles are finite, never fall, and are never below the age.
//   V2. Work older than anything known is expected to last about as long again: a Pareto tail of exponent 1 from the age, with
//       the weight of a surprise. Without it a histogram has nothing to say when it is asked in earnest.
import { BUCKET_LOG_WIDTH, BUCKETS, durationAt, MILLISECONDS_MAX, positionOf } from "./buckets.ts";

/** What the Pareto tail weighs beside the mass of the histogram. Matters only where less than a few times this survives. */
const SURPRISE = 0.002;
const TAIL_STEP = Math.exp(-BUCKET_LOG_WIDTH);

/** The mass of a normalised histogram below a position. */
export function massBelow(weights: Float64Array, position: number): number {
  const whole = Math.min(BUCKETS, Math.floor(position));
  let below = 0;
  for (let bucket = 0; bucket < whole; bucket += 1) below += weights[bucket]!; // In range.
  return whole < BUCKETS ? below + weights[whole]! * (position - whole) : below; // In range.
}

/**
 * Quantiles of the total duration given that it has reached `ageMs`.
 * @param weights a histogram that sums to 1
 * @param levels ascending, each in (0, 1)
 * @param into one duration in milliseconds for each level
 */
export function survivalQuantiles(
  weights: Float64Array,
  ageMs: number,
  levels: Float64Array,
  into: Float64Array,
): void {
  const age = positionOf(ageMs);
  const surprise = age > 0 ? SURPRISE : 0;
  const first = Math.min(BUCKETS - 1, Math.floor(age));
  let below = 0; // Of the histogram: its mass below the current bucket.
  for (let bucket = 0; bucket < first; bucket += 1) below += weights[bucket]!; // In range.
  const youngest = below + weights[first]! * Math.min(1, age - first); // In range.
  const survived = Math.max(0, 1 - youngest) + surprise;
  let reached = 0; // Mass between the age and `from`, both parts.
  let from = age;
  let bucket = first;
  let edgeTail = Math.exp(-BUCKET_LOG_WIDTH * (first + 1 - age)); // Of the Pareto part, what lies above the bucket's upper edge.
  let inside = below + weights[first]! - youngest + surprise * (1 - edgeTail); // In range.
  let tailAbove = 1;
  for (let index = 0; index < levels.length; index += 1) {
    const target = levels[index]! * survived; // In range.
    while (bucket < BUCKETS && reached + inside < target) {
      reached += inside;
      bucket += 1;
      from = bucket;
      tailAbove = edgeTail;
      edgeTail *= TAIL_STEP;
      if (bucket < BUCKETS) inside = weights[bucket]! + surprise * (tailAbove - edgeTail); // In range.
    }
    const quantileMs =
      bucket < BUCKETS
        ? between(from, bucket + 1, inside > 0 ? (target - reached) / inside : 0)
        : beyondBuckets(surprise * ageMs, survived - target);
    into[index] = Math.max(ageMs, quantileMs); // V1
  }
}

/** The share of work `ageMs` old that lasts longer than `deadlineMs`, in [0, 1]. */
export function survivalBeyond(weights: Float64Array, ageMs: number, deadlineMs: number): number {
  if (deadlineMs <= ageMs) return 1;
  const age = positionOf(ageMs);
  const surprise = age > 0 ? SURPRISE : 0;
  const survived = Math.max(0, 1 - massBelow(weights, age)) + surprise;
  const beyond = Math.max(0, 1 - massBelow(weights, positionOf(deadlineMs))) + surprise * (ageMs / deadlineMs);
  return survived > 0 ? Math.min(1, beyond / survived) : 0;
}

/** Takes away what lies below a position and scales the rest to 1; a histogram with nothing there becomes one bucket. In place. */
export function truncateBelow(weights: Float64Array, position: number): void {
  const whole = Math.min(BUCKETS - 1, Math.floor(position));
  weights.fill(0, 0, whole);
  weights[whole]! *= Math.min(1, Math.max(0, whole + 1 - position)); // In range.
  let left = 0;
  for (let bucket = whole; bucket < BUCKETS; bucket += 1) left += weights[bucket]!; // In range.
  if (left <= SURPRISE * SURPRISE) {
    weights.fill(0, whole);
    weights[Math.min(BUCKETS - 1, whole + 1)] = 1;
    return;
  }
  for (let bucket = whole; bucket < BUCKETS; bucket += 1) weights[bucket]! /= left; // In range.
}

function between(from: number, to: number, share: number): number {
  return durationAt(from + (to - from) * Math.min(1, Math.max(0, share)));
}

/** Where the Pareto tail leaves `left`: it is the only part that reaches so far. */
function beyondBuckets(tailMs: number, left: number): number {
  return tailMs > 0 && left > 0 ? Math.min(MILLISECONDS_MAX, tailMs / left) : durationAt(BUCKETS);
}
