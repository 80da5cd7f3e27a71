// segment-event-log.ts: SegmentEventLog, the EventLog of one node: segment files and snapshot files in one folder. It owns the
// bookkeeping and puts the parts together: recover.ts, append.ts, prepare.ts, read.ts, snapshot.ts. Not here: who may open the
// folder (data-folder.ts).
//   L1. One writer: a record is refused unless it is the next of its partition, and alone in flight there.
//   L2. A segment is freed only when the older kept generation covers all of it and nobody reads it; the oldest first. The
//       newest segment with a commit stays.
import { assert, ForelockError } from "@forelock/protocol";
import type { EventLog, LogRecord, Snapshot } from "../event-log.ts";
import { GroupCommit, type Target } from "./append.ts";
import { BLOCK_BYTES } from "./block.ts";
import type { Files } from "./files.ts";
import type { LogNotice } from "./notice.ts";
import { Preparer } from "./prepare.ts";
import { readRecords } from "./read.ts";
import { assertRecord, encodedBytes, wrong } from "./record.ts";
import { type PartitionTail, repair, type Segment, type Survey, survey } from "./recover.ts";
import {
  COMMITS_FROM,
  type Cursor,
  readSegmentHeader,
  SEGMENT_BYTES_MIN,
  type SegmentName,
  withFile,
} from "./segment.ts";
import { type Generation, generationsAmong, loadGeneration, writeGeneration } from "./snapshot.ts";

/**
 * How full a segment is when the next one is begun. Zeroing that one makes appends wait for the disk, and a server that has just
 * started has other work; with three quarters of a segment left it is ready long before it is needed.
 */
const PREPARE_FROM_RATIO = 0.25;

export const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024;

export interface SegmentLogOptions {
  /** Exists, is used by nobody else, and holds nothing else. */
  readonly folder: string;
  readonly files: Files;
  /** Size of segments made from now on: a multiple of 4 KiB. A record must fit one with its header block. */
  readonly segmentBytes: number;
  /** Told what an operator should know beside errors. */
  readonly notice: (notice: LogNotice) => void;
}

/**
 * Opens the log of a folder, or begins one; cuts a write that a crash stopped.
 * @throws ForelockError `log_damaged` with file, offset and what to do; `not_supported` for a newer format.
 */
export async function openSegmentEventLog(options: SegmentLogOptions): Promise<SegmentEventLog> {
  const { files, folder, segmentBytes, notice } = options;
  assert(segmentBytes % BLOCK_BYTES === 0, `segmentBytes ${segmentBytes} is a multiple of ${BLOCK_BYTES}`);
  assert(segmentBytes >= SEGMENT_BYTES_MIN, `segmentBytes ${segmentBytes} is at least ${SEGMENT_BYTES_MIN}`);
  const found = await survey(files, folder, notice);
  await repair(files, folder, found, notice);
  const prepared = await keepFitting(options, found.prepared);
  const newest = prepared.at(-1) ?? found.segments.at(-1);
  const preparer = new Preparer(options, (newest?.generation ?? 0) - prepared.length, prepared);
  try {
    const target = await firstTarget(options, found, preparer);
    return new SegmentEventLog(options, found, preparer, target);
  } catch (error) {
    await preparer.close();
    throw error;
  }
}

/** Removes prepared segments of another size than is set now; the newest first, so that no gap appears. */
async function keepFitting(
  { files, folder, segmentBytes }: SegmentLogOptions,
  prepared: Survey["prepared"],
): Promise<readonly SegmentName[]> {
  if (prepared.every(({ bytes }) => bytes === segmentBytes)) return prepared;
  for (const { path } of prepared.toReversed()) {
    await files.remove(path);
    await files.syncFolder(folder);
  }
  return [];
}

async function firstTarget({ files }: SegmentLogOptions, found: Survey, preparer: Preparer): Promise<Target> {
  const last = found.segments.at(-1);
  if (last !== undefined)
    return { cursor: found.next, segmentBytes: last.bytes, file: await files.open(last.path, "write_durable") };
  const target = await openTarget(files, await preparer.take(), 1);
  found.segments.push(emptySegment(target));
  return target;
}

