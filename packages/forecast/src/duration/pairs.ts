// pairs.ts: pairs of client and element, a bounded number of rows, found by the two numbers. Not here: the names (names.ts).
//   P1. A pair whose client or element was forgotten is never found again; its row is reused in its turn.
import { HistogramRows } from "./rows.ts";
import type { StateReader, StateWriter } from "./state.ts";

const NONE = -1;

export class PairTable {
  readonly rows: HistogramRows;
  /** By row: the place of the pair's series, or -1; see series.ts. */
  readonly series: Int32Array;
  readonly #clients: Uint32Array;
  readonly #elements: Uint32Array;
  readonly #chains: Int32Array;
  readonly #heads: Int32Array;

  constructor(rowsMax: number, halfLives: readonly number[]) {
    this.rows = new HistogramRows(rowsMax, halfLives);
    this.series = new Int32Array(rowsMax).fill(NONE);
    this.#clients = new Uint32Array(rowsMax);
    this.#elements = new Uint32Array(rowsMax);
    this.#chains = new Int32Array(rowsMax).fill(NONE);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(rowsMax))).fill(NONE); // A power of two: at least half full at most full.
  }

  /** Bytes of state for each pair, the share of the hash table included. */
  get bytesPerPair(): number {
    const { cells, counts } = this.rows;
    const arrays = [cells, counts, this.series, this.#clients, this.#elements, this.#chains, this.#heads];
    const orderOfUse = 3 * Int32Array.BYTES_PER_ELEMENT;
    return arrays.reduce((sum, array) => sum + array.byteLength, 0) / this.rows.rowsMax + orderOfUse;
  }

  /** -1 when the pair is not known. */
  find(client: number, element: number): number {
    let row = this.#heads[this.#slot(client, element)]!; // In range.
    while (row !== NONE && (this.#clients[row] !== client || this.#elements[row] !== element)) row = this.#chains[row]!; // In range.
    return row;
  }

  /** The row of a pair, new when need be, the newest in the order of use. */
  use(client: number, element: number): number {
    const row = this.find(client, element);
    if (row === NONE) return this.#add(client, element);
    this.rows.touch(row);
    return row;
  }

  /** The row that the next new pair will take from another, or -1. */
  get nextVictim(): number {
    return this.rows.nextVictim;
  }

  write(out: StateWriter): void {
    out.uint32(this.rows.used);
    out.uint32(this.rows.moves);
    for (const row of this.rows.inOrderOfUse()) {
      out.uint32(this.#clients[row]!); // In range, here and below.
      out.uint32(this.#elements[row]!);
      out.ints32(this.series.subarray(row, row + 1));
      this.rows.writeRow(out, row);
    }
  }

  /** Into an empty table; of more pairs than fit, the least recently used are left out. */
  read(from: StateReader): void {
    const used = from.uint32();
    const moves = from.uint32();
    for (let index = 0; index < used; index += 1) {
      const client = from.uint32();
      const row = this.#add(client, from.uint32());
      from.ints32(this.series.subarray(row, row + 1));
      this.rows.readRow(from, row);
    }
    this.rows.moves = moves;
  }

  #add(client: number, element: number): number {
    const victim = this.rows.nextVictim;
    if (victim >= 0) this.#unchain(victim);
    const row = this.rows.add();
    const slot = this.#slot(client, element);
    this.#clients[row] = client;
    this.#elements[row] = element;
    this.series[row] = NONE;
    this.#chains[row] = this.#heads[slot]!; // In range.
    this.#heads[slot] = row;
    return row;
  }

  #unchain(row: number): void {
    const slot = this.#slot(this.#clients[row]!, this.#elements[row]!); // In range, here and below.
    let at = this.#heads[slot]!;
    if (at === row) {
      this.#heads[slot] = this.#chains[row]!;
      return;
    }
    while (this.#chains[at] !== row) at = this.#chains[at]!;
    this.#chains[at] = this.#chains[row]!;
  }

  #slot(client: number, element: number): number {
    let hash = Math.imul(client, 0x9e3779b1) ^ Math.imul(element, 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return ((hash ^ (hash >>> 13)) >>> 0) & (this.#heads.length - 1);
  }
}
