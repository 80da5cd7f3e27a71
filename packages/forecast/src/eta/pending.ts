// pending.ts: waits whose end is not known yet, by the moment at which they will have outlasted their estimate. Not here: what is
// learned from that (queue-eta.ts).
//   D1. Bounded: at the limit no more are taken.
//   D2. A handle names one wait; once that is removed it answers to nothing.

declare const brand: unique symbol;
/** A wait that is followed, as `enter` named it. */
export type WaitHandle = number & { readonly [brand]: "WaitHandle" };

/** One followed wait. Changed in place by its one owner, `QueueEta`. */
export interface PendingWait {
  readonly startMs: number;
  readonly rawMs: readonly [number, number];
  /** What was told, for p50 and p90. */
  readonly toldMs: readonly [number, number];
  readonly ahead: number;
  /** For p50 and p90: has it been learned from? */
  readonly isScored: [boolean, boolean];
}

interface Due {
  readonly dueMs: number;
  readonly handle: WaitHandle;
  readonly level: 0 | 1;
}

export class PendingWaits {
  readonly #waitsMax: number;
  readonly #waits = new Map<WaitHandle, PendingWait>();
  /** A binary heap, the soonest first; of waits that were removed too, until their time comes or they are more than the others. */
  #dues: Due[] = [];
  #next = 1;

  constructor(waitsMax: number) {
    this.#waitsMax = waitsMax;
  }

  get size(): number {
    return this.#waits.size;
  }

  add(wait: PendingWait): WaitHandle | undefined {
    if (this.#waits.size >= this.#waitsMax) return undefined; // D1
    const handle = this.#next++ as WaitHandle; // The only place where one is made.
    this.#waits.set(handle, wait);
    return handle;
  }

  /** The wait of a handle, which is followed no longer. */
  remove(handle: WaitHandle): PendingWait | undefined {
    const wait = this.#waits.get(handle);
    this.#waits.delete(handle);
    if (this.#dues.length > 64 && this.#dues.length > 4 * this.#waits.size) this.#sweep();
    return wait;
  }

  /** Asks to be reminded of a level of a wait. */
  remind(handle: WaitHandle, level: 0 | 1, dueMs: number): void {
    this.#push({ dueMs, handle, level });
  }

  /** The next reminder that is due by `nowMs`, taken out; those of removed waits are passed over. */
  due(nowMs: number): { readonly wait: PendingWait; readonly handle: WaitHandle; readonly level: 0 | 1 } | undefined {
    while (this.#dues.length > 0 && this.#dues[0]!.dueMs < nowMs) {
      const { handle, level } = this.#pop();
      const wait = this.#waits.get(handle);
      if (wait !== undefined && !wait.isScored[level]) return { wait, handle, level };
    }
    return undefined;
  }

  /** Half of the reminders or more are of waits that were removed: once in so many removals, so cheap on average. */
  #sweep(): void {
    const kept = this.#dues.filter(({ handle, level }) => this.#waits.get(handle)?.isScored[level] === false);
    this.#dues = kept.sort((a, b) => a.dueMs - b.dueMs || a.handle - b.handle); // A sorted array is a heap.
  }

  #push(due: Due): void {
    let index = this.#dues.push(due) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#dues[parent]!.dueMs <= due.dueMs) break; // In range, here and below.
      this.#dues[index] = this.#dues[parent]!;
      index = parent;
    }
    this.#dues[index] = due;
  }

  #pop(): Due {
    const first = this.#dues[0]!; // The caller knows that there is one.
    const last = this.#dues.pop()!;
    const { length } = this.#dues;
    if (length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#dues[child + 1]!.dueMs < this.#dues[child]!.dueMs) child += 1;
      if (this.#dues[child]!.dueMs >= last.dueMs) break;
      this.#dues[index] = this.#dues[child]!;
      index = child;
    }
    this.#dues[index] = last;
    return first;
  }
}
