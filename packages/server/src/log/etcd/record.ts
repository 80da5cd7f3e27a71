// record.ts: one LogRecord as the values of one to four slots. Pure. The first slot has a header, and tells how many there are:
//   version u8 | slots u8 | 0 u16 | crc32 u32 | epoch u32 | eventsBytes u32 | elapsedMs f64 | bytesTotal f64 | events  (little-endian)
//   The checksum is over partition and sequence, the header behind it and all events: a value found under another key is damage.
import { crc32 } from "node:zlib";
import { assert, ForelockError } from "@forelock/protocol";
import { type LogRecord, RECORD_BYTES_MAX } from "../event-log.ts";

export const SLOT_BYTES = 262_144;
export const SLOTS_MAX = RECORD_BYTES_MAX / SLOT_BYTES;
export const RECORD_HEADER_BYTES = 32;
const VERSION = 1;
const CHECKED_FROM = 8;

/** Tokens are epoch x 2^40 + counter, below 2^63. */
export const EPOCH_MAX = 2 ** 23 - 1;

/** What is written: a record with the bytes of all records of its partition up to it, which tell how far two places are apart. */
export interface StoredRecord extends LogRecord {
  readonly bytesTotal: number;
}

/** What is read back. */
export interface FoundRecord {
  readonly record: LogRecord;
  readonly bytesTotal: number;
  /** Of etcd, when the record became durable. */
  readonly revision: number;
}

/** Refuses what could not be read back as it was. A wrong record is a bug of the writer. */
export function assertRecord(record: LogRecord): void {
  const { partition, epoch, sequence, elapsedMs, events } = record;
  assert(isCount(partition), `partition ${partition} is a count`);
  assert(isCount(epoch) && epoch <= EPOCH_MAX, `epoch ${epoch} is at most ${EPOCH_MAX}`);
  assert(isCount(sequence) && sequence >= 1, `sequence ${sequence} is 1 or more`);
  assert(elapsedMs >= 0 && Number.isFinite(elapsedMs), `elapsedMs ${elapsedMs} is 0 or more`);
  assert(events.byteLength <= RECORD_BYTES_MAX, `a record has at most ${RECORD_BYTES_MAX} bytes`);
}

/** The values of the record's slots. The first one is a copy, the others are views of the events. */
export function encodeRecord(record: StoredRecord): readonly Uint8Array[] {
  const { events } = record;
  const slots = Math.max(1, Math.ceil(events.byteLength / SLOT_BYTES));
  const first = new Uint8Array(RECORD_HEADER_BYTES + Math.min(events.byteLength, SLOT_BYTES));
  const view = new DataView(first.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, slots);
  view.setUint32(8, record.epoch, true);
  view.setUint32(12, events.byteLength, true);
  view.setFloat64(16, record.elapsedMs, true);
  view.setFloat64(24, record.bytesTotal, true);
  first.set(events.subarray(0, SLOT_BYTES), RECORD_HEADER_BYTES);
  const further = Array.from({ length: slots - 1 }, (_, index) =>
    events.subarray((index + 1) * SLOT_BYTES, (index + 2) * SLOT_BYTES),
  );
  view.setUint32(4, checksum(record, [first.subarray(CHECKED_FROM), ...further]), true);
  return [first, ...further];
}

/** How many slots the record of this first slot has. */
export function slotsOf(first: Uint8Array): number {
  return first[1] ?? 0;
}

export interface StoredSlots {
  readonly partition: number;
  readonly sequence: number;
  readonly revision: number;
  /** In order; as many as the first tells. */
  readonly values: readonly Uint8Array[];
}

/** @throws ForelockError `log_damaged`, `not_supported` for a newer version */
export function decodeRecord({ partition, sequence, revision, values }: StoredSlots): FoundRecord {
  const [first, ...further] = values;
  const where = `Record ${sequence} of partition ${partition} in etcd`;
  if (first === undefined || first.byteLength < RECORD_HEADER_BYTES)
    throw new ForelockError("log_damaged", `${where} has no header.`);
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  const version = view.getUint8(0);
  if (version > VERSION)
    throw new ForelockError("not_supported", `${where} has format ${version}; this version reads up to ${VERSION}.`);
  const isWhole = view.getUint8(1) === values.length;
  const place = { partition, sequence };
  if (!isWhole || view.getUint32(4, true) !== checksum(place, [first.subarray(CHECKED_FROM), ...further]))
    throw new ForelockError("log_damaged", `${where} fails its checksum.`);
  const eventsBytes = view.getUint32(12, true);
  const own = first.subarray(RECORD_HEADER_BYTES);
  const events = further.length === 0 ? own : joined([own, ...further]);
  if (events.byteLength !== eventsBytes)
    throw new ForelockError("log_damaged", `${where} has ${events.byteLength} bytes of ${eventsBytes}.`);
  const [epoch, elapsedMs] = [view.getUint32(8, true), view.getFloat64(16, true)];
  return { record: { partition, epoch, sequence, elapsedMs, events }, bytesTotal: view.getFloat64(24, true), revision };
}

function checksum(
  { partition, sequence }: { readonly partition: number; readonly sequence: number },
  parts: readonly Uint8Array[],
): number {
  return parts.reduce((sum, part) => crc32(part, sum), crc32(`${partition}/${sequence}`));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
