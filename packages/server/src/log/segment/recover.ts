// recover.ts: what a start finds in the folder of a log. `survey` only reads, and is what `forelock log verify` runs as well;
// `repair` removes what a crash left. Not here: judging blocks (block.ts) and one segment's end (segment.ts).
//   R1. Only the last commit of the stream may be incomplete: it was never acknowledged, and is cut. All else is refused.
//   R2. Within a partition sequences have no gap and epochs never fall; what comes before the first is in a snapshot. A partition that
//       was with another stream in between goes on under a higher epoch, behind what a snapshot covers (A2 of adopted.ts).
//   R3. A log that ends before the commit that a snapshot names has lost its end, and is refused.
//   R4. A damaged newest generation is passed over, loudly, only when the older one and the log still make the whole.
import { ForelockError } from "@forelock/protocol";
import type { LogRecord } from "../event-log.ts";
import { ADOPTED_TEMPORARY_NAME, type Adoption, adoptionsAmong, Covers, readAdoption } from "./adopted.ts";
import { BLOCK_BYTES, headerAt, judgeBlock, retag, withView } from "./block.ts";
import { type Files, type OpenFile, readFully, writeFully } from "./files.ts";
import type { LogNotice } from "./notice.ts";
import { TEMPORARY_NAME } from "./prepare.ts";
import {
  COMMITS_FROM,
  type CommitBatch,
  type Cursor,
  completeCommit,
  damaged,
  judgeTail,
  readSegmentHeader,
  type SegmentName,
  segmentsAmong,
  walkCommits,
  withFile,
} from "./segment.ts";
import {
  type Generation,
  type GenerationName,
  generationsAmong,
  readGeneration,
  SNAPSHOT_TEMPORARY_NAME,
} from "./snapshot.ts";

/** A segment as its owner keeps it in mind. Changed in place by the log only. */
export interface Segment extends SegmentName {
  readonly bytes: number;
  readonly firstCommit: number;
  /** First byte after its last durable commit. */
  endOffset: number;
  /** Highest sequence in it, by partition. */
  readonly lastByPartition: Map<number, number>;
  /** Reads under way: a segment that is read is not freed. */
  readers: number;
}

export interface PartitionTail {
  sequence: number;
  epoch: number;
}

export interface Survey {
  /** Those in use, oldest first; the last takes the next commit. Empty when the folder is new. */
  readonly segments: Segment[];
  /** Made ready by an earlier run, and empty. */
  readonly prepared: readonly (SegmentName & { readonly bytes: number })[];
  readonly next: Cursor;
  /** Byte offset of the last whole commit in the last segment; `undefined` when that has none. */
  readonly lastCommitOffset: number | undefined;
  /** Where a torn commit ends; equals `next.offset` when there is none. */
  readonly writtenEnd: number;
  /** Whether the last commit is complete but needs its tags written anew. */
  readonly isHealed: boolean;
  readonly tailByPartition: Map<number, PartitionTail>;
  /** Sound generations, newest first: at most two. */
  readonly generations: readonly Generation[];
  readonly newestGeneration: number;
  readonly adoptions: readonly Adoption[];
  readonly bytesSinceSnapshot: number;
}

/** Sees every batch of commits that the survey walks over. */
export type BatchVisitor = (segment: SegmentName, batch: CommitBatch) => void;

/**
 * Reads and checks everything. Changes nothing.
 * @throws ForelockError `log_damaged` with file, offset and what to do; `not_supported` for a newer format.
 */
export async function survey(
  files: Files,
  folder: string,
  notice: (notice: LogNotice) => void,
  visit: BatchVisitor = () => undefined,
): Promise<Survey> {
  const names = await files.list(folder);
  const generations = await readGenerations(files, generationsAmong(folder, names), notice);
  const adoptions: Adoption[] = [];
  for (const name of adoptionsAmong(folder, names)) adoptions.push(await readAdoption(files, name));
  const covers = new Covers(adoptions, generations[0]);
  const walk = new StreamWalk({ files, covers, snapshotCommit: generations[0]?.commit ?? 0, visit });
  for (const name of segmentsAmong(folder, names)) await walk.segment(name);
  const found = walk.finish(folder);
  const saved = [...generations.slice(0, 1), ...adoptions];
  checkCover(folder, found, { saved, covers, firstByPartition: walk.firstByPartition });
  return { ...found, generations, adoptions, newestGeneration: generationsAmong(folder, names)[0]?.generation ?? 0 };
}

