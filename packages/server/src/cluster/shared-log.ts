// shared-log.ts: a log that several nodes write, each to the partitions it owns, as ownership needs it. Implementation: log/etcd/.
//   S1. The epoch record is the truth about who owns a partition. An append of any other epoch is refused `not_owner`, for that
//       partition alone.
import type { EventLog, LogRecord, Snapshot } from "../log/event-log.ts";

/** Who owns a partition. Epochs of a partition only rise. */
export interface EpochRecord {
  readonly epoch: number;
  /** One process of one node (records.ts). */
  readonly owner: string;
}

export interface TakenOver {
  readonly epoch: number;
  /** Every record after the one that the caller had. */
  readonly records: readonly LogRecord[];
}

export interface Follower {
  /** The next record, each once and in order. */
  record(record: LogRecord): void;
  /** The epoch changed. Every record of the epochs before it was told. */
  epoch(record: EpochRecord): void;
  /** The log no longer has what comes next: the follower has to begin again from a snapshot. Nothing more is told. */
  lost(): void;
}

export interface SharedLog extends EventLog {
  /** Of all partitions that ever had an owner; linearizable. */
  epochs(): Promise<ReadonlyMap<number, EpochRecord>>;

  /**
   * Raises the epoch first, then reads what was appended before. From then on appends of that epoch are taken from this log.
   * @param seen the record that the caller knows, compared; undefined when there was none
   * @throws ForelockError `not_owner` when the record is another one by now, `unavailable`, `outcome_unknown`
   */
  takeOver(
    partition: number,
    request: { readonly owner: string; readonly after: number; readonly seen: EpochRecord | undefined },
  ): Promise<TakenOver>;

  /** Takes appends of an epoch that another owner gave to this node, after `sequence`. */
  adopt(partition: number, at: { readonly epoch: number; readonly sequence: number }): void;

  /**
   * Names the successor in one transaction that only the present owner can make; nothing may be in flight for the partition.
   * @throws ForelockError `not_owner`; `unavailable` when nothing changed; `outcome_unknown` when it may have
   */
  giveTo(partition: number, successor: string): Promise<EpochRecord>;

  /** The newest; undefined when there is none. */
  loadSnapshot(partition: number): Promise<Snapshot | undefined>;

  /** Tells of every record after `after`, until the returned function is called. Resumes by itself over lost connections. */
  follow(partition: number, after: number, follower: Follower): () => void;
}
