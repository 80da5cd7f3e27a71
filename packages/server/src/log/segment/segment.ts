// segment.ts: one segment file: its name, its header block, and walking its commits. Not here: several segments (recover.ts,
// read.ts), making one (prepare.ts), writing to one (append.ts).
//   G1. The file "segment-<generation>.log" has its final size, its header and no block of its generation when it gets that name.
//   G2. Commits lie back to back after the header block, numbered without a gap across segments.
import { ForelockError } from "@forelock/protocol";
import type { LogRecord } from "../event-log.ts";
import {
  BLOCK_BYTES,
  type BlockState,
  type Bytes,
  blocksFor,
  encodeCommit,
  gather,
  getUint64,
  headerAt,
  judgeBlock,
  setUint64,
  withView,
} from "./block.ts";
import { type Files, type OpenFile, readFully } from "./files.ts";
import { decodeRecords } from "./record.ts";

/** A commit is at most this long, so that a torn one is looked for no further than this, and staging memory is bounded. */
export const COMMIT_BYTES_MAX = 2 * 1024 * 1024;
/** What is read at once. Larger than a commit, so that one always fits. */
export const CHUNK_BYTES = 2 * COMMIT_BYTES_MAX;
/** Enough for the header and one block; real settings start far above. */
export const SEGMENT_BYTES_MIN = 2 * BLOCK_BYTES;
/** First byte of the first commit. */
export const COMMITS_FROM = BLOCK_BYTES;

const latin1 = new TextDecoder("latin1");
const MAGIC = "FORELOG";
const FORMAT_VERSION = 1;
const HEADER_PAYLOAD_BYTES = 16;

export interface SegmentName {
  readonly generation: number;
  readonly path: string;
}

export function segmentPath(folder: string, generation: number): string {
  return `${folder}/segment-${String(generation).padStart(10, "0")}.log`;
}

