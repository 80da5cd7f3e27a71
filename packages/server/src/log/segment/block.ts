// block.ts: the 4 KiB block, the unit in which the log is written, checked and judged after a crash. Pure. Not here: what the
// payload means (record.ts), where blocks lie (segment.ts).
//
//   sector 0   generation u32 | checksum u32 | commit u64 | index u32 | payloadBytes u32 | 488 bytes of payload
//   sector 1-7 generation u32 | 508 bytes of payload                       (all integers little-endian)
//
// `commit` counts the writes of the stream from 1, `index` is the block's place within its commit, `payloadBytes` the payload of
// the whole commit; unused payload is zero. The checksum is CRC-32 of everything after it.
//   K1. Whoever changes one byte of a written block makes it "damaged", or "complete" if it was in a tag: never "whole", and never
//       "unwritten" or "torn", which recovery cuts.
//   K2. A write that a power cut stopped leaves sectors old or new. Old ones are zero or carry a smaller generation, because a
//       segment is zeroed or of a smaller generation when its use begins. That makes a block "torn" or "unwritten".
import { crc32 } from "node:zlib";

export const BLOCK_BYTES = 4096;
/** What a disk writes whole or not at all; larger real sectors are covered as well. */
export const SECTOR_BYTES = 512;
const TAG_BYTES = 4;
const HEADER_BYTES = 24;
const CHECKED_FROM = 8;
const FIRST_PAYLOAD_BYTES = SECTOR_BYTES - HEADER_BYTES;
const SECTOR_PAYLOAD_BYTES = SECTOR_BYTES - TAG_BYTES;
const SECTORS = BLOCK_BYTES / SECTOR_BYTES;
export const BLOCK_PAYLOAD_BYTES = FIRST_PAYLOAD_BYTES + (SECTORS - 1) * SECTOR_PAYLOAD_BYTES;

/** Generations are segment numbers: at 64 MiB each, 2^32 of them outlast any disk. */
export const GENERATION_MAX = 0xffff_ffff;

/**
 * `torn`: some sectors written, some not. `complete`: torn by its tags, yet all of its content is there, because what stood in
 * the missing sectors before was the same (often padding); a changed tag looks like that, too. `damaged`: written, then changed.
 */
export type BlockState = "whole" | "complete" | "unwritten" | "torn" | "damaged";

export interface BlockHeader {
  readonly commit: number;
  readonly index: number;
  /** Of the whole commit. */
  readonly payloadBytes: number;
}

/** Bytes with the view that reads numbers from them. */
export interface Bytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function withView(bytes: Uint8Array): Bytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

export function blocksFor(payloadBytes: number): number {
  return Math.max(1, Math.ceil(payloadBytes / BLOCK_PAYLOAD_BYTES));
}

/**
 * Writes one commit as whole blocks at the start of `into`.
 * @returns bytes used, a multiple of BLOCK_BYTES
 */
export function encodeCommit(
  into: Bytes,
  place: { readonly generation: number; readonly commit: number },
  payload: Uint8Array,
): number {
  const blocks = blocksFor(payload.byteLength);
  for (let index = 0; index < blocks; index++) {
    const start = index * BLOCK_BYTES;
    scatter(into.bytes, start, payload, index * BLOCK_PAYLOAD_BYTES);
    retag(into.view, start, start + BLOCK_BYTES, place.generation);
    setUint64(into.view, start + 8, place.commit);
    into.view.setUint32(start + 16, index, true);
    into.view.setUint32(start + 20, payload.byteLength, true);
    into.view.setUint32(start + 4, checksumAt(into.bytes, start), true);
  }
  return blocks * BLOCK_BYTES;
}

/** What became of the block at `start` in a segment of this generation. */
export function judgeBlock({ bytes, view }: Bytes, start: number, generation: number): BlockState {
  let current = 0;
  let newer = 0;
  for (let at = start; at < start + BLOCK_BYTES; at += SECTOR_BYTES) {
    const tag = view.getUint32(at, true);
    if (tag === generation) current++;
    else if (tag > generation) newer++;
  }
  if (current === SECTORS) return checksumAt(bytes, start) === view.getUint32(start + 4, true) ? "whole" : "damaged";
  if (newer > 0) return "damaged"; // Nobody has written that yet.
  if (current === 0) return "unwritten";
  return isWholeButForTags(bytes, start, generation) ? "complete" : "torn"; // K1: a changed tag must not pass for a torn write.
}

/** Only of a block judged whole. */
export function headerAt(view: DataView, start: number): BlockHeader {
  return {
    commit: getUint64(view, start + 8),
    index: view.getUint32(start + 16, true),
    payloadBytes: view.getUint32(start + 20, true),
  };
}

/**
 * Copies the payload of the block at `start` to `into` from byte `to`, at most `bytesMax`.
 * @returns bytes copied
 */
export function gather(bytes: Uint8Array, start: number, into: Uint8Array, to: number, bytesMax: number): number {
  const wanted = Math.min(bytesMax, BLOCK_PAYLOAD_BYTES);
  let copied = Math.min(wanted, FIRST_PAYLOAD_BYTES);
  into.set(bytes.subarray(start + HEADER_BYTES, start + HEADER_BYTES + copied), to);
  for (let sector = start + SECTOR_BYTES; copied < wanted; sector += SECTOR_BYTES) {
    const count = Math.min(wanted - copied, SECTOR_PAYLOAD_BYTES);
    into.set(bytes.subarray(sector + TAG_BYTES, sector + TAG_BYTES + count), to + copied);
    copied += count;
  }
  return wanted;
}

/** Numbers up to 2^53 as 64 bits. */
export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** Gives every sector from `start` to `end` the tag that it had when its block was written. */
export function retag(view: DataView, start: number, end: number, generation: number): void {
  for (let at = start; at < end; at += SECTOR_BYTES) view.setUint32(at, generation, true);
}

function scatter(into: Uint8Array, start: number, payload: Uint8Array, from: number): void {
  const end = Math.min(payload.byteLength, from + BLOCK_PAYLOAD_BYTES);
  let at = start + HEADER_BYTES;
  let room = FIRST_PAYLOAD_BYTES;
  let next = from;
  while (next < end) {
    const count = Math.min(end - next, room);
    into.set(payload.subarray(next, next + count), at);
    next += count;
    if (count < room) at += count;
    else at = nextSectorPayload(at);
    room = SECTOR_PAYLOAD_BYTES;
  }
  const blockEnd = start + BLOCK_BYTES;
  if (at < blockEnd) into.fill(0, at, blockEnd); // Old payload must not rest in the padding.
}

function nextSectorPayload(at: number): number {
  return (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES + TAG_BYTES;
}

function checksumAt(bytes: Uint8Array, start: number): number {
  return crc32(bytes.subarray(start + CHECKED_FROM, start + BLOCK_BYTES));
}

function isWholeButForTags(bytes: Uint8Array, start: number, generation: number): boolean {
  const copy = withView(bytes.slice(start, start + BLOCK_BYTES));
  retag(copy.view, 0, BLOCK_BYTES, generation);
  return checksumAt(copy.bytes, 0) === copy.view.getUint32(4, true);
}
