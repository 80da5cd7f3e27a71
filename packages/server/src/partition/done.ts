// done.ts: the answered operations of a session in a partition, by sequence. Sequences rise, are looked for at the end and forgotten from
// the start: a list serves all of it, where a map would search for each, and be built anew again and again for what was taken out.
//   Q1. Ascending, whatever the order in which they came: a request that was long on its way finds its place.
import { assert } from "@forelock/protocol";
import type { Operation } from "./state.ts";

/** Forgotten ones at the start of the list, before the rest is moved there. */
const GONE_MIN = 32;

export class DoneOperations implements Iterable<Operation> {
  #rows: (Operation | undefined)[] = [];
  /** Before it all are forgotten. */
  #first = 0;

  get size(): number {
    return this.#rows.length - this.#first;
  }

  /** Lowest sequence; undefined when there is none. */
  get lowest(): number | undefined {
    return this.#rows[this.#first]?.sequence;
  }

  get(sequence: number): Operation | undefined {
    const last = this.#rows[this.#rows.length - 1];
    if (last === undefined || last.sequence < sequence) return undefined; // Nearly always: it is a new one.
    if (last.sequence === sequence) return last;
    const found = this.#rows[this.#placeOf(sequence)];
    return found?.sequence === sequence ? found : undefined;
  }

  has(sequence: number): boolean {
    return this.get(sequence) !== undefined;
  }

  add(operation: Operation): void {
    const { sequence } = operation;
    const last = this.#rows[this.#rows.length - 1];
    if (last === undefined || last.sequence < sequence) {
      this.#rows.push(operation);
      return;
    }
    const place = this.#placeOf(sequence);
    assert(this.#rows[place]?.sequence !== sequence, "an operation is done once");
    this.#rows.splice(place, 0, operation); // Q1
  }

  /** Takes the first one out, if its sequence is below. */
  takeBelow(sequence: number): Operation | undefined {
    const first = this.#rows[this.#first];
    if (first === undefined || first.sequence >= sequence) return undefined;
    this.#rows[this.#first] = undefined;
    this.#first += 1;
    if (this.#first === this.#rows.length) this.clear();
    else if (this.#first >= GONE_MIN && this.#first * 2 >= this.#rows.length) {
      this.#rows.copyWithin(0, this.#first);
      this.#rows.length -= this.#first;
      this.#first = 0;
    }
    return first;
  }

  clear(): void {
    this.#rows.length = 0;
    this.#first = 0;
  }

  *[Symbol.iterator](): IterableIterator<Operation> {
    for (let index = this.#first; index < this.#rows.length; index += 1) {
      const operation = this.#rows[index];
      if (operation !== undefined) yield operation;
    }
  }

  /** Where the first one stands that is not below. */
  #placeOf(sequence: number): number {
    let from = this.#first;
    let to = this.#rows.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#rows[middle]?.sequence ?? 0) < sequence) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
