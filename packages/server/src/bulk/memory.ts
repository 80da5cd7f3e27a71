// memory.ts: file contents in memory, for tests and the simulator: what the other implementations must look like from outside.
// It outlives its user as a disk would, so that a restart can replay onto it.

import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import type { BulkFileId, BulkRange, BulkRecord, BulkStore } from "./bulk-store.ts";

/** By index of the record; a hole where a replay has not come yet. */
type Records = (BulkRecord | undefined)[];

export class MemoryBulkStore implements BulkStore {
  readonly #recordsByFile = new Map<string, Records>();
  readonly pendingBytes = 0;
  #stopped: Error | undefined;

  get stopped(): Error | undefined {
    return this.#stopped;
  }

  /** Behaves from now on as if a write had failed. */
  stop(cause: Error): void {
    this.#stopped ??= new ForelockError("bulk_stopped", "A write was made to fail.", { cause });
  }

  append(id: BulkFileId, record: BulkRecord): void {
    if (this.#stopped !== undefined) return;
    const records = this.#recordsOf(id);
    const old = records[record.index];
    const same = old?.offset === record.offset && Buffer.compare(old.bytes, record.bytes) === 0;
    if (!same) records.length = Math.min(records.length, record.index);
    put(records, record);
  }

  fill(id: BulkFileId, record: BulkRecord): void {
    if (this.#stopped === undefined) put(this.#recordsOf(id), record);
  }

  truncate(id: BulkFileId, count: number): void {
    const records = this.#recordsByFile.get(keyOf(id));
    if (this.#stopped === undefined && records !== undefined && records.length > count) records.length = count;
  }

  async read(id: BulkFileId, range: BulkRange): Promise<Uint8Array> {
    const end = Math.min(range.offset + range.bytesMax, range.length);
    if (this.#stopped !== undefined) throw this.#stopped;
    if (range.offset >= end) return new Uint8Array(0);
    const records = this.#recordsByFile.get(keyOf(id)) ?? [];
    const parts: Uint8Array[] = [];
    let next = range.offset;
    for (const [index, record] of records.entries()) {
      if (record === undefined || record.offset + record.bytes.length <= range.offset) continue;
      if (record.offset >= end || record.offset > next) break; // At the end, or behind a gap.
      const bytes = verified(id, index, record);
      parts.push(bytes.subarray(Math.max(range.offset - record.offset, 0), end - record.offset));
      next = record.offset + record.bytes.length;
    }
    if (parts.length === 0) throw damaged(id, records.length, range.offset);
    return Buffer.concat(parts);
  }

  async readRecords(
    id: BulkFileId,
    range: { readonly index: number; readonly recordsMax: number; readonly bytesMax: number; readonly count: number },
  ): Promise<readonly Uint8Array[]> {
    if (this.#stopped !== undefined) throw this.#stopped;
    const records = this.#recordsByFile.get(keyOf(id)) ?? [];
    const found: Uint8Array[] = [];
    let bytes = 0;
    for (let index = range.index; index < Math.min(range.index + range.recordsMax, range.count); index += 1) {
      const record = records[index];
      bytes += record?.bytes.length ?? 0;
      if (found.length > 0 && (record === undefined || bytes > range.bytesMax)) break;
      found.push(verified(id, index, record).slice());
    }
    return found;
  }

  #recordsOf(id: BulkFileId): Records {
    const key = keyOf(id);
    const records = this.#recordsByFile.get(key) ?? [];
    this.#recordsByFile.set(key, records);
    return records;
  }

  async sync(): Promise<void> {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  async close(): Promise<void> {}
}

function put(records: Records, record: BulkRecord): void {
  while (records.length < record.index) records.push(undefined);
  records[record.index] = { ...record, bytes: record.bytes.slice() };
}

function keyOf(id: BulkFileId): string {
  return `${id.partition}/${id.file}`;
}

function verified(id: BulkFileId, index: number, record: BulkRecord | undefined): Uint8Array {
  if (record === undefined || crc32(record.bytes) !== record.checksum) throw damaged(id, index, record?.offset ?? 0);
  return record.bytes;
}

function damaged(id: BulkFileId, record: number, offset: number): Error {
  const details = { file: keyOf(id), record, offset };
  return new ForelockError("bulk_damaged", `Record ${record} of file ${details.file} is missing or damaged.`, {
    details,
  });
}
