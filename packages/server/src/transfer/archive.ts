// archive.ts: what an export holds, and in which order: the header, the state of each partition with its files behind it, and the end.
// Written from any source, read into any target; neither knows the other.
//   R1. What is written has been proven to be what the state says: all records of a file roll to its checksum.
//   R2. What is read was read to its end once before anything is made of it, and is proven again on its way.
import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import { rollChecksum } from "../file/apply.ts";
import { decodeSnapshot, encodeSnapshot } from "../partition/snapshot.ts";
import type { FileRow, PartitionState } from "../partition/state.ts";
import { damaged, FrameWriter, readFrames } from "./frames.ts";

export interface ExportHeader {
  readonly formatVersion: number;
  /** Drawn at each export. */
  readonly id: string;
  readonly createdMs: number;
  readonly from: "folder" | "cluster";
  readonly partitions: number;
  /** 16 bytes, hexadecimal: the key of the hash that places names. */
  readonly hashKey: string;
  /** No epoch above it was ever used at the source. */
  readonly lastEpoch: number;
}

/** One partition at its last record. */
export interface ExportedState {
  readonly sequence: number;
  readonly epoch: number;
  readonly state: PartitionState;
}

export interface ExportSource {
  readonly header: Omit<ExportHeader, "formatVersion" | "id" | "createdMs">;
  readonly states: readonly ExportedState[];
  readonly bulk: BulkStore;
  close(): Promise<void>;
}

/** Where an import goes. Calls come in this order: `begin`, then for each partition `state` and its files, then `finish`. */
export interface ImportTarget {
  begin(header: ExportHeader): Promise<void>;
  state(partition: number, exported: ExportedState, encoded: Uint8Array): Promise<void>;
  /** Of it records come in order. */
  readonly bulk: BulkStore;
  /** Makes it one that a server starts on. */
  finish(): Promise<void>;
  /** Leaves it as one that is begun anew. */
  close(): Promise<void>;
}

export interface Totals {
  readonly partitions: number;
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
}

