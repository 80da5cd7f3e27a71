// histogram.ts: how often times of a kind were how long, forgetting: for people who look at one element. Forecasts have their own
// (the forecast package). Each new one counts a little more than the one before it, which is cheaper than fading all.

const BUCKETS = 40;
const FIRST_MS = 0.1;
/** Times after which half of what was counted is forgotten. */
const GROWTH = 2 ** (1 / 200);
const WEIGHT_MAX = 1e12;

export interface HistogramView {
  /** One more than counts. */
  readonly edgesMs: readonly number[];
  /** Scaled so that the newest counts 1. */
  readonly counts: readonly number[];
}

export class Histogram {
  readonly #weights = new Float64Array(BUCKETS);
  #weight = 1;

  add(ms: number): void {
    const bucket = bucketOf(ms / FIRST_MS);
    this.#weights[bucket] = (this.#weights[bucket] ?? 0) + this.#weight;
    this.#weight *= GROWTH;
    if (this.#weight < WEIGHT_MAX) return;
    for (let index = 0; index < BUCKETS; index += 1) this.#weights[index] = (this.#weights[index] ?? 0) / this.#weight;
    this.#weight = 1;
  }

  /** From the first to the last bucket that holds anything. */
  view(): HistogramView {
    const first = this.#weights.findIndex((weight) => weight > 0);
    if (first < 0) return { edgesMs: [], counts: [] };
    const last = this.#weights.findLastIndex((weight) => weight > 0);
    const counts = [...this.#weights.subarray(first, last + 1)].map((weight) => weight / this.#weight);
    const edgesMs = Array.from({ length: counts.length + 1 }, (_, index) => FIRST_MS * 2 ** (first + index));
    return { edgesMs, counts };
  }
}

/** Its logarithm to base 2, rounded down; within 32 bits, which is nearly always, as the place of the highest one. */
function bucketOf(times: number): number {
  if (times < 2) return 0;
  return times < 2 ** 32 ? 31 - Math.clz32(times) : Math.min(BUCKETS - 1, Math.floor(Math.log2(times)));
}
