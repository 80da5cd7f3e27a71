// disk-file.ts: one open file of the disk store: `<file>.data` holds the bytes of all records, one after the other, so that
// `cat` shows them; `<file>.index` holds one entry (entry.ts) per record. Not here: queues and descriptors (disk.ts).
//   F1. Everything is written in its place, given by index and offset; nothing depends on what a crash left at the end. So a replay
//       from the last synced point makes the file right, whether data or entries were lost, torn, or there before.
//   F2. An append also rewrites what already stands there: after a failed sync the system may show pages as clean that never
//       reached the disk, and only writing them again makes the next sync tell the truth.
//   F3. A read verifies the whole of each record that it touches.
//   F4. A record is written where index and offset say, whatever is before it. When the entry before it does not end there, it is made
//       an entry of a missing record that does: so a record behind a gap can be read, and those in the gap are refused.
// Per open file: a few numbers and a cursor. Nothing per record.

import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import type { BulkRecord } from "./bulk-store.ts";
import { ENTRY_BYTES, type Entry, readEntry, writeEntry } from "./entry.ts";
import type { OpenFile } from "./files.ts";

/** Entries taken from the index by one read, 64 KiB of them: without a bound a read of empty records would load all of them. */
const ENTRIES_PER_READ_MAX = 4_096;

/** Consecutive records: each begins where the one before it ends. */
export type Run = readonly [BulkRecord, ...BulkRecord[]];

/** Where a record begins. */
interface Place {
  readonly index: number;
  readonly offset: number;
}

/** A record as its entries place it. */
interface Placed {
  readonly index: number;
  readonly start: number;
  readonly entry: Entry;
}

export class DiskFile {
  readonly #path: string;
  readonly #data: OpenFile;
  readonly #index: OpenFile;
  #dataLength: number;
  #indexLength: number;
  /** Where the last read ended, so that reading on needs no search. */
  #cursor: Place | undefined;
  /** Where the last write ended, so that appending on needs no look at the entry before. */
  #tail: Place | undefined;

  private constructor(options: {
    readonly path: string;
    readonly data: OpenFile;
    readonly index: OpenFile;
    readonly dataLength: number;
    readonly indexLength: number;
  }) {
    this.#path = options.path;
    this.#data = options.data;
    this.#index = options.index;
    this.#dataLength = options.dataLength;
    this.#indexLength = options.indexLength;
  }

  /** Takes over both descriptors. @param path without extension, for messages */
  static async from(path: string, data: OpenFile, index: OpenFile): Promise<DiskFile> {
    return new DiskFile({ path, data, index, dataLength: await data.length(), indexLength: await index.length() });
  }

  /** Whole entries in the index, valid or not. */
  get #count(): number {
    return Math.floor(this.#indexLength / ENTRY_BYTES);
  }