/** Removes what a crash left behind the last whole commit, and makes sure of that commit itself. */
export async function repair(
  files: Files,
  folder: string,
  found: Survey,
  notice: (notice: LogNotice) => void,
): Promise<void> {
  const names = await files.list(folder);
  for (const name of [TEMPORARY_NAME, SNAPSHOT_TEMPORARY_NAME, ADOPTED_TEMPORARY_NAME])
    if (names.includes(name)) await files.remove(`${folder}/${name}`);
  if (found.segments.length === 0) return;
  const { next, lastCommitOffset, writtenEnd } = found;
  const file = await files.open(next.path, "write_durable");
  try {
    // A sync that failed may have left the last commit in the page cache only, where it reads well until the next power cut.
    if (lastCommitOffset !== undefined) await rewrite(file, lastCommitOffset, next);
    if (found.isHealed) {
      const message = `${next.path}: wrote the commit at byte ${lastCommitOffset} anew; tags of its sectors were old, its content whole.`;
      notice({ kind: "tail_healed", message });
    }
    if (writtenEnd > next.offset) {
      await writeFully(file, new Uint8Array(writtenEnd - next.offset), next.offset);
      const message = `${next.path}: removed ${writtenEnd - next.offset} bytes from byte ${next.offset} on, a write that a crash stopped.`;
      notice({ kind: "tail_cut", message });
    }
  } finally {
    await file.close();
  }
}

async function rewrite(file: OpenFile, from: number, to: Cursor): Promise<void> {
  const { bytes, view } = withView(new Uint8Array(to.offset - from));
  await readFully(file, bytes, from);
  retag(view, 0, bytes.byteLength, to.generation);
  await writeFully(file, bytes, from);
}

async function readGenerations(
  files: Files,
  names: readonly GenerationName[],
  notice: (notice: LogNotice) => void,
): Promise<readonly Generation[]> {
  const sound: Generation[] = [];
  let firstDamage: unknown;
  for (const name of names) {
    if (sound.length === 2) break;
    try {
      sound.push(await readGeneration(files, name));
    } catch (cause) {
      if (!(cause instanceof ForelockError) || cause.code !== "log_damaged") throw cause;
      firstDamage ??= cause;
      notice({ kind: "snapshot_damaged", message: `${name.path} is damaged and passed over.`, cause });
    }
  }
  if (sound.length === 0 && firstDamage !== undefined) throw firstDamage; // R4: what it held may be nowhere else.
  return sound;
}

interface StreamWalkParts {
  readonly files: Files;
  readonly covers: Covers;
  /** Of the newest generation. */
  readonly snapshotCommit: number;
  readonly visit: BatchVisitor;
}

/** Folds the commits of all segments, in order. */
class StreamWalk {
  readonly firstByPartition = new Map<number, number>();
  readonly #files: Files;
  readonly #covers: Covers;
  readonly #snapshotCommit: number;
  readonly #visit: BatchVisitor;
  readonly #segments: Segment[] = [];
  readonly #prepared: (SegmentName & { readonly bytes: number })[] = [];
  readonly #tailByPartition = new Map<number, PartitionTail>();
  #next: Cursor | undefined;
  #writtenEnd = 0;
  #lastCommitOffset: number | undefined;
  #isHealed = false;
  #bytesSinceSnapshot = 0;
  #previousGeneration: number | undefined;
  /** Where the stream ended; nothing of a later commit may follow. */
  #end: Cursor | undefined;

  constructor({ files, covers, snapshotCommit, visit }: StreamWalkParts) {
    this.#files = files;
    this.#covers = covers;
    this.#snapshotCommit = snapshotCommit;
    this.#visit = visit;
  }

