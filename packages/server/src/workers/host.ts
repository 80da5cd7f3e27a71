// host.ts: what a worker does about partitions that come and go: the worker's side of a move. Not here: who moves what (mover.ts), between
// which threads (../worker-thread.ts).
//   P1. Given away: what is decided is durable, and so are the file contents, before the state is handed on. Nothing is decided meanwhile.
//   P2. Taken: nothing is decided before the state is durable in the stream of this worker, under the next epoch of the partition. No other
//       worker has that: only whoever has been given the partition takes it, and a start goes above every epoch that it finds.
//   P3. The giver lets go for good only when the taker has it durably. When nobody knows whether it has, nobody decides until a start
//       has looked at the streams.

import type { Snapshot } from "../log/event-log.ts";
import { decodeSnapshot, encodeSnapshot } from "../partition/snapshot.ts";
import type { Node } from "../shard/node.ts";
import { notOwner } from "../shard/shard.ts";

/** A partition on its way. */
export interface Given {
  readonly partition: number;
  /** Under which it was decided for until now. */
  readonly epoch: number;
  readonly sequence: number;
  readonly state: Uint8Array;
}

/** What a move asks of a worker. */
export interface Host {
  /** P1. @throws what keeps it from being given: it is then decided for as before */
  give(partition: number): Promise<Given>;
  /** P2. @throws ForelockError `log_stopped` when nobody knows whether this worker has it; whatever else when it has not */
  take(given: Given): Promise<void>;
  /** It is decided for here again. */
  keep(partition: number): Promise<void>;
  /** The worker `to` has it. */
  gave(partition: number, to: number): Promise<void>;
  /** P3. Nobody decides for it. */
  lose(partition: number): Promise<void>;
}

export interface HostParts {
  /** This one. */
  readonly worker: number;
  readonly node: Node;
  readonly log: {
    adopt(snapshot: Snapshot): Promise<void>;
    tails(): ReadonlyMap<number, { readonly epoch: number }>;
    leave(partition: number): void;
  };
  readonly bulk: { sync(): Promise<void>; forget(partition: number): Promise<void> };
  /** Called in the turn in which this worker begins to decide for it, or ceases to. @param worker who does from now on */
  readonly changed: (partition: number, worker: number | undefined) => void;
}

export class PartitionHost implements Host {
  readonly #parts: HostParts;

  constructor(parts: HostParts) {
    this.#parts = parts;
  }

  async give(partition: number): Promise<Given> {
    const { node, log, bulk } = this.#parts;
    const shard = node.shardAt(partition);
    if (!node.leads(partition)) throw notOwner(partition);
    await shard.freeze();
    if (shard.stopped !== undefined) throw shard.stopped;
    try {
      await bulk.sync();
    } catch (error) {
      shard.thaw();
      throw error;
    }
    const { state, sequence } = shard;
    // The stream's, where it came just now and has decided nothing yet, its own start included.
    const epoch = Math.max(state.epoch, log.tails().get(partition)?.epoch ?? 0);
    return { partition, epoch, sequence, state: encodeSnapshot(state) };
  }

  async take({ partition, epoch: before, sequence, state }: Given): Promise<void> {
    const { node, log, bulk, changed, worker } = this.#parts;
    const epoch = before + 1;
    const decoded = decodeSnapshot(partition, state); // First: what fails behind the next step but one is known to nobody.
    await bulk.forget(partition); // What is known of them is from the last time that it was here.
    await log.adopt({ partition, sequence, epoch, state });
    const led = node.lead(decoded, epoch);
    led.catch(() => {}); // The stream has stopped, and whoever asks is told so.
    changed(partition, worker);
  }

  async keep(partition: number): Promise<void> {
    this.#parts.node.shardAt(partition).thaw();
  }

  async gave(partition: number, to: number): Promise<void> {
    this.#let(partition, to);
    this.#parts.log.leave(partition);
  }

  async lose(partition: number): Promise<void> {
    this.#let(partition, undefined);
  }

  #let(partition: number, to: number | undefined): void {
    this.#parts.changed(partition, to);
    this.#parts.node.resign(partition);
  }
}
