// buckets.ts: the scale on which durations are counted: 64 buckets, evenly wide in the logarithm, from 100 us to 64 days. Not
// here: the counts (rows.ts), what is read from them (survival.ts).
//   B1. Every finite duration >= 0 has a position in [0, BUCKETS): shorter and longer ones count as the first and the last.
//   B2. A spread weighs 1 in all, and its mean position is that of the duration, so a bucket's width is not the resolution.

export const BUCKETS = 64;
/** Shorter durations count as this one; a clock in whole milliseconds says 0 for them. */
export const DURATION_MS_MIN = 0.1;
/** Longer durations count as this one: 64 days. */
export const DURATION_MS_MAX = 64 * 86_400_000;
/** The largest duration or age that is taken at all; beyond it a double no longer counts milliseconds. */
export const MILLISECONDS_MAX = Number.MAX_SAFE_INTEGER;

const LOG_MIN = Math.log(DURATION_MS_MIN);
/** Width of a bucket in the natural logarithm: a factor of 1.48. */
export const BUCKET_LOG_WIDTH = (Math.log(DURATION_MS_MAX) - LOG_MIN) / BUCKETS;
const PER_LOG = 1 / BUCKET_LOG_WIDTH;

/** Where a duration lies, in buckets: 2.5 is the middle of bucket 2 in the logarithm. In [0, BUCKETS]. */
export function positionOf(durationMs: number): number {
  if (!(durationMs > DURATION_MS_MIN)) return 0; // B1
  return durationMs >= DURATION_MS_MAX ? BUCKETS : (Math.log(durationMs) - LOG_MIN) * PER_LOG;
}

/** The duration at a position, in milliseconds. */
export function durationAt(position: number): number {
  return Math.exp(LOG_MIN + position * BUCKET_LOG_WIDTH);
}

/** Refuses what is not a duration, naming the field, the value and the range. */
export function checkMilliseconds(field: string, value: number): void {
  if (value >= 0 && value <= MILLISECONDS_MAX) return;
  throw new RangeError(`${field} is ${value}; it must be a number of milliseconds from 0 to ${MILLISECONDS_MAX}.`);
}

/** How one duration is shared among its bucket and the two beside it. One owner, written in place. */
export class Spread {
  low = 0;
  middle = 0;
  high = 0;
  lowWeight = 0;
  middleWeight = 1;
  highWeight = 0;

  /**
   * Weights of the quadratic B-spline: smooth, and exact in the mean (B2). A fixed 20/60/20 forgets where in its bucket the
   * duration was; on recorded holds that costs up to 2 % of pinball loss.
   */
  set(position: number): void {
    const middle = Math.min(BUCKETS - 1, Math.floor(position));
    const fraction = position - middle;
    this.middle = middle;
    this.low = middle === 0 ? 0 : middle - 1;
    this.high = middle === BUCKETS - 1 ? middle : middle + 1;
    this.lowWeight = 0.5 * (1 - fraction) * (1 - fraction);
    this.highWeight = 0.5 * fraction * fraction;
    this.middleWeight = 1 - this.lowWeight - this.highWeight;
  }
}

/** Weights of a log-normal duration over the buckets; they sum to 1. `sigma` is that of the natural logarithm. */
export function logNormalWeights(medianMs: number, sigma: number): Float64Array {
  const weights = new Float64Array(BUCKETS);
  let total = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const z = Math.log(durationAt(bucket + 0.5) / medianMs) / sigma;
    weights[bucket] = Math.exp(-0.5 * z * z) + 1e-12;
    total += weights[bucket]!; // Just written.
  }
  return weights.map((weight) => weight / total);
}
