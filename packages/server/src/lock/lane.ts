// lane.ts: the waiters of one element in one mode, in order of arrival. Not here: who of them may go (grant.ts).
//   Q1. Order is (arrivalMs, id): arrivalMs is the partition clock at arrival, less what priority is worth.
//   Q2. A waiter that left stays in the array, marked, until half of the array is gone: leaving costs O(1) amortised.
import type { Wait } from "../partition/state.ts";

const COMPACT_MIN = 32;

export class Lane {
  #items: Wait[] = [];
  #head = 0;
  #gone = 0;

  get size(): number {
    return this.#items.length - this.#head - this.#gone;
  }

  /** Adds at its place: at the end, unless its priority counts as an earlier arrival. */
  add(wait: Wait): void {
    const last = this.#items[this.#items.length - 1];
    if (last === undefined || isBefore(last, wait)) this.#items.push(wait);
    else this.#items.splice(this.#indexOf(wait), 0, wait);
  }

  /** Takes note that `wait`, which was added before and has `gone` set, has left. */
  left(): void {
    this.#gone += 1;
    while (this.#head < this.#items.length && this.#items[this.#head]?.gone === true) {
      this.#head += 1;
      this.#gone -= 1;
    }
    if (this.#head + this.#gone >= COMPACT_MIN && (this.#head + this.#gone) * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head).filter((wait) => !wait.gone);
      this.#head = 0;
      this.#gone = 0;
    }
  }

  /** First in order that has not left. */
  first(): Wait | undefined {
    return this.#items[this.#head];
  }

  /** In order. The lane must not change while this runs. */
  *[Symbol.iterator](): IterableIterator<Wait> {
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const wait = this.#items[index];
      if (wait !== undefined && !wait.gone) yield wait;
    }
  }

  /** In order, those that came after `wait`. The lane must not change while this runs. */
  *after(wait: Wait): IterableIterator<Wait> {
    for (let index = this.#indexOf(wait); index < this.#items.length; index += 1) {
      const later = this.#items[index];
      if (later !== undefined && later !== wait && !later.gone) yield later;
    }
  }

  /** First in order whose session may be granted anything; those before it are passed over. */
  firstLive(isLive: (wait: Wait) => boolean): Wait | undefined {
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const wait = this.#items[index];
      if (wait !== undefined && !wait.gone && isLive(wait)) return wait;
    }
    return undefined;
  }

  /**
   * How many stand before `wait`. O(log n) while nobody left from the middle; else counted from the nearer end, so that who has
   * just come, or is nearly there, costs little.
   */
  countBefore(wait: Wait): number {
    const index = this.#indexOf(wait);
    if (this.#gone === 0) return index - this.#head;
    if (index - this.#head <= this.#items.length - index) return this.#count(this.#head, index);
    return this.size - this.#count(index, this.#items.length);
  }

  #count(from: number, to: number): number {
    let present = 0;
    for (let index = from; index < to; index += 1) if (this.#items[index]?.gone === false) present += 1;
    return present;
  }

  /** The waiter at `position` (1 is the first), give or take those that left from the middle. */
  at(position: number): Wait | undefined {
    const wait = this.#items[this.#head + position - 1];
    return wait === undefined || wait.gone ? undefined : wait;
  }

  #indexOf(wait: Wait): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#items[middle];
      if (other !== undefined && isBefore(other, wait)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether `a` came before `b` (Q1). */
export function isBefore(a: Wait, b: Wait): boolean {
  return a.arrivalMs !== b.arrivalMs ? a.arrivalMs < b.arrivalMs : a.id < b.id;
}
