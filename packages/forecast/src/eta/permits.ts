// permits.ts: when permits become free, for a semaphore: several holders, and whoever is first in the queue takes the next permit.
// Not here: exclusive elements, whose waits are sums (waiting.ts).
//   P1. No chance in it: every duration is drawn at the same PATHS evenly spaced levels, in another order for each draw, so that
//       each distribution is met exactly and the orders do not go together.
import { BUCKETS, durationAt } from "../duration/buckets.ts";

/** A prime, so that every multiplier below it gives another order. */
const PATHS = 127;
/** Waiters that are followed one by one; who is further back waits for the average of the rest. */
export const FOLLOWED_MAX = 64;
/** Permits that are followed one by one; more of them behave as so many with a queue in proportion. */
export const PERMITS_MAX = 32;

/**
 * Waits of everyone in a queue for permits.
 * @param holders residual weights of those who hold a permit, 1 to PERMITS_MAX
 * @param queue weights of the holds of those who wait, in order, at most FOLLOWED_MAX
 * @returns for each place in the queue, and for one more behind them, PATHS waits in milliseconds, ascending
 */
export function permitWaitsMs(
  holders: readonly Float64Array[],
  queue: readonly Float64Array[],
): readonly Float64Array[] {
  const heldMs = holders.map(drawsMs);
  const queueMs = queue.map(drawsMs);
  const waitsMs = Array.from({ length: queue.length + 1 }, () => new Float64Array(PATHS));
  const freeAtMs = new Float64Array(holders.length);
  for (let path = 0; path < PATHS; path += 1) {
    for (let permit = 0; permit < holders.length; permit += 1)
      freeAtMs[permit] = heldMs[permit]![drawIndex(path, permit)]!; // In range.
    for (let place = 0; place <= queue.length; place += 1) {
      let next = 0;
      for (let permit = 1; permit < freeAtMs.length; permit += 1)
        if (freeAtMs[permit]! < freeAtMs[next]!) next = permit; // In range.
      waitsMs[place]![path] = freeAtMs[next]!; // In range, here and below.
      if (place < queue.length) freeAtMs[next]! += queueMs[place]![drawIndex(path, holders.length + place)]!;
    }
  }
  for (const waits of waitsMs) waits.sort();
  return waitsMs;
}

/** A quantile of waits as `permitWaitsMs` returns them. */
export function quantileOfWaitsMs(waitsMs: Float64Array, level: number): number {
  return waitsMs[Math.min(PATHS - 1, Math.floor(level * PATHS))]!; // In range.
}

// P1
function drawIndex(path: number, draw: number): number {
  const multiplier = 1 + ((draw * 37) % (PATHS - 1));
  return ((path + 1) * multiplier) % PATHS;
}

/** PATHS durations at evenly spaced levels, ascending. */
function drawsMs(weights: Float64Array): Float64Array {
  const draws = new Float64Array(PATHS);
  let bucket = 0;
  let below = 0;
  for (let index = 0; index < PATHS; index += 1) {
    const level = (index + 0.5) / PATHS;
    while (bucket < BUCKETS - 1 && below + weights[bucket]! < level) {
      below += weights[bucket]!; // In range, here and above.
      bucket += 1;
    }
    const weight = weights[bucket]!; // In range.
    draws[index] = durationAt(bucket + (weight > 0 ? Math.min(1, (level - below) / weight) : 0.5));
  }
  return draws;
}
