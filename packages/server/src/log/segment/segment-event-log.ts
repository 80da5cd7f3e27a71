// segment-event-log.ts: SegmentEventLog, the EventLog of one node: segment files and snapshot files in one folder. It owns the
// bookkeeping and puts the parts together: recover.ts, append.ts, prepare.ts, read.ts, snapshot.ts. Not here: who may open the
// folder (data-folder.ts).
//   L1. One writer: a record is refused unless it is the next of its partition, and alone in flight there.
//   L2. A segment is freed only when the older kept generation covers all of it and nobody reads it; the oldest first. The
//       newest segment with a commit stays.
//   L3. A partition that has gone to another stream is neither read nor snapshotted: generations name it with an empty state, so that
//       its records here need not be kept.
import { assert, ForelockError } from "@forelock/protocol";
import type { EventLog, LogRecord, Snapshot } from "../event-log.ts";
import { type Adoption, adoptionsAmong, isNewer, isSuperseded, loadBase, writeAdoption } from "./adopted.ts";
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
import { type Generation, generationsAmong, writeGeneration } from "./snapshot.ts";

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
  /** By partition: the newest of each. */
  readonly #adoptionByPartition = new Map<number, Adoption>();
  /** Partitions that another stream has. */
  readonly #left = new Set<number>();
  #lastEpoch: number;
  #lastCommit: number;
  #bytesSinceSnapshot: number;
  /** Being freed, or freed without a proof: it goes before the one behind it, or a start would find a gap. */
  #leaving: Segment | undefined;
  /** Snapshots and truncations run one after another. */
  #housekeeping: Promise<void> = Promise.resolve();
  /** One after another, and not behind the housekeeping: clients wait for them. */
  #adopting: Promise<unknown> = Promise.resolve();
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
    for (const adoption of found.adoptions) this.#adopted(adoption);
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
    const left = this.#left.size > 0;
    const from = (partition: number): number =>
      this.#left.has(partition) ? Number.POSITIVE_INFINITY : after(partition);
    return readRecords(this.#options.files, this.#segments, left ? from : after); // L3
  }

  /** The last record of each partition, or what a snapshot says that covers it. */
  tails(): ReadonlyMap<number, Readonly<PartitionTail>> {
    return this.#tailByPartition;
  }

  /** Another stream has the partition. Nothing of it is in flight here. */
  leave(partition: number): void {
    this.#left.add(partition);
  }

  hasLeft(partition: number): boolean {
    return this.#left.has(partition);
  }

  /**
   * Takes a partition over from another stream, which writes nothing of it any more: `snapshot` is its state after the last record there,
   * under the epoch that it has from now on. Resolves when that is durable; then its records follow here.
   * @throws ForelockError `log_stopped` when it may be durable, and the stream is then stopped; whatever failed when it is not, for certain
   */
  adopt(snapshot: Snapshot): Promise<void> {
    const adopted = this.#adopting.then(() => this.#adopt(snapshot));
    this.#adopting = adopted.catch(() => undefined); // Its caller is told; the next one starts afresh.
    return adopted;
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
      const removed = this.#adopting.then(() => this.#removeOldAdoptions()); // Not beside one that has its name, and is not known yet.
      this.#adopting = removed.catch(() => undefined);
      await removed;
    });
  }

  async loadSnapshots(): Promise<readonly Snapshot[]> {
    const { files, folder } = this.#options;
    if (this.#generations.length === 0 && this.#adoptionByPartition.size === 0) return [];
    const base = await loadBase(files, folder, this.#generations[0]);
    return base.filter(({ partition }) => !this.#left.has(partition)); // L3
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
    await this.#adopting;
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
    else if (sequence > tail.sequence || (sequence === tail.sequence && epoch > tail.epoch)) {
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

  async #adopt(snapshot: Snapshot): Promise<void> {
    const { files, folder } = this.#options;
    const { partition, epoch, sequence } = snapshot;
    if (this.#closing !== undefined || this.stopped !== undefined)
      throw new ForelockError("unavailable", `The stream in ${folder} takes nothing any more.`);
    const tail = this.#tailByPartition.get(partition) ?? NO_TAIL;
    if (this.#inFlight.has(partition)) throw wrong(`partition ${partition} has no append in flight`);
    if (epoch <= tail.epoch || sequence < tail.sequence)
      throw wrong(`partition ${partition} comes back under a higher epoch than ${tail.epoch}, behind ${tail.sequence}`);
    const before = this.#adoptionByPartition.get(partition);
    const { adoption, publish } = await writeAdoption(files, folder, this.#lastCommit, snapshot);
    try {
      await publish();
    } catch (cause) {
      // It may outlast a crash, or not: nobody may decide for the partition before a start has looked.
      throw this.#commits.fail(`Taking over partition ${partition} in ${folder}`, cause);
    }
    this.#adopted(adoption);
    this.#left.delete(partition);
    if (before !== undefined) await files.remove(before.path).catch(() => undefined); // A later generation sees to it.
  }

  #adopted(adoption: Adoption): void {
    this.#raiseTail(adoption.partition, adoption);
    const before = this.#adoptionByPartition.get(adoption.partition);
    if (before === undefined || isNewer(adoption, before)) this.#adoptionByPartition.set(adoption.partition, adoption);
  }

  async #removeOldAdoptions(): Promise<void> {
    const { files, folder } = this.#options;
    if (this.#adoptionByPartition.size === 0) return;
    for (const [partition, adoption] of this.#adoptionByPartition) {
      if (isSuperseded(adoption, this.#generations)) this.#adoptionByPartition.delete(partition);
    }
    const kept = new Set([...this.#adoptionByPartition.values()].map(({ path }) => path));
    for (const { path } of adoptionsAmong(folder, await files.list(folder)))
      if (!kept.has(path)) await files.remove(path);
  }

  /** A snapshot may be ahead of the log only in a new folder, where it is what a restore brings. */
  *#checked(snapshots: Iterable<Snapshot>): Generator<Snapshot> {
    const isNew = this.#newestGeneration === 0 && this.#lastCommit === 0;
    for (const partition of this.#left) {
      const tail = this.#tailByPartition.get(partition);
      if (tail !== undefined) yield { partition, ...tail, state: new Uint8Array(0) }; // L3
    }
    for (const snapshot of snapshots) {
      if (this.#left.has(snapshot.partition)) continue; // It left while the snapshots were built.
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
