// entry.ts: one entry of a `.index` file, 16 bytes, little endian: end of the record in the data (u64), CRC-32 of the record
// (u32), CRC-32 of the twelve bytes before (u32). The start of a record is the end of the one before it.

import { crc32 } from "node:zlib";

export const ENTRY_BYTES = 16;
const CHECKED_BYTES = 12;
const HIGH = 2 ** 32;

export interface Entry {
  /** Offset just after the record, in bytes. */
  readonly end: number;
  /** CRC-32 of the record, unsigned. */
  readonly checksum: number;
}

/** Writes the entry at `at`. */
export function writeEntry(view: DataView, at: number, entry: Entry): void {
  view.setUint32(at, entry.end % HIGH, true);
  view.setUint32(at + 4, Math.floor(entry.end / HIGH), true);
  view.setUint32(at + 8, entry.checksum, true);
  view.setUint32(at + CHECKED_BYTES, checksumAt(view, at), true);
}

/** @returns `undefined` when the entry is torn, or was never written: twelve zeros do not have the checksum zero. */
export function readEntry(view: DataView, at: number): Entry | undefined {
  if (view.getUint32(at + CHECKED_BYTES, true) !== checksumAt(view, at)) return undefined;
  const end = view.getUint32(at, true) + view.getUint32(at + 4, true) * HIGH;
  return { end, checksum: view.getUint32(at + 8, true) };
}

function checksumAt(view: DataView, at: number): number {
  return crc32(new Uint8Array(view.buffer, view.byteOffset + at, CHECKED_BYTES));
}
