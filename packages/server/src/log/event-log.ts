// event-log.ts: where partitions keep their events, as the shard needs it. Implementations: memory.ts, segment/, etcd/.
// All of them run the one suite in contract.ts.
//   E1. What `append` resolved for survives a crash; a record is found whole or not at all.
//   E2. Records of one partition are read back in order, sequences without a gap.
//   E3. After one failure nothing is appended any more: the stream is stopped, and says why. A log that several nodes share
//       fences: an append under an epoch that is over fails with `fenced`, for certain not durable, and stops only its partition.

/** One turn of one partition. */
export interface LogRecord {
  /** Index of the partition, 0 or more. */
  readonly partition: number;
  /** Epoch of the writer; never falls within a partition. */
  readonly epoch: number;
  /** 1 for the first record of a partition, then one more each time. */
  readonly sequence: number;
  /** Milliseconds of the owner's monotonic clock since its previous record of this partition; 0 or more. */
  readonly elapsedMs: number;
  /** Encoded events. Opaque here; at most RECORD_BYTES_MAX. */
  readonly events: Uint8Array;
}

/** A larger turn must be split by its writer (semantics of the replicated log: four slots of 256 KiB). */
export const RECORD_BYTES_MAX = 1_048_576;

/** The state of one partition after `sequence`. */
export interface Snapshot {
  readonly partition: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly state: Uint8Array;
}

/** The log of one worker: one stream, many partitions. One writer. */
export interface EventLog {
  /**
   * Resolves once the record is durable. Calls made while a write is under way share the next one (group commit).
   * Where the log is another service that is out of reach, it waits until that answers.
   * At most one append per partition may be in flight; `sequence` must be the last one plus one.
   * @throws ForelockError `log_stopped` when this or an earlier write failed: whether the record is durable is then unknown.
   *   `fenced` when another node owns the partition under a higher epoch: the record is not durable, and never will be.
   */
  append(record: LogRecord): Promise<void>;

  /** Highest durable sequence of a partition; 0 when it has none. Counts records that only a snapshot still covers. */
  lastSequence(partition: number): number;

  /** Highest epoch in any record or snapshot of the stream, or given to any owner; 0 when empty. */
  lastEpoch(): number;

  /**
   * Every record whose sequence is above `after(partition)`, in stream order, in batches, up to what was durable at the call.
   * May be used beside appends. A batch's bytes stay valid after the next batch is asked for.
   */
  read(after: (partition: number) => number): AsyncIterable<readonly LogRecord[]>;

  /** Makes a new generation of snapshots durable, all or nothing. The generation before it is kept. */
  saveSnapshots(snapshots: Iterable<Snapshot>): Promise<void>;

  /** The newest whole generation; empty when there is none. */
  loadSnapshots(): Promise<readonly Snapshot[]>;

  /** Frees the space of records that the older kept generation of snapshots covers. Never removes anything else. */
  truncate(): Promise<void>;

  /** Bytes that a restart would have to read beyond the newest snapshots: what decides when to take the next. */
  readonly bytesSinceSnapshot: number;

  /** `undefined` while healthy; afterwards why the stream stopped. */
  readonly stopped: Error | undefined;

  /** Waits for appends in flight, then releases files and threads. Idempotent. */
  close(): Promise<void>;
}
