// agenda.ts: what is to happen in simulated time, soonest first; at one moment in the order in which it was planned.

interface Entry<Item> {
  readonly atMs: number;
  readonly order: number;
  readonly item: Item;
}

const isBefore = <Item>(a: Entry<Item>, b: Entry<Item>): boolean =>
  a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;

/** A binary heap. What no longer holds is left in it; whoever takes it must know. */
export class Agenda<Item> {
  readonly #heap: Entry<Item>[] = [];
  #order = 0;

  /** When the next item is due; Infinity when there is none. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  plan(atMs: number, item: Item): void {
    const entry: Entry<Item> = { atMs, order: this.#order, item };
    this.#order += 1;
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  take(): Item | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first?.item;
    let index = 0;
    for (;;) {
      const left = heap[index * 2 + 1];
      if (left === undefined) break;
      const right = heap[index * 2 + 2];
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, last)) break;
      heap[index] = child;
      index = index * 2 + (isRight ? 2 : 1);
    }
    heap[index] = last;
    return first.item;
  }
}
