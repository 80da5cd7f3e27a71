// rows.ts: forgetting histograms in one pool, a bounded number of rows, the least recently used reused. Not here: whose row it is
// (names.ts, pairs.ts), what the counts say (forecaster.ts).
//   R1. Forgetting is growth: a new duration weighs more than the last by a constant factor, and nothing else is touched. The
//       weights of a row are divided by the newest one when they are read.
//   R2. Weights and masses are finite: a row is scaled down long before a float overflows.
//   R3. A row in use has a place in the order of use; the oldest is reused only when all rows are in use.
//   R4. That order is right to within an eighth of the table: a row that moved to its end so recently is not moved again. So a
//       working set that is small against the table costs one comparison a use.
import { BUCKETS, type Spread } from "./buckets.ts";
import type { StateReader, StateWriter } from "./state.ts";

/** Floats of one histogram, and where its mass and its scale are. */
export const CELL = BUCKETS + 2;
export const MASS = BUCKETS;
export const SCALE = BUCKETS + 1;
/** A factor at which a row is scaled down: far from the float's 3e38, and rare at any half-life. */
const SCALE_MAX = 1e18;
/** What is left of a weight this small is noise; as a denormal it would only be slow. */
const WEIGHT_MIN = 1e-12;
const NONE = -1;

export class HistogramRows {
  readonly rowsMax: number;
  readonly memories: number;
  /**
   * One cell for each row and memory, from `(row * memories + memory) * CELL`: the weights of the buckets, their sum at MASS, and
   * what the newest duration weighed at SCALE. Side by side, since a cell is read and written as one.
   */
  readonly cells: Float32Array;
  /** Durations learned, including those since forgotten. */
  readonly counts: Float64Array;
  readonly #growths: readonly number[];
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  /** By row: what `moves` was when the row last moved to the end of the order. */
  readonly #movedAt: Uint32Array;
  /** Moves so far, modulo 2^32; part of the state, as `counts` is. */
  moves = 0;
  #oldest = NONE;
  #newest = NONE;
  #used = 0;

  /** @param halfLives one for each memory: durations after which a duration counts half */
  constructor(rowsMax: number, halfLives: readonly number[]) {
    this.rowsMax = rowsMax;
    this.memories = halfLives.length;
    this.#growths = halfLives.map((halfLife) => 2 ** (1 / halfLife));
    this.cells = new Float32Array(rowsMax * this.memories * CELL);
    this.counts = new Float64Array(rowsMax);
    this.#older = new Int32Array(rowsMax).fill(NONE);
    this.#newer = new Int32Array(rowsMax).fill(NONE);
    this.#movedAt = new Uint32Array(rowsMax);
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
      this.cells.fill(0, row * this.memories * CELL, (row + 1) * this.memories * CELL);
    }
    for (let memory = 0; memory < this.memories; memory += 1)
      this.cells[(row * this.memories + memory) * CELL + SCALE] = 1;
    this.counts[row] = 0;
    this.#linkNewest(row);
    return row;
  }

  touch(row: number): void {
    if ((this.moves - this.#movedAt[row]!) >>> 0 <= this.rowsMax >>> 3) return; // In range. R4
    this.#unlink(row);
    this.#linkNewest(row);
  }

  /** One more duration, in every memory of the row. */
  learn(row: number, spread: Spread): void {
    const { cells, memories } = this;
    for (let memory = 0; memory < memories; memory += 1) {
      const cell = (row * memories + memory) * CELL;
      const scale = this.#grow(cell, this.#growths[memory]!); // One for each memory.
      // In range: a spread names buckets, and `add` gave the row.
      cells[cell + spread.low]! += scale * spread.lowWeight;
      cells[cell + spread.middle]! += scale * spread.middleWeight;
      cells[cell + spread.high]! += scale * spread.highWeight;
      cells[cell + MASS]! += scale;
    }
    this.counts[row]! += 1; // In range.
  }

  /** One more duration of which only a distribution is known; `distribution` sums to 1. */
  learnDistribution(row: number, distribution: Float64Array): void {
    for (let memory = 0; memory < this.memories; memory += 1) {
      const cell = (row * this.memories + memory) * CELL;
      const scale = this.#grow(cell, this.#growths[memory]!); // One for each memory.
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.cells[cell + bucket]! += scale * distribution[bucket]!; // In range.
      this.cells[cell + MASS]! += scale; // In range.
    }
    this.counts[row]! += 1; // In range.
  }

  /** Rows in order of use, oldest first. */
  *inOrderOfUse(): Generator<number> {
    for (let row = this.#oldest; row !== NONE; row = this.#newer[row]!) yield row; // In range.
  }

  writeRow(out: StateWriter, row: number): void {
    out.floats32(this.cells.subarray(row * this.memories * CELL, (row + 1) * this.memories * CELL));
    out.float64(this.counts[row]!); // In range, as below.
    out.uint32(this.#movedAt[row]!);
  }

  /** Fills a row that `add` gave; after the last row, `moves` is set to what it was. */
  readRow(from: StateReader, row: number): void {
    from.floats32(this.cells.subarray(row * this.memories * CELL, (row + 1) * this.memories * CELL));
    this.counts[row] = from.float64();
    this.#movedAt[row] = from.uint32();
  }

  /** The weight of the next duration (R1). */
  #grow(cell: number, growth: number): number {
    const scale = this.cells[cell + SCALE]! * growth; // In range.
    if (scale > SCALE_MAX) return this.#scaleDown(cell, scale);
    this.cells[cell + SCALE] = scale;
    return this.cells[cell + SCALE]!; // Just written: as the float keeps it.
  }

  // R2: also where the mass forgets the rounding of many additions.
  #scaleDown(cell: number, scale: number): number {
    let mass = 0;
    for (let index = cell; index < cell + BUCKETS; index += 1) {
      const weight = this.cells[index]! / scale; // In range.
      this.cells[index] = weight < WEIGHT_MIN ? 0 : weight;
      mass += this.cells[index]!; // Just written: as the float keeps it.
    }
    this.cells[cell + MASS] = mass;
    this.cells[cell + SCALE] = 1;
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
    this.moves = (this.moves + 1) >>> 0;
    this.#movedAt[row] = this.moves;
  }
}
