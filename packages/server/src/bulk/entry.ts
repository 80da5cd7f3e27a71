// entry.ts: one entry of a `.index` file, 16 bytes, little endian: end of the record in the data (u64), CRC-32 of the record
// (u32), CRC-32 of the twelve bytes before (u32). The start of a record is the end of the one before it. Behind a gap the entry before
// the first record says where that begins, and that its own record is missing: its last field is inverted.

import { crc32 } from "node:zlib";

export const ENTRY_BYTES = 16;
const CHECKED_BYTES = 12;
const HIGH = 2 ** 32;

export interface Entry {
  /** Offset just after the record, in bytes. */
  readonly end: number;
  /** CRC-32 of the record, unsigned. */
  readonly checksum: number;
  /** Only the end is known: the record itself is not there. */
  readonly isMissing: boolean;
}

/** Writes the entry at `at`. */
export function writeEntry(view: DataView, at: number, entry: Entry): void {
  view.setUint32(at, entry.end % HIGH, true);
  view.setUint32(at + 4, Math.floor(entry.end / HIGH), true);
  view.setUint32(at + 8, entry.checksum, true);
  const own = checksumAt(view, at);
  view.setUint32(at + CHECKED_BYTES, entry.isMissing ? inverted(own) : own, true);
}

/** @returns `undefined` when the entry is torn, or was never written: twelve zeros do not have the checksum zero. */
export function readEntry(view: DataView, at: number): Entry | undefined {
  const own = checksumAt(view, at);
  const found = view.getUint32(at + CHECKED_BYTES, true);
  const isMissing = found === inverted(own);
  if (found !== own && !isMissing) return undefined;
  const end = view.getUint32(at, true) + view.getUint32(at + 4, true) * HIGH;
  return { end, checksum: view.getUint32(at + 8, true), isMissing };
}

const inverted = (checksum: number): number => ~checksum >>> 0;

function checksumAt(view: DataView, at: number): number {
  return crc32(new Uint8Array(view.buffer, view.byteOffset + at, CHECKED_BYTES));
}
