// record.ts: one LogRecord as bytes within the payload of a commit. Pure. Integrity is the block's (block.ts); here only shape.
//   eventsBytes u32 | partition u32 | epoch u32 | sequence u64 | elapsedMs f64 | events       (little-endian)
import { type LogRecord, RECORD_BYTES_MAX } from "../event-log.ts";
import { type Bytes, getUint64, setUint64 } from "./block.ts";

export const RECORD_HEADER_BYTES = 28;
const UINT32_MAX = 0xffff_ffff;

export function encodedBytes(record: LogRecord): number {
  return RECORD_HEADER_BYTES + record.events.byteLength;
}

/** Refuses what could not be read back as it was. A wrong record is a bug of the writer. */
export function assertRecord(record: LogRecord): void {
  const { partition, epoch, sequence, elapsedMs, events } = record;
  if (!isCount(partition) || partition > UINT32_MAX) throw wrong(`partition ${partition} fits 32 bits`);
  if (!isCount(epoch) || epoch > UINT32_MAX) throw wrong(`epoch ${epoch} fits 32 bits`);
  if (!isCount(sequence) || sequence < 1) throw wrong(`sequence ${sequence} is 1 or more`);
  if (!(elapsedMs >= 0 && Number.isFinite(elapsedMs))) throw wrong(`elapsedMs ${elapsedMs} is 0 or more`);
  if (events.byteLength > RECORD_BYTES_MAX) throw wrong(`a record has at most ${RECORD_BYTES_MAX} bytes`);
}

/** Every append is asked: its text is made only for what is thrown. */
export function wrong(claim: string): Error {
  return new Error(`assertion failed: ${claim}`);
}

/** @returns the byte after the record */
export function encodeRecord(into: Bytes, at: number, record: LogRecord): number {
  const { view } = into;
  view.setUint32(at, record.events.byteLength, true);
  view.setUint32(at + 4, record.partition, true);
  view.setUint32(at + 8, record.epoch, true);
  setUint64(view, at + 12, record.sequence);
  view.setFloat64(at + 20, record.elapsedMs, true);
  into.bytes.set(record.events, at + RECORD_HEADER_BYTES);
  return at + encodedBytes(record);
}

/**
 * Adds the records of one commit, whose payload is `from` to `to`, to `records`. Their events are views of `payload`.
 * @returns whether the payload is records from end to end
 */
export function decodeRecords(payload: Bytes, from: number, to: number, records: LogRecord[]): boolean {
  const { bytes, view } = payload;
  let at = from;
  while (at < to) {
    if (to - at < RECORD_HEADER_BYTES) return false;
    const events = at + RECORD_HEADER_BYTES;
    const end = events + view.getUint32(at, true);
    if (end > to) return false;
    records.push({
      partition: view.getUint32(at + 4, true),
      epoch: view.getUint32(at + 8, true),
      sequence: getUint64(view, at + 12),
      elapsedMs: view.getFloat64(at + 20, true),
      events: bytes.subarray(events, end),
    });
    at = end;
  }
  return true;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