const FORMAT_VERSION = 1;
const KIND = { header: 1, state: 2, stateBytes: 3, file: 4, records: 5, end: 6 } as const;
const CHUNK_BYTES = 256 * 1024;
const RECORDS_MAX = 4_096;
const LENGTH_BYTES = 4;
/** Bytes that may wait for the disk of the target. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024;

/** @throws ForelockError `bulk_unavailable` when the source lacks contents */
export async function writeArchive(
  path: string,
  source: ExportSource,
  { id, createdMs }: Pick<ExportHeader, "id" | "createdMs">,
): Promise<Totals> {
  const totals = { partitions: 0, files: 0, records: 0, bytes: 0 };
  const writer = await FrameWriter.create(path);
  try {
    const header: ExportHeader = { formatVersion: FORMAT_VERSION, id, createdMs, ...source.header };
    await writer.write(KIND.header, json(header));
    for (const [partition, { sequence, epoch, state }] of source.states.entries()) {
      const encoded = encodeSnapshot(state);
      await writer.write(KIND.state, json({ partition, sequence, epoch, bytes: encoded.length }));
      for (let at = 0; at < encoded.length; at += CHUNK_BYTES)
        await writer.write(KIND.stateBytes, encoded.subarray(at, at + CHUNK_BYTES));
      totals.partitions += 1;
      for (const row of state.files.values()) {
        if (row.count === 0) continue;
        await writeFile(writer, source.bulk, partition, row);
        totals.files += 1;
        totals.records += row.count;
        totals.bytes += row.length;
      }
    }
    await writer.write(KIND.end, json(totals));
    await writer.finish();
    return totals;
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** R1 */
async function writeFile(writer: FrameWriter, bulk: BulkStore, partition: number, row: FileRow): Promise<void> {
  await writer.write(KIND.file, json({ partition, number: row.number, name: row.name }));
  const rolled = new Rolled();
  while (rolled.count < row.count) {
    const range = { index: rolled.count, recordsMax: RECORDS_MAX, bytesMax: CHUNK_BYTES, count: row.count };
    const records = await bulk.readRecords({ partition, file: row.number }, range).catch((error: unknown) => {
      const isMissing = error instanceof ForelockError && error.code.startsWith("bulk_");
      throw isMissing ? lacking(row, error) : error;
    });
    for (const record of records) rolled.add(record);
    await writer.write(KIND.records, packed(records));
  }
  if (!rolled.is(row)) throw lacking(row);
}

/** Reads the whole file, and makes nothing of it. R2 */
export async function verifyArchive(path: string): Promise<{ readonly header: ExportHeader; readonly totals: Totals }> {
  let header: ExportHeader | undefined;
  for await (const { kind, bytes } of readFrames(path)) {
    if (header === undefined) header = parseHeader(path, kind, bytes);
    if (kind === KIND.end) return { header, totals: parse<Totals>(bytes) };
  }
  throw damaged(path, 0);
}

/** Brings an export that was verified into the target. */
export async function readArchive(path: string, target: ImportTarget): Promise<void> {
  let state: { partition: number; sequence: number; epoch: number; bytes: number } | undefined;
  let chunks: Uint8Array[] = [];
  let rows = new Map<number, FileRow>();
  let file: { partition: number; row: FileRow; rolled: Rolled } | undefined;
  const endFile = (): void => {
    if (file !== undefined && !file.rolled.is(file.row)) throw damaged(path, 0);
    file = undefined;
  };
  for await (const { kind, bytes } of readFrames(path)) {
    switch (kind) {
      case KIND.header:
        await target.begin(parseHeader(path, kind, bytes));
        break;
      case KIND.state:
        endFile();
        state = parse(bytes);
        chunks = [];
        break;
      case KIND.stateBytes: {
        chunks.push(bytes);
        const encoded = Buffer.concat(chunks);
        if (state === undefined || encoded.length < state.bytes) break;
        const { partition, sequence, epoch } = state;
        const decoded = decodeSnapshot(partition, encoded); // Proves its hash.
        await target.state(partition, { sequence, epoch, state: decoded }, encoded);
        rows = new Map([...decoded.files.values()].map((row) => [row.number, row]));
        break;
      }
      case KIND.file: {
        endFile();
        const { partition, number } = parse<{ partition: number; number: number }>(bytes);
        const row = rows.get(number);
        if (row === undefined) throw damaged(path, 0);
        file = { partition, row, rolled: new Rolled() };
        break;
      }
      case KIND.records:
        if (file === undefined) throw damaged(path, 0);
        for (const record of unpacked(bytes)) {
          const { count: index, length: offset } = file.rolled;
          const checksum = file.rolled.add(record);
          target.bulk.append(
            { partition: file.partition, file: file.row.number },
            { index, offset, bytes: record, checksum },
          );
        }
        if (target.bulk.pendingBytes > PENDING_BYTES_MAX) await target.bulk.sync();
        break;
      case KIND.end:
        endFile();
        await target.bulk.sync();
        await target.finish();
        return;
      default:
        throw damaged(path, 0);
    }
  }
}

/** What records read so far make of a file. */
class Rolled {
  count = 0;
  length = 0;
  #checksum = 0;

  /** @returns the record's own checksum */
  add(record: Uint8Array): number {
    const own = crc32(record);
    this.count += 1;
    this.length += record.length;
    this.#checksum = rollChecksum(this.#checksum, own);
    return own;
  }

  is({ count, length, checksum }: FileRow): boolean {
    return this.count === count && this.length === length && this.#checksum === checksum;
  }
}

function lacking(row: FileRow, cause?: unknown): ForelockError {
  const message = `The contents of ${row.name} (${row.count} records) are not whole here; give the folder of a node that has them.`;
  return new ForelockError("bulk_unavailable", message, { cause });
}

function packed(records: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(record.length);
      return [length, record];
    }),
  );
}

function* unpacked(bytes: Uint8Array): Generator<Uint8Array, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + LENGTH_BYTES + view.getUint32(at, true);
    yield bytes.subarray(at + LENGTH_BYTES, end);
    at = end;
  }
}

function parseHeader(path: string, kind: number, bytes: Uint8Array): ExportHeader {
  if (kind !== KIND.header) throw damaged(path, 0);
  const header = parse<ExportHeader>(bytes);
  if (header.formatVersion === FORMAT_VERSION) return header;
  throw new ForelockError(
    "not_supported",
    `${path} has version ${header.formatVersion}; this version reads ${FORMAT_VERSION}.`,
  );
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

/** Cast: the frame's checksum says that it is what an export wrote. */
const parse = <Value>(bytes: Uint8Array): Value => JSON.parse(Buffer.from(bytes).toString("utf8")) as Value;
