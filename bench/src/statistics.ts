// statistics.ts: medians, quantiles and the spread of repetitions. Pure. Not here: measuring (driver/), judging (goals.ts).

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The value at `level` in [0, 1] of values in ascending order: nearest rank, so it is a value that was seen. NaN when empty. */
export function quantileOfSorted(ascending: ArrayLike<number>, level: number): number {
  if (ascending.length === 0) return Number.NaN;
  const rank = Math.max(1, Math.ceil(level * ascending.length));
  return ascending[Math.min(rank, ascending.length) - 1]!; // The rank is in 1..length.
}

/** The middle value; the mean of the two in the middle when their number is even. NaN when empty. */
export function median(values: readonly number[]): number {
  const ascending = Float64Array.from(values).sort();
  const middle = ascending.length >> 1;
  if (ascending.length % 2 === 1) return ascending[middle]!; // Odd, so it exists.
  return ascending.length === 0 ? Number.NaN : (ascending[middle - 1]! + ascending[middle]!) / 2; // Even and not empty.
}

/** Largest less smallest, over the median: how far repetitions of one measurement disagree. */
export function spreadRatio(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : (Math.max(...values) - Math.min(...values)) / median(values);
}

/**
 * Latencies of a run. Keeps every value up to its bound and an even sample of all of them beyond: when it is full it
 * drops every second one and from then on keeps half as many.
 */
export class LatencyRecorder {
  readonly #kept: Float64Array;
  #length = 0;
  #stride = 1;
  #skip = 0;
  #count = 0;
  #maxMs = 0;

  constructor(keptMax = 1 << 20) {
    this.#kept = new Float64Array(keptMax);
  }

  add(ms: number): void {
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
    this.#skip += 1;
    if (this.#skip < this.#stride) return;
    this.#skip = 0;
    if (this.#length === this.#kept.length) this.#halve();
    this.#kept[this.#length] = ms;
    this.#length += 1;
  }

  summary(): LatencySummary {
    const ascending = this.#kept.slice(0, this.#length).sort();
    return {
      count: this.#count,
      p50Ms: quantileOfSorted(ascending, 0.5),
      p99Ms: quantileOfSorted(ascending, 0.99),
      maxMs: this.#maxMs,
    };
  }

  #halve(): void {
    const half = this.#length >> 1;
    for (let index = 0; index < half; index += 1) this.#kept[index] = this.#kept[index * 2]!; // In range: index * 2 < length.
    this.#length = half;
    this.#stride *= 2;
  }
}