async function openTarget(files: Files, name: SegmentName, commit: number): Promise<Target> {
  const segmentBytes = await withFile(files, name.path, (file) => readSegmentHeader(file, name));
  const file = await files.open(name.path, "write_durable");
  return { cursor: { ...name, offset: COMMITS_FROM, commit }, segmentBytes, file };
}

function emptySegment({ cursor: { generation, path, commit }, segmentBytes }: Target): Segment {
  return {
    generation,
    path,
    bytes: segmentBytes,
    firstCommit: commit,
    endOffset: COMMITS_FROM,
    lastByPartition: new Map(),
    readers: 0,
  };
}

const NO_TAIL: PartitionTail = { sequence: 0, epoch: 0 };

/** Made by `openSegmentEventLog`. */
export class SegmentEventLog implements EventLog {
  readonly #options: SegmentLogOptions;
  readonly #preparer: Preparer;
  readonly #commits: GroupCommit;
  readonly #segments: Segment[];
  readonly #tailByPartition: Map<number, PartitionTail>;
  readonly #inFlight = new Set<number>();
  /** Sound ones, newest first, at most two. */
  #generations: readonly Generation[];
  #newestGeneration: number;
  #lastEpoch: number;
  #lastCommit: number;
  #bytesSinceSnapshot: number;
  /** Being freed, or freed without a proof: it goes before the one behind it, or a start would find a gap. */
  #leaving: Segment | undefined;
  /** Snapshots and truncations run one after another. */
  #housekeeping: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: SegmentLogOptions, found: Survey, preparer: Preparer, target: Target) {
    this.#options = options;
    this.#preparer = preparer;
    this.#segments = found.segments;
    this.#tailByPartition = found.tailByPartition;
    this.#generations = found.generations;
    this.#newestGeneration = found.newestGeneration;
    this.#lastCommit = target.cursor.commit - 1;
    this.#bytesSinceSnapshot = found.bytesSinceSnapshot;
    this.#lastEpoch = Math.max(0, ...[...found.tailByPartition.values()].map(({ epoch }) => epoch));
    for (const [partition, cover] of found.generations[0]?.coverByPartition ?? []) this.#raiseTail(partition, cover);
    this.#commits = new GroupCommit({
      target,
      segmentBytes: options.segmentBytes,
      roll: (commit) => this.#roll(commit),
      onDurable: (records, next, bytes) => this.#onDurable(records, next, bytes),
      onStopped: (cause) => options.notice({ kind: "stopped", message: cause.message, cause }),
    });
  }

  get stopped(): Error | undefined {
    return this.#commits.stopped;
  }

  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  lastSequence(partition: number): number {
    return this.#tailByPartition.get(partition)?.sequence ?? 0;
  }

  lastEpoch(): number {
    return this.#lastEpoch;
  }

  append(record: LogRecord): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    if (this.#commits.stopped !== undefined) return Promise.reject(this.#commits.stopped);
    try {
      this.#assertNext(record);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#inFlight.add(record.partition); // Until it is durable; after a failure nothing is appended any more.
    return this.#commits.append(record);
  }

  read(after: (partition: number) => number): AsyncIterable<readonly LogRecord[]> {
    return readRecords(this.#options.files, this.#segments, after);
  }

  saveSnapshots(snapshots: Iterable<Snapshot>): Promise<void> {
    return this.#exclusively(async () => {
      const { files, folder } = this.#options;
      const bytesBefore = this.#bytesSinceSnapshot;
      const name = { generation: this.#newestGeneration + 1, commit: this.#lastCommit };
      const saved = await writeGeneration(files, folder, name, this.#checked(snapshots));
      this.#newestGeneration = saved.generation;
      this.#generations = [saved, ...this.#generations.slice(0, 1)];
      this.#bytesSinceSnapshot -= bytesBefore;
      for (const [partition, cover] of saved.coverByPartition) this.#raiseTail(partition, cover);
      await this.#removeOldGenerations();
    });
  }

  async loadSnapshots(): Promise<readonly Snapshot[]> {
    const newest = this.#generations[0];
    return newest === undefined ? [] : loadGeneration(this.#options.files, newest);
  }

  truncate(): Promise<void> {
    return this.#exclusively(async () => {
      let isSpareFree = true;
      for (;;) {
        this.#leaving ??= this.#nextFree();
        if (this.#leaving === undefined) break;
        await this.#preparer.recycle(this.#leaving, this.#leaving.bytes, isSpareFree);
        this.#leaving = undefined;
        isSpareFree = false;
      }
      this.#preparer.start();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#commits.close(closedError());
    await this.#housekeeping;
    await this.#preparer.close();
  }

  #assertNext(record: LogRecord): void {
    assertRecord(record);
    const { partition, sequence, epoch } = record;
    if (encodedBytes(record) > this.#commits.recordBytesMax)
      throw wrong(`a record fits a segment of ${this.#options.segmentBytes} bytes`);
    if (this.#inFlight.has(partition)) throw wrong(`partition ${partition} has no append in flight`);
    const tail = this.#tailByPartition.get(partition) ?? NO_TAIL;
    if (sequence !== tail.sequence + 1)
      throw wrong(`sequence ${sequence} of partition ${partition} follows ${tail.sequence}`);
    if (epoch < tail.epoch) throw wrong(`epoch ${epoch} of partition ${partition} is not below ${tail.epoch}`);
  }

  #onDurable(records: readonly LogRecord[], next: Cursor, bytes: number): void {
    const segment = this.#segments.at(-1);
    assert(segment?.generation === next.generation, "commits go to the newest segment");
    segment.endOffset = next.offset;
    for (const record of records) {
      this.#inFlight.delete(record.partition);
      segment.lastByPartition.set(record.partition, record.sequence);
      this.#raiseTail(record.partition, record);
    }
    this.#lastCommit = next.commit - 1;
    this.#bytesSinceSnapshot += bytes;
    if (next.offset >= segment.bytes * PREPARE_FROM_RATIO) this.#preparer.start();
  }

  async #roll(commit: number): Promise<Target> {
    const target = await openTarget(this.#options.files, await this.#preparer.take(), commit);
    this.#segments.push(emptySegment(target));
    return target;
  }

  #raiseTail(partition: number, { sequence, epoch }: PartitionTail): void {
    const tail = this.#tailByPartition.get(partition);
    if (tail === undefined) this.#tailByPartition.set(partition, { sequence, epoch });
    else if (sequence > tail.sequence) {
      tail.sequence = sequence;
      tail.epoch = epoch;
    }
    if (epoch > this.#lastEpoch) this.#lastEpoch = epoch;
  }

  /** Takes it out of the list first: a read that begins now must not meet it. */
  #nextFree(): Segment | undefined {
    const [oldest] = this.#segments;
    return oldest !== undefined && this.#isFree(oldest) ? this.#segments.shift() : undefined;
  }

  /** L2 */
  #isFree(segment: Segment): boolean {
    const older = this.#generations[1];
    const isNewestWithCommit = this.#segments.slice(1).every(({ endOffset }) => endOffset === COMMITS_FROM);
    if (older === undefined || isNewestWithCommit || segment.readers > 0) return false;
    return [...segment.lastByPartition].every(
      ([partition, last]) => last <= (older.coverByPartition.get(partition)?.sequence ?? 0),
    );
  }

  /** A snapshot may be ahead of the log only in a new folder, where it is what a restore brings. */
  *#checked(snapshots: Iterable<Snapshot>): Generator<Snapshot> {
    const isNew = this.#newestGeneration === 0 && this.#lastCommit === 0;
    for (const snapshot of snapshots) {
      const last = this.lastSequence(snapshot.partition);
      assert(
        isNew || snapshot.sequence <= last,
        `snapshot ${snapshot.sequence} of ${snapshot.partition} is not above ${last}`,
      );
      yield snapshot;
    }
  }

  async #removeOldGenerations(): Promise<void> {
    const { files, folder } = this.#options;
    const kept = new Set(this.#generations.map(({ path }) => path));
    for (const { path } of generationsAmong(folder, await files.list(folder)))
      if (!kept.has(path)) await files.remove(path);
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const done = this.#housekeeping.then(work);
    this.#housekeeping = done.catch(() => undefined); // The caller of this one learns of it; the next one starts afresh.
    return done;
  }
}

function closedError(): ForelockError {
  return new ForelockError("log_stopped", "The log is closed.");
}
