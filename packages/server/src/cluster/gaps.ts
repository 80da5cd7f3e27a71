// gaps.ts: which contents of one partition's files this node does not have. A gap is always at the beginning of a file: it is what was
// appended before the snapshot with which the node began; all that came later came with the log. Not here: closing them (filler.ts).
//   A1. What is missing is told by the state alone: number, count, length and rolling checksum of the file's row.
//   A2. A cut inside a gap shortens it, and what was found or fetched of it counts no more until it is looked at again.
import type { FileRow, PartitionState } from "../partition/state.ts";

/** Where a record begins, and what those before it roll to. */
export interface Place {
  readonly index: number;
  readonly offset: number;
  readonly checksum: number;
}

export const START: Place = { index: 0, offset: 0, checksum: 0 };

export interface Gap {
  /** As the state of this partition has it now. */
  readonly row: FileRow;
  /** The first record that is not of the gap. */
  until: Place;
  /** Up to here contents are in their place; that they are the right ones only the last checksum proves. */
  have: Place;
  /** Whether what the disk had before was looked for. */
  isSurveyed: boolean;
}

export class Gaps {
  readonly #byFile = new Map<number, Gap>();

  /** Of a state whose contents all are in doubt. */
  static of(state: PartitionState): Gaps {
    const gaps = new Gaps();
    for (const row of state.files.values()) {
      const until = { index: row.count, offset: row.length, checksum: row.checksum };
      if (row.count > 0) gaps.#byFile.set(row.number, { row, until, have: START, isSurveyed: false });
    }
    return gaps;
  }

  get size(): number {
    return this.#byFile.size;
  }

  of(file: number): Gap | undefined {
    return this.#byFile.get(file);
  }

  first(): Gap | undefined {
    return this.#byFile.values().next().value;
  }

  /** Whether the gap is still one, with the same end. */
  has(gap: Gap, until: Place): boolean {
    return this.#byFile.get(gap.row.number) === gap && gap.until === until;
  }

  close({ row }: Gap): void {
    this.#byFile.delete(row.number);
  }

  /** The file was cut to `count` records. A2 */
  cut(file: number, { index, offset, checksum }: Place): void {
    const gap = this.#byFile.get(file);
    if (gap === undefined || index >= gap.until.index) return;
    if (index === 0) this.#byFile.delete(file);
    gap.until = { index, offset, checksum };
    gap.have = START;
    gap.isSurveyed = false;
  }
}
