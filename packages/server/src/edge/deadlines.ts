// deadlines.ts: one delay for many things, with one timer for all of them. Not for delays that differ: use one of these each.
//   D1. Entries stand in the order of their deadlines, because all were added with the same delay: the first is the next.
import type { Clock, Timer } from "../clock.ts";

export class Deadlines<Item> {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #expire: (item: Item) => void;
  readonly #dueMsByItem = new Map<Item, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock, delayMs: number, expire: (item: Item) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#expire = expire;
  }

  /** Calls `expire(item)` after the delay unless stopped. Starting again while it runs changes nothing. */
  start(item: Item): void {
    if (this.#dueMsByItem.has(item)) return;
    this.#dueMsByItem.set(item, this.#clock.monotonicMs() + this.#delayMs); // D1
    this.#timer ??= this.#clock.after(this.#delayMs, this.#fire);
  }

  stop(item: Item): void {
    this.#dueMsByItem.delete(item);
  }

  /** Forgets everything. */
  dispose(): void {
    this.#dueMsByItem.clear();
    this.#timer?.dispose();
    this.#timer = undefined;
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [item, dueMs] of this.#dueMsByItem) {
      if (dueMs > nowMs) {
        this.#timer = this.#clock.after(dueMs - nowMs, this.#fire);
        return;
      }
      this.#dueMsByItem.delete(item);
      this.#expire(item);
    }
  };
}
