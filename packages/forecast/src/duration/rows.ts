// rows.ts: forgetting histograms in one pool, a bounded number of rows, the least recently used reused. Not here: whose row it is
// (names.ts, pairs.ts), what the counts say (forecaster.ts).
//   R1. Forgetting is growth: a new duration weighs more than the last by a constant factor, and nothing else is touched. The
//       weights of a row are divided by the newest one when they are read.
//   R2. Weights and masses are finite: a row is scaled down long before a float overflows.
//   R3. A row in use has a place in the order of use; the oldest is reused only when all rows are in use.
import { BUCKETS, type Spread } from "./buckets.ts";
import type { StateReader, StateWriter } from "./state.ts";

/** A factor at which a row is scaled down: far from the float's 3e38, and rare at any half-life. */
const SCALE_MAX = 1e18;
/** What is left of a weight this small is noise; as a denormal it would only be slow. */
const WEIGHT_MIN = 1e-12;
const NONE = -1;

export class HistogramRows {
  readonly rowsMax: number;
  readonly memories: number;
  /** Histogram of row r, memory m: from `(r * memories + m) * BUCKETS`, in units of that memory's `scales`. */
  readonly weights: Float32Array;
  /** Sum of the weights of a row and memory, in the same units. */
  readonly masses: Float64Array;
  /** What the newest duration weighed. */
  readonly scales: Float64Array;
  /** Durations learned, including those since forgotten. */
  readonly counts: Float64Array;
  readonly #growths: readonly number[];
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  #oldest = NONE;
  #newest = NONE;
  #used = 0;

  /** @param halfLives one for each memory: durations after which a duration counts half */
  constructor(rowsMax: number, halfLives: readonly number[]) {
    this.rowsMax = rowsMax;
    this.memories = halfLives.length;
    this.#growths = halfLives.map((halfLife) => 2 ** (1 / halfLife));
    this.weights = new Float32Array(rowsMax * this.memories * BUCKETS);
    this.masses = new Float64Array(rowsMax * this.memories);
    this.scales = new Float64Array(rowsMax * this.memories);
    this.counts = new Float64Array(rowsMax);
    this.#older = new Int32Array(rowsMax).fill(NONE);
    this.#newer = new Int32Array(rowsMax).fill(NONE);
  }

  get used(): number {
    return this.#used;
  }

  /** The row that `add` will give up, or -1 when one is free. */
  get nextVictim(): number {
    return this.#used < this.rowsMax ? NONE : this.#oldest;
  }

  /** An empty row, the newest in the order of use. The caller has forgotten `nextVictim`. */
  add(): number {
    let row = this.#used;
    if (row < this.rowsMax) this.#used += 1;
    else {
      row = this.#oldest;
      this.#unlink(row);
      this.weights.fill(0, row * this.memories * BUCKETS, (row + 1) * this.memories * BUCKETS);
    }
    for (let memory = 0; memory < this.memories; memory += 1) {
      this.masses[row * this.memories + memory] = 0;
      this.scales[row * this.memories + memory] = 1;
    }
    this.counts[row] = 0;
    this.#linkNewest(row);
    return row;
  }

  touch(row: number): void {
    if (row === this.#newest) return;
    this.#unlink(row);
    this.#linkNewest(row);
  }

  /** One more duration, in every memory of the row. */
  learn(row: number, spread: Spread): void {
    const { weights } = this;
    for (let memory = 0; memory < this.memories; memory += 1) {
      const at = row * this.memories + memory;
      const scale = this.#grow(at, this.#growths[memory]!); // One for each memory.
      const base = at * BUCKETS;
      // In range: a spread names buckets, and `add` gave the row.
      weights[base + spread.low]! += scale * spread.lowWeight;
      weights[base + spread.middle]! += scale * spread.middleWeight;
      weights[base + spread.high]! += scale * spread.highWeight;
      this.masses[at]! += scale;
    }
    this.counts[row]! += 1; // In range.
  }

  /** One more duration of which only a distribution is known; `distribution` sums to 1. */
  learnDistribution(row: number, distribution: Float64Array): void {
    for (let memory = 0; memory < this.memories; memory += 1) {
      const at = row * this.memories + memory;
      const scale = this.#grow(at, this.#growths[memory]!); // One for each memory.
      const base = at * BUCKETS;
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.weights[base + bucket]! += scale * distribution[bucket]!; // In range.
      this.masses[at]! += scale;
    }
    this.counts[row]! += 1; // In range.
  }

  /** Rows in order of use, oldest first. */
  *inOrderOfUse(): Generator<number> {
    for (let row = this.#oldest; row !== NONE; row = this.#newer[row]!) yield row; // In range.
  }

  writeRow(out: StateWriter, row: number): void {
    const from = row * this.memories;
    out.floats32(this.weights.subarray(from * BUCKETS, (from + this.memories) * BUCKETS));
    out.floats64(this.masses.subarray(from, from + this.memories));
    out.floats64(this.scales.subarray(from, from + this.memories));
    out.float64(this.counts[row]!); // In range.
  }

  /** Fills a row that `add` gave. */
  readRow(from: StateReader, row: number): void {
    const at = row * this.memories;
    from.floats32(this.weights.subarray(at * BUCKETS, (at + this.memories) * BUCKETS));
    from.floats64(this.masses.subarray(at, at + this.memories));
    from.floats64(this.scales.subarray(at, at + this.memories));
    this.counts[row] = from.float64();
  }

  /** The weight of the next duration (R1). */
  #grow(at: number, growth: number): number {
    const scale = this.scales[at]! * growth; // In range.
    if (scale > SCALE_MAX) return this.#scaleDown(at, scale);
    this.scales[at] = scale;
    return scale;
  }

  // R2: also the place where the mass forgets the rounding of a million additions.
  #scaleDown(at: number, scale: number): number {
    let mass = 0;
    for (let index = at * BUCKETS; index < (at + 1) * BUCKETS; index += 1) {
      const weight = this.weights[index]! / scale; // In range.
      this.weights[index] = weight < WEIGHT_MIN ? 0 : weight;
      mass += this.weights[index]!; // Just written: as the float keeps it.
    }
    this.masses[at] = mass;
    this.scales[at] = 1;
    return 1;
  }

  #unlink(row: number): void {
    const older = this.#older[row]!; // In range.
    const newer = this.#newer[row]!; // In range.
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }

  #linkNewest(row: number): void {
    this.#older[row] = this.#newest;
    this.#newer[row] = NONE;
    if (this.#newest === NONE) this.#oldest = row;
    else this.#newer[this.#newest] = row;
    this.#newest = row;
  }
}