  /** Writes the run in its place. What follows it is kept when the run already stood there or is a filling, and is cut otherwise. */
  async write(run: Run, kind: "append" | "fill"): Promise<void> {
    const { bytes, entries } = encode(run);
    const { index, offset } = run[0];
    const count = index + run.length;
    const keepsTail = kind === "fill" || (count < this.#count && (await this.#holds(run, bytes, entries)));
    this.#cursor = undefined;
    await this.#placeBehind(run[0]);
    await writeAll(this.#data, bytes, offset);
    this.#dataLength = Math.max(this.#dataLength, offset + bytes.length);
    await writeAll(this.#index, entries, index * ENTRY_BYTES);
    this.#indexLength = Math.max(this.#indexLength, count * ENTRY_BYTES);
    if (!keepsTail) await this.truncate(count, offset + bytes.length);
    this.#tail = { index: count, offset: offset + bytes.length };
  }

  /** Cuts to `count` records, `length` bytes; what is shorter stays. */
  async truncate(count: number, length: number): Promise<void> {
    this.#cursor = undefined;
    this.#tail = undefined;
    if (this.#indexLength > count * ENTRY_BYTES) {
      await this.#index.truncate(count * ENTRY_BYTES);
      this.#indexLength = count * ENTRY_BYTES;
    }
    if (this.#dataLength > length) {
      await this.#data.truncate(length);
      this.#dataLength = length;
    }
  }

  /**
   * Bytes from `offset` up to `end`, or fewer (but some) where records are very small. `offset` is below `end`.
   * @param from index of a record that begins at or before `offset`: entries before it are not looked at
   */
  async read(offset: number, end: number, from: number): Promise<Uint8Array> {
    const cursor = this.#cursor;
    const first = cursor?.offset === offset ? cursor.index : await this.#find(offset, from);
    const placed: Placed[] = [];
    for (const record of await this.#entries(first, first + ENTRIES_PER_READ_MAX)) {
      if (record.start >= end) break;
      placed.push(record);
    }
    const [head, tail] = [placed[0], placed.at(-1)];
    if (head === undefined || tail === undefined) throw this.#damaged(first, offset, "is missing");
    const records = await this.#contents(placed);
    const stop = Math.min(end, tail.entry.end);
    if (stop === tail.entry.end) this.#cursor = { index: tail.index + 1, offset: stop };
    const whole = records.length === 1 && records[0] !== undefined ? records[0] : Buffer.concat(records);
    return whole.subarray(offset - head.start, stop - head.start);
  }

  /** Records from `index` up to `indexEnd`, as many as fit in `bytesMax`, at least one. `index` is below `indexEnd`. */
  async readRecords(index: number, indexEnd: number, bytesMax: number): Promise<readonly Uint8Array[]> {
    const placed: Placed[] = [];
    for (const record of await this.#entries(index, Math.min(indexEnd, index + ENTRIES_PER_READ_MAX))) {
      const start = placed[0]?.start;
      if (start !== undefined && record.entry.end - start > bytesMax) break;
      placed.push(record);
    }
    if (placed.length === 0) throw this.#damaged(index, this.#dataLength, "is missing");
    return this.#contents(placed);
  }

  /** F4 */
  async #placeBehind({ index, offset }: Place): Promise<void> {
    if (index === 0 || (this.#tail?.index === index && this.#tail.offset === offset)) return;
    const entry = new Uint8Array(ENTRY_BYTES);
    const at = (index - 1) * ENTRY_BYTES;
    const view = new DataView(entry.buffer);
    const got = await this.#index.read(entry, at);
    if (got === ENTRY_BYTES && readEntry(view, 0)?.end === offset) return;
    writeEntry(view, 0, { end: offset, checksum: 0, isMissing: true });
    await writeAll(this.#index, entry, at);
    this.#indexLength = Math.max(this.#indexLength, index * ENTRY_BYTES);
  }

  async sync(): Promise<void> {
    await this.#data.sync();
    await this.#index.sync();
  }

  async close(): Promise<void> {
    try {
      await this.#data.close();
    } finally {
      await this.#index.close();
    }
  }

  /** Whether exactly this run stands in its place. */
  async #holds(run: Run, bytes: Uint8Array, entries: Uint8Array): Promise<boolean> {
    const { index, offset } = run[0];
    const oldEntries = new Uint8Array(entries.length);
    await this.#index.read(oldEntries, index * ENTRY_BYTES);
    if (Buffer.compare(oldEntries, entries) !== 0) return false;
    const old = new Uint8Array(bytes.length);
    return (await this.#data.read(old, offset)) === old.length && Buffer.compare(old, bytes) === 0;
  }

  /** Index of the record that holds the byte at `offset`: the first whose end lies beyond. */
  async #find(offset: number, from: number): Promise<number> {
    let low = from;
    let high = this.#count;
    const buffer = new Uint8Array(ENTRY_BYTES);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      await this.#index.read(buffer, middle * ENTRY_BYTES);
      const entry = readEntry(new DataView(buffer.buffer), 0);
      if (entry === undefined) throw this.#damaged(middle, offset, "has a damaged index entry");
      if (entry.end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The records from `first` up to `last` (not included) or the end of the index, each verified against the one before it. */
  async #entries(first: number, last: number): Promise<readonly Placed[]> {
    const end = Math.min(last, this.#count);
    if (first >= end) return [];
    const from = Math.max(first - 1, 0); // One earlier: its end is where the first one starts.
    const buffer = new Uint8Array((end - from) * ENTRY_BYTES);
    const whole = (await this.#index.read(buffer, from * ENTRY_BYTES)) === buffer.length;
    const view = new DataView(buffer.buffer);
    const placed: Placed[] = [];
    let start = 0;
    for (let index = from; index < end; index += 1) {
      const entry = whole ? readEntry(view, (index - from) * ENTRY_BYTES) : undefined;
      const isPlace = index < first; // Only where it ends matters.
      if (entry === undefined || entry.end < start || (entry.isMissing && !isPlace)) {
        if (placed.length > 0) break; // The read that comes to it says so; those before it are whole.
        if (entry?.isMissing === true) throw this.#missing(index, start);
        throw this.#damaged(index, start, "has a damaged index entry");
      }
      if (index >= first) placed.push({ index, start, entry });
      start = entry.end;
    }
    return placed;
  }

  /** The bytes of consecutive records, each verified. F3 */
  async #contents(placed: readonly Placed[]): Promise<readonly Uint8Array[]> {
    const base = placed[0]?.start ?? 0;
    const bytes = new Uint8Array((placed.at(-1)?.entry.end ?? base) - base);
    const got = await this.#data.read(bytes, base);
    return placed.map(({ index, start, entry }) => {
      const record = bytes.subarray(start - base, entry.end - base);
      const whole = entry.end - base <= got;
      if (!whole || crc32(record) !== entry.checksum) throw this.#damaged(index, start, "fails its checksum");
      return record;
    });
  }

  #missing(record: number, offset: number): ForelockError {
    const details = { file: `${this.#path}.data`, record, offset };
    return new ForelockError("bulk_unavailable", `Record ${record} of ${details.file} has not come yet.`, { details });
  }

  #damaged(record: number, offset: number, what: string): ForelockError {
    const details = { file: `${this.#path}.data`, record, offset };
    return new ForelockError("bulk_damaged", `Record ${record} of ${details.file} at offset ${offset} ${what}.`, {
      details,
    });
  }
}

function encode(run: Run): { readonly bytes: Uint8Array; readonly entries: Uint8Array } {
  const bytes = run.length === 1 ? run[0].bytes : Buffer.concat(run.map((record) => record.bytes));
  const entries = new Uint8Array(run.length * ENTRY_BYTES);
  const view = new DataView(entries.buffer);
  for (const [place, record] of run.entries()) {
    const end = record.offset + record.bytes.length;
    writeEntry(view, place * ENTRY_BYTES, { end, checksum: record.checksum, isMissing: false });
  }
  return { bytes, entries };
}

async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const step = await file.write(bytes.subarray(written), position + written);
    // A write that makes no progress would loop for ever.
    if (step === 0) throw new Error(`nothing of ${bytes.length - written} bytes was written at ${position + written}`);
    written += step;
  }
}
