// bulk-store.ts: where file contents rest, as the shard needs it. Implementations: memory.ts, disk.ts; one suite in contract.ts.
// The log is the truth: bulk is written after the log and may lag, tear or run ahead at a crash; what is replayed from the log
// repairs it. Contents are never held in memory once they are on disk.
//   B1. Reads see every append and truncation made before them, on disk or not.
//   B2. `sync` resolves only when everything queued before it is durable.
//   B3. A read never returns bytes that fail their record's checksum.
//   B4. Records may be missing: an append behind the end leaves a gap, which a read refuses and `fill` closes. What is behind the gap
//       can be read all along.

/** One file of one partition, by its number (names live in the partition's state). */
export interface BulkFileId {
  readonly partition: number;
  /** 1 or more, unique within the partition, never reused. */
  readonly file: number;
}

/** One appended record, placed by the state that counts it. */
export interface BulkRecord {
  /** Index of the record in its file, from 0. */
  readonly index: number;
  /** Byte offset of the record in its file, from 0. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** CRC-32 of `bytes`, unsigned. */
  readonly checksum: number;
}

/** Which bytes of a file are read. */
export interface BulkRange {
  readonly offset: number;
  readonly bytesMax: number;
  /** Of the file, in the state of the caller. */
  readonly length: number;
  /** A record that begins at or before `offset`, behind every gap: what is before it is not looked at. */
  readonly behind?: { readonly index: number; readonly offset: number };
}

export interface BulkStore {
  /**
   * Queues a record. Replaying an append that is already there is allowed and changes nothing; one at an index below the end
   * with other bytes replaces it and cuts what follows (a crash left what was never acknowledged).
   */
  append(id: BulkFileId, record: BulkRecord): void;

  /** Queues a record that was missing, or the same again: nothing behind it is cut. Those of a gap are filled from its start on. */
  fill(id: BulkFileId, record: BulkRecord): void;

  /**
   * Queues a cut: the file keeps its first `count` records, `length` bytes. A shorter file stays as it is.
   * @param checksum of the records that are kept, as the state rolls it: for stores that must know whether they have them all
   */
  truncate(id: BulkFileId, count: number, length: number, checksum: number): void;

  /**
   * Bytes from `offset` on, at most `bytesMax`, never past `length`, the file's length in the caller's state.
   * @throws ForelockError `bulk_damaged` with file, record and offset when a checksum fails; it or `bulk_unavailable` in a gap.
   */
  read(id: BulkFileId, range: BulkRange): Promise<Uint8Array>;

  /** Whole records from `index` on, at most `recordsMax` and `bytesMax` (but at least one), never past `count`. */
  readRecords(
    id: BulkFileId,
    range: { readonly index: number; readonly recordsMax: number; readonly bytesMax: number; readonly count: number },
  ): Promise<readonly Uint8Array[]>;

  /** Resolves when all that was queued before the call is durable. @throws ForelockError `bulk_stopped` after a failed write. */
  sync(): Promise<void>;

  /** Bytes queued and not yet written: the caller holds back appends when this is large. */
  readonly pendingBytes: number;

  readonly stopped: Error | undefined;

  close(): Promise<void>;
}
