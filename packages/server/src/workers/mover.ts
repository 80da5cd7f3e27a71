// mover.ts: one partition from worker to worker, step by step. Not here: what each step does (host.ts), which partition (balance.ts).
//   M1. One move at a time, in the order in which they were asked for.
//   M2. Whoever asks is sent to the taker before the giver turns it away.
import { ForelockError } from "@forelock/protocol";
import type { Host } from "./host.ts";

export interface MoverParts {
  /** By worker. */
  readonly hosts: readonly Host[];
  /** Where a partition is; undefined: nobody decides for it. */
  readonly holder: (partition: number) => number | undefined;
  /** Tells everybody. @param worker undefined: nobody */
  readonly moved: (partition: number, worker: number | undefined) => void;
}

/** Moves that wait; a worker that drains has at most all partitions to give. */
export const MOVES_WAITING_MAX = 1_024;

export class Mover {
  readonly #parts: MoverParts;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  done = 0;
  failed = 0;

  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /**
   * @returns the epoch that it has from now on; undefined where it was there already
   * @throws ForelockError why it stayed, or where it is not known who has it: `log_stopped`
   */
  move(partition: number, to: number): Promise<number | undefined> {
    if (this.#waiting >= MOVES_WAITING_MAX)
      return Promise.reject(new ForelockError("overloaded", `${this.#waiting} moves wait.`, { retryAfterMs: 1_000 }));
    this.#waiting += 1;
    const moved = this.#last.then(() => this.#move(partition, to));
    this.#last = moved.then(
      () => this.#ended("done"),
      () => this.#ended("failed"), // Its caller is told; the next one is another partition's.
    );
    return moved;
  }

  /** Waits for what was asked for. */
  async idle(): Promise<void> {
    await this.#last;
  }

  #ended(how: "done" | "failed"): void {
    this.#waiting -= 1;
    this[how] += 1;
  }

  async #move(partition: number, to: number): Promise<number | undefined> {
    const { hosts, holder, moved } = this.#parts;
    const from = holder(partition);
    const giver = from === undefined ? undefined : hosts[from];
    const taker = hosts[to];
    if (from === to) return undefined;
    if (giver === undefined || taker === undefined)
      throw new ForelockError("unavailable", `Nobody decides for partition ${partition}.`);
    const given = await giver.give(partition);
    try {
      await taker.take(given);
    } catch (error) {
      if (error instanceof ForelockError && error.code === "log_stopped") {
        moved(partition, undefined);
        await giver.lose(partition); // P3 of host.ts
      } else await giver.keep(partition);
      throw error;
    }
    moved(partition, to); // M2
    await giver.gave(partition, to);
    return given.epoch + 1;
  }
}