  async segment(name: SegmentName): Promise<void> {
    const expected = (this.#previousGeneration ?? name.generation - 1) + 1;
    if (name.generation !== expected)
      throw damaged(name.path, 0, `segment ${expected}, which comes before this one, is missing`);
    this.#previousGeneration = name.generation;
    await withFile(this.#files, name.path, async (file) => {
      const bytes = await readSegmentHeader(file, name);
      const firstCommit = this.#next?.commit ?? (await firstCommitOf(file, name));
      await this.#commits(file, {
        ...name,
        bytes,
        firstCommit,
        endOffset: COMMITS_FROM,
        lastByPartition: new Map(),
        readers: 0,
      });
    });
  }

  finish(folder: string): Omit<Survey, "generations" | "newestGeneration" | "adoptions"> {
    const next = this.#next ?? { generation: 0, path: folder, offset: 0, commit: 1 };
    return {
      segments: this.#segments,
      prepared: this.#prepared,
      next,
      lastCommitOffset: this.#lastCommitOffset,
      writtenEnd: this.#writtenEnd,
      isHealed: this.#isHealed,
      tailByPartition: this.#tailByPartition,
      bytesSinceSnapshot: this.#bytesSinceSnapshot,
    };
  }

  async #commits(file: OpenFile, segment: Segment): Promise<void> {
    const { generation, path, bytes } = segment;
    let at: Cursor = { generation, path, offset: COMMITS_FROM, commit: segment.firstCommit };
    let lastCommitOffset: number | undefined;
    for await (const batch of walkCommits(file, at, bytes)) {
      this.#fold(segment, batch);
      this.#visit(segment, batch);
      const isAfterSnapshot = batch.next.commit - 1 > this.#snapshotCommit;
      if (isAfterSnapshot) this.#bytesSinceSnapshot += batch.next.offset - at.offset;
      at = batch.next;
      lastCommitOffset = batch.lastCommitOffset;
    }
    const tail = await judgeTail(file, at, bytes);
    const completed = tail.kind === "complete" ? await completeCommit(file, at, tail.writtenEnd) : undefined;
    const isUsed = tail.writtenEnd > COMMITS_FROM;
    if (isUsed && this.#end !== undefined) {
      throw damaged(
        this.#end.path,
        this.#end.offset,
        `commit ${this.#end.commit} is missing, but ${path} was written later`,
      ); // R1
    }
    if (tail.kind !== "clean" || !isUsed) this.#end ??= at;
    if (completed !== undefined) {
      this.#fold(segment, completed);
      at = completed.next;
      lastCommitOffset = completed.lastCommitOffset;
    }
    segment.endOffset = at.offset;
    if (isUsed || this.#segments.length === 0) {
      this.#segments.push(segment);
      this.#next = at;
      this.#writtenEnd = tail.writtenEnd;
      this.#lastCommitOffset = lastCommitOffset;
      this.#isHealed = completed !== undefined;
    } else this.#prepared.push({ generation, path, bytes });
  }

  #fold(segment: Segment, batch: CommitBatch): void {
    batch.records.forEach((record, index) => {
      const tail = this.#tailByPartition.get(record.partition);
      if (tail === undefined) {
        this.firstByPartition.set(record.partition, record.sequence);
        this.#tailByPartition.set(record.partition, { sequence: record.sequence, epoch: record.epoch });
      } else {
        if (!follows(record, tail) && !this.#isBack(record, tail))
          throw damaged(segment.path, batch.offsets[index] ?? 0, gapMessage(record, tail)); // R2
        tail.sequence = record.sequence;
        tail.epoch = record.epoch;
      }
      segment.lastByPartition.set(record.partition, record.sequence);
    });
  }

  /** It was with another stream in between. */
  #isBack({ partition, sequence, epoch }: LogRecord, tail: PartitionTail): boolean {
    return epoch > tail.epoch && sequence > tail.sequence && sequence <= this.#covers.through(partition) + 1;
  }
}

function follows(record: LogRecord, tail: PartitionTail): boolean {
  return record.sequence === tail.sequence + 1 && record.epoch >= tail.epoch;
}

function gapMessage(record: LogRecord, tail: PartitionTail): string {
  return (
    `partition ${record.partition} goes from sequence ${tail.sequence} of epoch ${tail.epoch} ` +
    `to sequence ${record.sequence} of epoch ${record.epoch}`
  );
}

/** The oldest segment kept always has a whole commit (see `truncate`), unless it is the first ever. */
export async function firstCommitOf(file: OpenFile, { generation, path }: SegmentName): Promise<number> {
  if (generation === 1) return 1;
  const block = withView(new Uint8Array(BLOCK_BYTES));
  await readFully(file, block.bytes, COMMITS_FROM);
  if (judgeBlock(block, 0, generation) !== "whole")
    throw damaged(path, COMMITS_FROM, "the first block of the oldest segment is damaged");
  return headerAt(block.view, 0).commit;
}

interface Saved {
  /** The newest generation and the adoptions. */
  readonly saved: readonly { readonly path: string; readonly commit: number }[];
  readonly covers: Covers;
  readonly firstByPartition: ReadonlyMap<number, number>;
}

/** Refuses a log that does not begin where the snapshots end, or ends before them. */
function checkCover(
  folder: string,
  found: Pick<Survey, "segments" | "next" | "tailByPartition">,
  { saved, covers, firstByPartition }: Saved,
): void {
  const lastCommit = found.next.commit - 1;
  for (const { path, commit } of saved) {
    if (lastCommit >= commit) continue;
    const what = `the log ends with commit ${lastCommit}, but ${path} was saved after commit ${commit}`;
    throw damaged(found.next.path, found.next.offset, what); // R3
  }
  for (const [partition, first] of firstByPartition) {
    const covered = covers.through(partition);
    if (first > covered + 1) {
      const what = `records ${covered + 1} to ${first - 1} of partition ${partition} are missing, and no sound snapshot has them`;
      throw damaged(found.segments[0]?.path ?? folder, COMMITS_FROM, what); // R2, R4
    }
  }
}
