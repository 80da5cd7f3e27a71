// conformal.ts: how far truth strays from a point forecast. Scaled errors go into a log-histogram that forgets; each level of the
// interval is then moved by whether truth kept under it, so that what is promised is what happens, whatever the errors look like.
// Not here: the point forecast and its scale (series/), which numbers belong to which key (series/shape.ts).
// Source: Gibbs and Candes (2021), Adaptive conformal inference under distribution shift, equation 2, once per level.
//   I1. Quantiles are finite and never fall from one level to the next.
//   I2. A block holds INTERVAL_NUMBERS; offsets and bucket indices stay below what they index, which is why reads carry `!`.

/** The levels of an interval, ascending. The median is the point forecast itself. */
export const LEVELS = [0.05, 0.9, 0.95, 0.99] as const;
/** Errors that a key needs before its own histogram speaks alone; with fewer, the pooled one speaks for the rest. */
export const OWN_ERRORS_MIN = 30;

// Buckets of |error| / scale, two in each power of two from 2^-9 to 2^7; the first one also takes all below, the last all above.
const SIDE = 32;
const FRACTION_BITS = 22;
const BUCKETS = 2 * SIDE;
const LOW_EXPONENT = -9;
// A block: the error that is being learned, what it weighs, the sum of all weights, errors ever learned, then these tables.
const WEIGHT = 1;
const MASS = 2;
const COUNT = 3;
const HISTOGRAM = 4;
const CORRECTIONS = HISTOGRAM + BUCKETS;
const QUANTILES = CORRECTIONS + LEVELS.length;
/** Numbers in the block of one interval. */
export const INTERVAL_NUMBERS = QUANTILES + LEVELS.length;

/** How far one miss moves a level: a shift of load is followed within some fifty errors, noise moves a level by a percent or two. */
const GAIN = 0.02;
/** A correction goes no further than this. */
const FAR = 0.2;
const PROMISED = Float64Array.from(LEVELS);
const LEVELS_MAX = LEVELS.length;
/** A corrected level stays this far from 0 and 1: beyond, a histogram has nothing to say. */
const EDGE = 0.002;
/** Weights are brought back to 1 before they lose digits. */
const WEIGHT_MAX = 1e9;
/** A pooled histogram is halved when it has this many errors, so that it forgets what no key does any more. */
const POOLED_MASS_MAX = 20_000;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);
const BIAS = (127 + LOW_EXPONENT) << (23 - FRACTION_BITS);

/** The bucket of `size` >= 0 by the bits of a float: its exponent and one digit of the fraction, without a logarithm. */
function bucketOf(size: number): number {
  float[0] = size;
  const bucket = (bits[0]! >>> FRACTION_BITS) - BIAS;
  return bucket < 0 ? 0 : bucket >= SIDE ? SIDE - 1 : bucket;
}

/** The signed edges of all buckets, ascending: BUCKETS + 1 numbers. */
const EDGES = Float64Array.from({ length: BUCKETS + 1 }, (_, index) => {
  const edge = Math.abs(index - SIDE);
  bits[0] = (edge + BIAS) << FRACTION_BITS;
  return edge === 0 ? 0 : Math.sign(index - SIDE) * float[0]!;
});

/** What a forecaster believes of errors before it has seen one: as after a few of a Laplace distribution as wide as the scale. */
export function seedPooled(pooled: Float64Array, at: number): void {
  for (let bucket = 0; bucket < BUCKETS; bucket += 1)
    pooled[at + HISTOGRAM + bucket] = 5 * (laplace(EDGES[bucket + 1]!) - laplace(EDGES[bucket]!));
  pooled[at + MASS] = 5;
}

function laplace(x: number): number {
  const below = 0.5 * Math.exp(-Math.abs(x) / 1.5);
  return x < 0 ? below : 1 - below;
}

/** Makes a block of zeros ready to learn. */
export function beginInterval(block: Float64Array, at: number, pooled: Float64Array, pooledAt: number): void {
  block[at + WEIGHT] = 1;
  redraw(block, at, pooled, pooledAt);
}

