// marks.ts: the hash of a partition's state at some of its records, so that two who apply the same log can be compared at equal positions.
import { stateHash } from "../partition/hash.ts";
import type { PartitionState } from "../partition/state.ts";

export interface Mark {
  readonly sequence: number;
  /** Of the state right after that record. */
  readonly hash: string;
}

/** One record in so many is marked: by whoever has it, without a word between them. */
export const MARK_EVERY = 16;
/** Marks that are remembered: who compares may be a second behind, or ahead. */
const KEPT_MAX = 64;

export class Marks {
  readonly #marks: Mark[] = [];

  /** Call when the state is exactly what the log has up to `sequence`. */
  note(sequence: number, state: PartitionState): void {
    if (sequence % MARK_EVERY !== 0) return;
    this.#marks.push({ sequence, hash: stateHash(state) });
    if (this.#marks.length > KEPT_MAX) this.#marks.shift();
  }

  /** The newest up to `sequence`. */
  before(sequence: number): Mark | undefined {
    return this.#marks.findLast((mark) => mark.sequence <= sequence);
  }

  /** Undefined when that record was not marked here, or is forgotten. */
  at(sequence: number): Mark | undefined {
    return this.#marks.find((mark) => mark.sequence === sequence);
  }
}
