// knots.ts: a distribution over the buckets from a few of its quantiles. Not here: where the quantiles come from.
import { BUCKETS } from "./buckets.ts";
import { DURATION_QUANTILES } from "./forecast.ts";

const LEVELS = DURATION_QUANTILES.length;
/** A distribution narrower than this (in buckets) would be sure of itself beyond what the buckets can say. */
const WIDTH_MIN = 0.05;

/**
 * Weights of the buckets, summing to 1: evenly between two quantiles, and beyond the outer ones as wide again as beside them.
 * @param positions of `DURATION_QUANTILES`, in buckets, never falling, finite
 */
export function weightsFromQuantiles(positions: Float64Array, into: Float64Array): void {
  into.fill(0);
  let from = positions[0]! - Math.max(WIDTH_MIN, 0.5 * (positions[1]! - positions[0]!)); // LEVELS entries, here and below.
  let level = 0;
  for (let index = 0; index < LEVELS; index += 1) {
    pour(into, from, positions[index]!, DURATION_QUANTILES[index]! - level);
    from = positions[index]!;
    level = DURATION_QUANTILES[index]!;
  }
  const tail = Math.max(WIDTH_MIN, positions[LEVELS - 1]! - positions[LEVELS - 2]!);
  pour(into, from, from + tail, 1 - level);
}

/** Spreads `mass` evenly from one position to another; what lies outside the buckets goes to the outermost. */
function pour(into: Float64Array, from: number, to: number, mass: number): void {
  const start = Math.min(BUCKETS - WIDTH_MIN, Math.max(0, from));
  const end = Math.min(BUCKETS, Math.max(start + WIDTH_MIN / 10, to));
  const density = mass / (end - start);
  for (let bucket = Math.floor(start); bucket < end && bucket < BUCKETS; bucket += 1) {
    into[bucket]! += density * (Math.min(end, bucket + 1) - Math.max(start, bucket)); // In range.
  }
}
