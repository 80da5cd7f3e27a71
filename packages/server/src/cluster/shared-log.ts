// shared-log.ts: a log that several nodes write, each to the partitions it owns, as ownership needs it. Implementation: log/etcd/.
//   S1. The epoch record is the truth about who owns a partition. An append of any other epoch is refused `fenced`, for that
//       partition alone.
import type { EventLog, LogRecord, Snapshot } from "../log/event-log.ts";

/** Who owns a partition. Epochs of a partition only rise. */
export interface EpochRecord {
  readonly partition: number;
  /** 0 before the first owner. */
  readonly epoch: number;
  /** One process of one node (records.ts); empty before the first owner. */
  readonly owner: string;
  /** Tells two records apart. */
  readonly modRevision: number;
}

/** The last record that someone has; both 0 before the first. */
export interface Position {
  readonly epoch: number;
  readonly sequence: number;
}

export interface TakeOver {
  readonly owner: string;
  readonly after: Position;
  /** The record on which it was decided; a newer one refuses. */
  readonly expected: EpochRecord;
}

export interface Taken {
  readonly claim: EpochRecord;
  /** Every record behind `after`, unless `isBehind`. */
  readonly records: readonly LogRecord[];
  /** Some of them are only in the newest snapshot any more. */
  readonly isBehind: boolean;
}

export interface FollowSink {
  /** The next record, each once and in order. */
  record(record: LogRecord): void;
  /** The epoch record, at the start and after each change, behind every record of the epochs before. */
  epoch(record: EpochRecord): void;
}

export interface SharedLog extends EventLog {
  /** Of all partitions that ever had an owner; linearizable. */
  ownEpochs(options?: { readonly deadlineMs?: number }): Promise<ReadonlyMap<number, EpochRecord>>;

  /**
   * Raises the epoch first, then reads what was appended before. From then on appends of that epoch are taken from this log.
   * @throws ForelockError `fenced` when the record is another one by now; anything else when nothing was done
   */
  takeOver(partition: number, wish: TakeOver): Promise<Taken>;

  /** Takes appends of an epoch that another owner gave to this node, behind `at`. */
  adopt(claim: EpochRecord, at: Position): Promise<void>;

  /**
   * Names the successor in one transaction that only the present owner can make, and that holds its last record, if there is one;
   * nothing may be in flight for the partition.
   * @throws ForelockError `fenced` when this node is not the owner; anything else when it is so still
   */
  giveTo(
    partition: number,
    successor: string,
    lastRecord: LogRecord | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<EpochRecord>;

  /**
   * The newest; undefined when there is none.
   * @param atMost the older kept one instead, when it is of no later record than this and the newest is not
   */
  loadSnapshot(partition: number, atMost?: number): Promise<Snapshot | undefined>;

  /** `behind`: the next record is only in the newest snapshot any more. Resumes by itself over lost connections. */
  follow(partition: number, after: Position, sink: FollowSink, signal: AbortSignal): Promise<"aborted" | "behind">;

  /** Epoch records of partitions that are not followed here, as they change; some may be missed. @returns ends it */
  onEpoch(run: (record: EpochRecord) => void): () => void;
}
