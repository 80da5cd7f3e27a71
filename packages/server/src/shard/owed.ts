// owed.ts: the calls that partitions owe for lost grants: handed to whoever carries them out, once durable, and what came of them to the
// log. Not here: when one is owed (preempt/), the calling (compensate/).
//   O1. A row is handed over only when it is durable: nobody is called for a loss that a crash could take back.
//   O2. A row stays until the log has what came of its call. After a restart it is handed over again: at least once, under one key.
import type { CompensationRow } from "../partition/state.ts";
import type { Shard } from "./shard.ts";

export interface OwedCall extends Omit<CompensationRow, "blocks"> {
  readonly partition: number;
}

/** Carries out calls. */
export interface CallOut {
  /** Takes a call, but none twice that it still has. @param done called at most once, later */
  take(call: OwedCall, done: (isDelivered: boolean) => void): void;
}

/** Handed over at once by one partition: the others follow when these are done. */
const HANDED_MAX = 1_000;

export class Owed {
  readonly #shards: readonly Shard[];
  readonly #callOut: CallOut;
  /** Partitions whose rows are being looked at. */
  readonly #looking = new Set<number>();

  constructor(shards: readonly Shard[], callOut: CallOut) {
    this.#shards = shards;
    this.#callOut = callOut;
  }

  /** Hands over what is new. Cheap where nothing is owed. */
  check(): void {
    for (const shard of this.#shards) {
      if (shard.state.compensations.size === 0 || this.#looking.has(shard.partition)) continue;
      this.#looking.add(shard.partition);
      const looked = (): void => {
        this.#looking.delete(shard.partition);
      };
      shard.read(({ compensations }) => {
        const calls = firstOf(compensations.values(), HANDED_MAX, shard.partition);
        return () => {
          looked();
          for (const call of calls) this.#callOut.take(call, (isDelivered) => settle(shard, call.id, isDelivered)); // O1
        };
      }, looked);
    }
  }
}

/** O2. A shard that has stopped keeps the row for the next start. */
function settle(shard: Shard, compensation: number, isDelivered: boolean): void {
  shard.submit(
    { kind: "compensated", compensation, isDelivered },
    () => undefined,
    () => {},
  );
}

function firstOf(rows: Iterable<CompensationRow>, max: number, partition: number): readonly OwedCall[] {
  const calls: OwedCall[] = [];
  for (const { id, url, argument, element, token, session, principal, why } of rows) {
    if (calls.length === max) break;
    calls.push({ partition, id, url, argument, element, token, session, principal, why });
  }
  return calls;
}
