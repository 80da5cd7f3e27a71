// deadlines.ts: what ends by itself, soonest first: waits that time out, countdowns, kept operations that are forgotten.
// Not here: batches, whose coordinator gives their parts up first (shard/batches.ts).
// A binary heap with lazy removal: an entry that is no longer true is dropped when it surfaces, or when half are untrue.
import type { Operation, Wait, Warning } from "./state.ts";

export type Deadline =
  | { readonly kind: "wait"; readonly atMs: number; readonly order: number; readonly wait: Wait }
  | { readonly kind: "warning"; readonly atMs: number; readonly order: number; readonly warning: Warning }
  | { readonly kind: "kept"; readonly atMs: number; readonly order: number; readonly operation: Operation };

const isTrue = (entry: Deadline): boolean => {
  switch (entry.kind) {
    case "wait":
      return !entry.wait.gone;
    case "warning":
      return entry.warning.endsAtMs === entry.atMs;
    case "kept":
      return entry.operation.forgetAtMs === entry.atMs;
  }
};

const isBefore = (a: Deadline, b: Deadline): boolean => (a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order);

const SWEEP_MIN = 1024;

export class DeadlineHeap {
  #heap: Deadline[] = [];
  #sweepAt = SWEEP_MIN;

  /** Adds an entry; one at Infinity is not kept. `order` settles equal times, so that replay sees the same order. */
  add(entry: Deadline): void {
    if (entry.atMs === Number.POSITIVE_INFINITY) return;
    if (this.#heap.length >= this.#sweepAt) this.#sweep();
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
  }

  /** The soonest that is still true. */
  first(): Deadline | undefined {
    for (;;) {
      const entry = this.#heap[0];
      if (entry === undefined || isTrue(entry)) return entry;
      this.#removeFirst();
    }
  }

  /** Entries due at `nowMs`, soonest first, at most `max`. They stay until they are no longer true. */
  due(nowMs: number, max: number): readonly Deadline[] {
    const due: Deadline[] = [];
    for (
      let entry = this.first();
      entry !== undefined && entry.atMs <= nowMs && due.length < max;
      entry = this.first()
    ) {
      due.push(entry);
      this.#removeFirst();
    }
    for (const entry of due) this.add(entry);
    return due;
  }

  #sweep(): void {
    const entries = this.#heap.filter(isTrue);
    this.#heap = [];
    this.#sweepAt = Math.max(SWEEP_MIN, entries.length * 2);
    for (const entry of entries) {
      this.#heap.push(entry);
      this.#rise(this.#heap.length - 1);
    }
  }

  #rise(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (!this.#swapIfBefore(index, parent)) return;
      index = parent;
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    let index = 0;
    for (;;) {
      const left = index * 2 + 1;
      const right = left + 1;
      const a = this.#heap[left];
      if (a === undefined) return;
      const b = this.#heap[right];
      const child = b !== undefined && isBefore(b, a) ? right : left;
      if (!this.#swapIfBefore(child, index)) return;
      index = child;
    }
  }

  /** Swaps when the entry at `a` belongs before the one at `b`. */
  #swapIfBefore(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined || !isBefore(first, second)) return false;
    this.#heap[a] = second;
    this.#heap[b] = first;
    return true;
  }
}