/**
 * Adds one error, truth less point forecast, in units of the scale that was known at its origin, to a key's block and to the
 * pooled one; and moves the key's levels by it. The error is the first number of the block: as an argument it would be boxed.
 * @param growth above 1: how much more the next error weighs. Old errors are forgotten by being outweighed, at no cost.
 * @returns whether it lay within the 90 % interval as last drawn
 */
export function learnError(
  block: Float64Array,
  at: number,
  pooled: Float64Array,
  pooledAt: number,
  growth: number,
): boolean {
  const error = block[at]!;
  const bucket = bucketOf(error < 0 ? -error : error);
  const index = HISTOGRAM + (error < 0 ? SIDE - 1 - bucket : SIDE + bucket);
  const weight = block[at + WEIGHT]!;
  block[at + index]! += weight;
  block[at + MASS]! += weight;
  block[at + COUNT]! += 1;
  pooled[pooledAt + index]! += 1;
  pooled[pooledAt + MASS]! += 1;
  block[at + WEIGHT] = weight * growth;
  if (weight > WEIGHT_MAX) shrink(block, at);
  for (let level = 0; level < LEVELS_MAX; level += 1) {
    const promised = PROMISED[level]!;
    const place = at + CORRECTIONS + level;
    block[place]! += GAIN * (error <= block[at + QUANTILES + level]! ? promised - 1 : promised);
  }
  return error > block[at + QUANTILES]! && error <= block[at + QUANTILES + 2]!;
}

function shrink(block: Float64Array, at: number): void {
  const share = 1 / block[at + WEIGHT]!;
  block[at + WEIGHT] = 1;
  block[at + MASS]! *= share;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) block[at + HISTOGRAM + bucket]! *= share;
}

/** Draws the quantiles of a key's block anew at the corrected levels, from its histogram and, while that is young, the pooled one. */
export function redraw(block: Float64Array, at: number, pooled: Float64Array, pooledAt: number): void {
  const borrowed = Math.max(0, OWN_ERRORS_MIN - block[at + COUNT]!) * block[at + WEIGHT]!;
  const pooledShare = borrowed / pooled[pooledAt + MASS]!;
  const total = block[at + MASS]! + borrowed;
  let level = 0;
  let target = total * levelAt(block, at, 0);
  let below = 0;
  for (let bucket = 0; bucket < BUCKETS && level < LEVELS_MAX; bucket += 1) {
    const own = block[at + HISTOGRAM + bucket]!;
    const here = borrowed === 0 ? own : own + pooledShare * pooled[pooledAt + HISTOGRAM + bucket]!;
    while (below + here >= target && level < LEVELS_MAX) {
      const inside = here > 0 ? (target - below) / here : 0;
      const low = EDGES[bucket]!;
      block[at + QUANTILES + level] = low + Math.max(0, inside) * (EDGES[bucket + 1]! - low);
      level += 1;
      target = Math.max(target, total * levelAt(block, at, level)); // I1
    }
    below += here;
  }
  for (; level < LEVELS_MAX; level += 1) block[at + QUANTILES + level] = EDGES[BUCKETS]!; // Rounding left the last ones over.
}

function levelAt(block: Float64Array, at: number, level: number): number {
  if (level >= LEVELS_MAX) return 1;
  const correction = Math.min(FAR, Math.max(-FAR, block[at + CORRECTIONS + level]!));
  block[at + CORRECTIONS + level] = correction;
  const moved = PROMISED[level]! + correction;
  return moved < EDGE ? EDGE : Math.min(moved, 1 - EDGE);
}

/** Halves a pooled histogram that has become too sure of itself. */
export function forgetPooled(pooled: Float64Array, at: number): void {
  if (pooled[at + MASS]! < POOLED_MASS_MAX) return;
  pooled[at + MASS]! *= 0.5;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) pooled[at + HISTOGRAM + bucket]! *= 0.5;
}

/** The quantile of level index `level` as last drawn, in units of the scale. */
export function drawnQuantile(block: Float64Array, at: number, level: number): number {
  return block[at + QUANTILES + level]!;
}
