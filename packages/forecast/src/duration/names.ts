// names.ts: clients or elements by name, a bounded number of rows. Not here: pairs of them (pairs.ts).
//   N1. A number is given to a name once and to no other name, so whoever keeps it notices that the name was forgotten.
import { HistogramRows } from "./rows.ts";
import type { StateReader, StateWriter } from "./state.ts";

export class NameTable {
  readonly rows: HistogramRows;
  /** By row. Wraps after 2^32 names; what still referred to the old owner was reused long before. */
  readonly numbers: Uint32Array;
  readonly #rowByName = new Map<string, number>();
  readonly #names: string[] = [];
  #nextNumber = 1;

  constructor(rowsMax: number, halfLife: number) {
    this.rows = new HistogramRows(rowsMax, [halfLife]);
    this.numbers = new Uint32Array(rowsMax);
  }

  /** -1 when the name is not known. */
  find(name: string): number {
    return this.#rowByName.get(name) ?? -1;
  }

  /** The row of a name, new when need be, the newest in the order of use. */
  use(name: string): number {
    const known = this.#rowByName.get(name);
    if (known !== undefined) {
      this.rows.touch(known);
      return known;
    }
    return this.#add(name, this.#nextNumber++);
  }

  write(out: StateWriter): void {
    out.uint32(this.rows.used);
    out.uint32(this.rows.moves);
    out.float64(this.#nextNumber);
    for (const row of this.rows.inOrderOfUse()) {
      out.text(this.#names[row]!); // A row in use has a name.
      out.uint32(this.numbers[row]!); // In range.
      this.rows.writeRow(out, row);
    }
  }

  /** Into an empty table; of more names than fit, the least recently used are left out. */
  read(from: StateReader): void {
    const used = from.uint32();
    const moves = from.uint32();
    const nextNumber = from.float64();
    for (let index = 0; index < used; index += 1) {
      const name = from.text();
      this.rows.readRow(from, this.#add(name, from.uint32()));
    }
    this.#nextNumber = nextNumber;
    this.rows.moves = moves;
  }

  #add(name: string, number: number): number {
    const victim = this.rows.nextVictim;
    if (victim >= 0) this.#rowByName.delete(this.#names[victim]!); // A row in use has a name.
    const row = this.rows.add();
    this.#names[row] = name;
    this.numbers[row] = number; // N1
    this.#rowByName.set(name, row);
    return row;
  }
}
