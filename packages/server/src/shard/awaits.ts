// awaits.ts: who waits for the end of an operation by its reference, from whatever connection.
import { ForelockError } from "@forelock/protocol";
import type { Clock, Timer } from "../clock.ts";
import type { Operation } from "../partition/state.ts";

interface Await {
  readonly partition: number;
  readonly answer: () => void;
  readonly timer: Timer;
}

export class Awaits {
  readonly #awaits = new Map<Operation, Set<Await>>();
  readonly #clock: Clock;
  readonly #awaitsMax: number;
  #size = 0;

  constructor(clock: Clock, awaitsMax: number) {
    this.#clock = clock;
    this.#awaitsMax = awaitsMax;
  }

  get size(): number {
    return this.#size;
  }

  has(operation: Operation): boolean {
    return this.#awaits.has(operation);
  }

  /** Calls `answer` once: when the operation has ended (see `settle`), or after `waitMs`. @returns why not, at the limit */
  add(partition: number, operation: Operation, waitMs: number, answer: () => void): ForelockError | undefined {
    if (this.#size >= this.#awaitsMax) {
      return new ForelockError("watchers_full", `${this.#size} requests await operations; ${this.#awaitsMax} may.`, {
        retryAfterMs: 1_000,
      });
    }
    const waiting = this.#awaits.get(operation) ?? new Set();
    this.#awaits.set(operation, waiting);
    const entry: Await = {
      partition,
      answer,
      timer: this.#clock.after(waitMs, () => {
        waiting.delete(entry);
        if (waiting.size === 0) this.#awaits.delete(operation);
        this.#size -= 1;
        answer();
      }),
    };
    waiting.add(entry);
    this.#size += 1;
    return undefined;
  }

  /** The partition is led no more: whoever awaits something there is answered now, and told so. */
  abandon(partition: number): void {
    for (const [operation, waiting] of this.#awaits) {
      const [first] = waiting;
      if (first?.partition === partition) this.settle(operation);
    }
  }

  settle(operation: Operation): void {
    const waiting = this.#awaits.get(operation);
    if (waiting === undefined) return;
    this.#awaits.delete(operation);
    for (const entry of waiting) {
      this.#size -= 1;
      entry.timer.dispose();
      entry.answer();
    }
  }
}