/** The segments of a folder, oldest first. */
export function segmentsAmong(folder: string, names: readonly string[]): readonly SegmentName[] {
  return names
    .map((name) => /^segment-(\d{10})\.log$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map((digits) => ({ generation: Number(digits), path: segmentPath(folder, Number(digits)) }))
    .sort((a, b) => a.generation - b.generation);
}

/** Refuses to go on, and says where and what next. */
export function damaged(path: string, offset: number, what: string, cause?: unknown): ForelockError {
  const message = `${path} at byte ${offset}: ${what}. Nothing was changed; \`forelock log verify\` shows the extent.`;
  return new ForelockError("log_damaged", message, { cause, details: { file: path, offset } });
}

export function encodeHeader(generation: number, segmentBytes: number): Uint8Array {
  const payload = withView(new Uint8Array(HEADER_PAYLOAD_BYTES));
  payload.bytes.set(new TextEncoder().encode(MAGIC));
  payload.bytes[MAGIC.length] = FORMAT_VERSION;
  setUint64(payload.view, 8, segmentBytes);
  const block = withView(new Uint8Array(BLOCK_BYTES));
  encodeCommit(block, { generation, commit: 0 }, payload.bytes);
  return block.bytes;
}

/**
 * Checks the header block against the name and size of the file.
 * @returns bytes of the segment
 */
export async function readSegmentHeader(file: OpenFile, { generation, path }: SegmentName): Promise<number> {
  const block = withView(new Uint8Array(BLOCK_BYTES));
  const got = await readFully(file, block.bytes, 0);
  if (got < BLOCK_BYTES || judgeBlock(block, 0, generation) !== "whole") {
    throw damaged(path, 0, "the header is damaged, or the file was renamed");
  }
  const payload = withView(new Uint8Array(HEADER_PAYLOAD_BYTES));
  gather(block.bytes, 0, payload.bytes, 0, HEADER_PAYLOAD_BYTES);
  const magic = latin1.decode(payload.bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw damaged(path, 0, "this is no segment of a log");
  refuseNewerFormat(path, payload.bytes[MAGIC.length] ?? 0);
  const segmentBytes = getUint64(payload.view, 8);
  const size = await file.size();
  if (size !== segmentBytes)
    throw damaged(path, Math.min(size, segmentBytes), `${size} bytes instead of ${segmentBytes}`);
  return segmentBytes;
}

export function refuseNewerFormat(path: string, version: number, newest = FORMAT_VERSION): void {
  if (version > newest) {
    throw new ForelockError(
      "not_supported",
      `${path} has format version ${version}; this release reads up to ${newest}. Start a newer release.`,
    );
  }
}

/** Where the next commit is expected. */
export interface Cursor {
  readonly generation: number;
  readonly path: string;
  /** Byte offset in the segment. */
  readonly offset: number;
  readonly commit: number;
}

export interface CommitBatch {
  readonly commits: number;
  readonly records: readonly LogRecord[];
  /** Byte offset of the commit that holds the record of the same index. */
  readonly offsets: readonly number[];
  /** Byte offset of the last commit of the batch. */
  readonly lastCommitOffset: number;
  /** After the batch. */
  readonly next: Cursor;
}

/**
 * Whole commits from `cursor` on, until byte `end` or until what follows is not one: then the last `next` tells where.
 * @throws ForelockError `log_damaged` when a commit's blocks are sound but its records are not.
 */
export async function* walkCommits(file: OpenFile, cursor: Cursor, end: number): AsyncGenerator<CommitBatch, void> {
  yield* walk(file, cursor, end, isWhole);
}

/** The commit at `cursor`, which `judgeTail` found complete. */
export async function completeCommit(file: OpenFile, cursor: Cursor, end: number): Promise<CommitBatch | undefined> {
  for await (const batch of walk(file, cursor, end, isComplete)) return batch;
  return undefined;
}

type Accepts = (state: BlockState) => boolean;
const isWhole: Accepts = (state) => state === "whole";
const isComplete: Accepts = (state) => state === "whole" || state === "complete";

async function* walk(file: OpenFile, cursor: Cursor, end: number, accepts: Accepts): AsyncGenerator<CommitBatch, void> {
  const chunk = withView(new Uint8Array(Math.min(CHUNK_BYTES, Math.max(0, end - cursor.offset))));
  let at = cursor;
  while (at.offset < end) {
    const wanted = chunk.bytes.subarray(0, Math.min(chunk.bytes.byteLength, end - at.offset));
    const got = await readFully(file, wanted, at.offset);
    const batch = parseCommits(chunk, got, at, accepts);
    if (batch === undefined) return;
    yield batch;
    at = batch.next;
  }
}

/** The whole commits at the start of a chunk that was read from `cursor`; `undefined` when there is none. */
function parseCommits(chunk: Bytes, bytes: number, cursor: Cursor, accepts: Accepts): CommitBatch | undefined {
  const starts: number[] = [];
  const payloadBytes: number[] = [];
  let end = 0;
  let commit = cursor.commit;
  for (;;) {
    const found = wholeCommitAt(chunk, end, bytes, { generation: cursor.generation, commit, accepts });
    if (found === undefined) break;
    starts.push(end);
    payloadBytes.push(found);
    end += blocksFor(found) * BLOCK_BYTES;
    commit++;
  }
  const lastStart = starts.at(-1);
  if (lastStart === undefined) return undefined;
  const next = { ...cursor, offset: cursor.offset + end, commit };
  return {
    commits: starts.length,
    ...decodeCommits(chunk.bytes, { starts, payloadBytes }, cursor),
    lastCommitOffset: cursor.offset + lastStart,
    next,
  };
}

/** Copies the payloads together, so that records outlive the chunk and keep no padding alive. */
function decodeCommits(
  bytes: Uint8Array,
  commits: { readonly starts: readonly number[]; readonly payloadBytes: readonly number[] },
  cursor: Cursor,
): Pick<CommitBatch, "records" | "offsets"> {
  const payload = withView(new Uint8Array(commits.payloadBytes.reduce((sum, count) => sum + count, 0)));
  const records: LogRecord[] = [];
  const offsets: number[] = [];
  let filled = 0;
  commits.starts.forEach((start, index) => {
    const from = filled;
    const end = from + (commits.payloadBytes[index] ?? 0);
    for (let block = start; filled < end; block += BLOCK_BYTES) {
      filled += gather(bytes, block, payload.bytes, filled, end - filled);
    }
    const offset = cursor.offset + start;
    if (!decodeRecords(payload, from, end, records)) {
      throw damaged(cursor.path, offset, "a commit passes its checksums but its records do not fit it");
    }
    while (offsets.length < records.length) offsets.push(offset);
  });
  return { records, offsets };
}

/** Payload bytes of the commit whose first block is at `start`, when all its blocks are there, sound and agree. */
function wholeCommitAt(
  chunk: Bytes,
  start: number,
  end: number,
  expected: { readonly generation: number; readonly commit: number; readonly accepts: Accepts },
): number | undefined {
  let payloadBytes = 0;
  for (let index = 0; index < blocksFor(payloadBytes); index++) {
    const at = start + index * BLOCK_BYTES;
    if (at + BLOCK_BYTES > end || !expected.accepts(judgeBlock(chunk, at, expected.generation))) return undefined;
    const header = headerAt(chunk.view, at);
    if (index === 0) payloadBytes = header.payloadBytes;
    if (header.commit !== expected.commit || header.index !== index) return undefined;
    if (header.payloadBytes !== payloadBytes || payloadBytes === 0) return undefined;
  }
  return payloadBytes;
}

/** What lies behind the last whole commit. */
export interface Tail {
  /**
   * Nothing was written there; or the last commit was stopped half way; or all its content is there, and only tags of sectors
   * are old: from a crash that lost nothing that matters, or from a changed tag of an acknowledged commit. It is kept.
   */
  readonly kind: "clean" | "torn" | "complete";
  /** First byte behind the last block that holds anything of this generation; `cursor.offset` when clean. */
  readonly writtenEnd: number;
}

/**
 * Tells a torn last commit from damage, by looking at everything behind it: commits are written one after another, so that
 * whatever of a later commit is found proves that this one was whole once.
 * @throws ForelockError `log_damaged`
 */
export async function judgeTail(file: OpenFile, cursor: Cursor, segmentBytes: number): Promise<Tail> {
  const { path, offset } = cursor;
  const chunk = withView(new Uint8Array(Math.min(CHUNK_BYTES, segmentBytes - offset)));
  let writtenEnd = offset;
  let wholeBlocks = 0;
  let completeBlocks = 0;
  let blocks = COMMIT_BYTES_MAX / BLOCK_BYTES;
  for (let from = offset; from < segmentBytes; from += chunk.bytes.byteLength) {
    const got = await readFully(file, chunk.bytes.subarray(0, segmentBytes - from), from);
    for (let start = 0; start + BLOCK_BYTES <= got; start += BLOCK_BYTES) {
      const state = judgeBlock(chunk, start, cursor.generation);
      if (state === "unwritten") continue;
      const at = from + start;
      if (state === "damaged") throw damaged(path, at, "a block fails its checksum");
      if (isComplete(state)) {
        const header = headerAt(chunk.view, start);
        const belongs = header.commit === cursor.commit && at === offset + header.index * BLOCK_BYTES;
        if (!belongs)
          throw damaged(path, offset, `commit ${cursor.commit} is missing, but byte ${at} was written later`);
        blocks = Math.min(blocks, blocksFor(header.payloadBytes));
        if (isWhole(state)) wholeBlocks++;
        else completeBlocks++;
      }
      writtenEnd = at + BLOCK_BYTES;
    }
  }
  // Every block sound and still no commit; or something written where this commit cannot reach.
  if (wholeBlocks >= blocks || writtenEnd > offset + blocks * BLOCK_BYTES) {
    throw damaged(
      path,
      offset,
      `commit ${cursor.commit} is inconsistent with what is written up to byte ${writtenEnd}`,
    );
  }
  if (wholeBlocks + completeBlocks === blocks) return { kind: "complete", writtenEnd };
  return { kind: writtenEnd > offset ? "torn" : "clean", writtenEnd };
}

/** Runs `use` on an open file and closes it, whatever happens. */
export async function withFile<Result>(
  files: Files,
  path: string,
  use: (file: OpenFile) => Promise<Result>,
): Promise<Result> {
  const file = await files.open(path, "read");
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
