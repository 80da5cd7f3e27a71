// replica.ts: one partition's state as this node follows it: what a standby has ready when it takes over.
//   C1. The state is what the log has up to `position`, and nothing else.
import { assert } from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { LogRecord, Snapshot } from "../log/event-log.ts";
import type { Observer } from "../partition/observer.ts";
import { Replay } from "../partition/replay.ts";
import type { PartitionState } from "../partition/state.ts";
import { Marks } from "../shard/marks.ts";
import { bulkObserver, stateOf } from "../shard/recovery.ts";
import type { Position } from "./shared-log.ts";

export type Learner = Pick<Observer, "released" | "waited" | "lost">;

export class Replica {
  readonly state: PartitionState;
  readonly #replay: Replay;
  #position: Position;
  readonly marks = new Marks();
  /** Told of holds and waits as they end, once there is nothing old left to apply: what is forecast goes on when this node takes over. */
  learner: Learner | undefined;

  constructor(state: PartitionState, position: Position, bulk: BulkStore) {
    this.state = state;
    this.#position = position;
    this.#replay = new Replay(state, {
      ...bulkObserver(bulk, state.partition),
      released: (grant) => this.learner?.released(grant),
      waited: (wait) => this.learner?.waited(wait),
      lost: (grant, why, reason, undone, warning) => this.learner?.lost(grant, why, reason, undone, warning),
    });
  }

  /** From the newest snapshot, or from nothing. */
  static from(partition: number, snapshot: Snapshot | undefined, bulk: BulkStore): Replica {
    return new Replica(stateOf(partition, snapshot), snapshot ?? { epoch: 0, sequence: 0 }, bulk);
  }

  get sequence(): number {
    return this.#position.sequence;
  }

  /** Of the last record applied. */
  get position(): Position {
    const { epoch, sequence } = this.#position;
    return { epoch, sequence };
  }

  apply(record: LogRecord): void {
    assert(record.partition === this.state.partition, "a replica follows one partition");
    assert(record.sequence === this.sequence + 1, `record ${record.sequence} follows ${this.sequence}`);
    this.#replay.take(record.elapsedMs, record.events);
    this.#position = { epoch: record.epoch, sequence: record.sequence };
    this.marks.note(record.sequence, this.state);
  }
}
