// fences.ts: the numbers that steps of batches carry to other partitions, so that a late one is refused there (M7 of batch/decide.ts).
//   F1. They rise with the epoch of the home partition, and within it whenever an answer was lost: what was asked before may still arrive.
//   F2. A step in the home partition itself needs none: its log refuses a deposed driver.
import type { Fence } from "../partition/commands.ts";
import type { Shard } from "./shard.ts";

/** Above the answers that can get lost under one epoch: at most one a retry counts. Epochs are below 2^23, so this is exact. */
const EPOCH_SCALE = 2 ** 30;

export class Fences {
  readonly #lost = new WeakMap<Shard, number>();

  /** @param isCluster else there is one driver only, and nothing is lost */
  of(home: Shard, partition: number, isCluster: boolean): Fence | undefined {
    if (!isCluster || partition === home.partition) return undefined; // F2
    return { home: home.partition, number: this.#numberOf(home) };
  }

  /** Whether a higher one is in use by now. */
  isOld(home: Shard, { number }: Fence): boolean {
    return number < this.#numberOf(home);
  }

  /** F1. Several steps under one fence raise it once. */
  lost(home: Shard, { number }: Fence): void {
    if (number === this.#numberOf(home)) this.#lost.set(home, (this.#lost.get(home) ?? 0) + 1);
  }

  #numberOf(home: Shard): number {
    return home.state.epoch * EPOCH_SCALE + (this.#lost.get(home) ?? 0);
  }
}
