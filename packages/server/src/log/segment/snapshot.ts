// snapshot.ts: generations of snapshots, one file each. Not here: which records a generation makes superfluous
// (segment-event-log.ts).
//
//   header   magic and version 8 bytes | generation u64 | commit u64 | checksum u32
//   entries  kind 1 u32 | partition u32 | epoch u32 | sequence u64 | stateBytes u64 | checksum u32 | state | checksum u32
//   end      kind 2 u32 | entries u32 | checksum u32                (little-endian; each checksum is of what stands before it)
//
//   S1. A generation has its name only when it is whole and durable.
//   S2. Two generations are kept. A newer one is removed never, an older one only when two newer ones are durable.
//   S3. Any change of any byte, and any other length, is detected.
import { crc32 } from "node:zlib";
import type { ForelockError } from "@forelock/protocol";
import type { Snapshot } from "../event-log.ts";
import { getUint64, setUint64, withView } from "./block.ts";
import { type Files, type OpenFile, readFully, writeFully } from "./files.ts";
import { damaged, refuseNewerFormat, withFile } from "./segment.ts";

const latin1 = new TextDecoder("latin1");
const MAGIC = "FORESNP";
const FORMAT_VERSION = 1;
const HEADER_BYTES = 28;
const ENTRY_BYTES = 32;
const END_BYTES = 12;
const CHECKSUM_BYTES = 4;
const KIND_ENTRY = 1;
const KIND_END = 2;
/** Written between two syncs, and read at once: bounds memory, and how long an append waits behind a snapshot. */
const CHUNK_BYTES = 1024 * 1024;
/** Removed by the start. */
export const SNAPSHOT_TEMPORARY_NAME = "snapshot.tmp";

export interface GenerationName {
  readonly generation: number;
  readonly path: string;
}

/** What a generation covers, without its states. */
export interface Generation extends GenerationName {
  /** Last commit of the log that was durable when this was saved: a log that ends before it has lost its end. */
  readonly commit: number;
  readonly bytes: number;
  /** Sequence and epoch by partition. */
  readonly coverByPartition: ReadonlyMap<number, Cover>;
}

export interface Cover {
  readonly sequence: number;
  readonly epoch: number;
}

export function snapshotPath(folder: string, generation: number): string {
  return `${folder}/snapshot-${String(generation).padStart(10, "0")}.snap`;
}

/** The generations of a folder, newest first. */
export function generationsAmong(folder: string, names: readonly string[]): readonly GenerationName[] {
  return names
    .map((name) => /^snapshot-(\d{10})\.snap$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map((digits) => ({ generation: Number(digits), path: snapshotPath(folder, Number(digits)) }))
    .sort((a, b) => b.generation - a.generation);
}

/** Writes a generation and makes it durable. A failure leaves no trace but a file that the next one replaces. */
export async function writeGeneration(
  files: Files,
  folder: string,
  { generation, commit }: { readonly generation: number; readonly commit: number },
  snapshots: Iterable<Snapshot>,
): Promise<Generation> {
  const name = { generation, commit, path: snapshotPath(folder, generation) };
  const temporary = `${folder}/${SNAPSHOT_TEMPORARY_NAME}`;
  const written = await writeSnapshots(files, temporary, name, snapshots);
  await publish(files, folder, temporary, name.path); // S1
  return written;
}

/** Gives a file that is durable its name. After a failure it may have it, now or after a crash. */
export async function publish(files: Files, folder: string, temporary: string, path: string): Promise<void> {
  await files.rename(temporary, path);
  await files.syncFolder(folder);
}

/** Writes what will be `name`, durably, under a name that a start removes. */
export async function writeSnapshots(
  files: Files,
  temporary: string,
  name: GenerationName & { readonly commit: number },
  snapshots: Iterable<Snapshot>,
): Promise<Generation> {
  const file = await files.open(temporary, "create");
  const coverByPartition = new Map<number, Cover>();
  let bytes = 0;
  try {
    const write = async (part: Uint8Array): Promise<void> => {
      for (let from = 0; from < part.byteLength; from += CHUNK_BYTES) {
        const chunk = part.subarray(from, from + CHUNK_BYTES);
        await writeFully(file, chunk, bytes);
        bytes += chunk.byteLength;
        if (Math.floor(bytes / CHUNK_BYTES) > Math.floor((bytes - chunk.byteLength) / CHUNK_BYTES)) await file.sync();
      }
    };
    await write(encodeGenerationHeader(name));
    for (const snapshot of snapshots) {
      if (coverByPartition.has(snapshot.partition)) throw new Error(`two snapshots of partition ${snapshot.partition}`);
      coverByPartition.set(snapshot.partition, { sequence: snapshot.sequence, epoch: snapshot.epoch });
      await write(encodeEntry(snapshot));
      await write(snapshot.state);
      await write(encodeChecksum(snapshot.state));
    }
    await write(encodeEnd(coverByPartition.size));
    await file.sync();
  } finally {
    await file.close();
  }
  return { ...name, bytes, coverByPartition };
}

/** Receives the parts of a generation in order: `entry` once per partition, then its state in pieces. */
export interface GenerationReader {
  entry(snapshot: Omit<Snapshot, "state">, stateBytes: number): void;
  /** The piece is only valid during the call. */
  state(piece: Uint8Array): void;
}

/**
 * Reads a generation from end to end and checks all of it.
 * @throws ForelockError `log_damaged`; what the reader got until then is not to be used.
 */
export function readGeneration(files: Files, name: GenerationName, reader?: GenerationReader): Promise<Generation> {
  return withFile(files, name.path, (file) => new GenerationWalk(file, name, reader).run());
}

/** The snapshots of a generation, whole. */
export async function loadGeneration(files: Files, name: GenerationName): Promise<readonly Snapshot[]> {
  const snapshots: Snapshot[] = [];
  let filled = 0;
  await readGeneration(files, name, {
    entry(snapshot, stateBytes) {
      snapshots.push({ ...snapshot, state: new Uint8Array(stateBytes) });
      filled = 0;
    },
    state(piece) {
      snapshots.at(-1)?.state.set(piece, filled);
      filled += piece.byteLength;
    },
  });
  return snapshots;
}

class GenerationWalk {
  readonly #file: OpenFile;
  readonly #name: GenerationName;
  readonly #reader: GenerationReader | undefined;
  readonly #coverByPartition = new Map<number, Cover>();
  #size = 0;
  #at = 0;

  constructor(file: OpenFile, name: GenerationName, reader: GenerationReader | undefined) {
    this.#file = file;
    this.#name = name;
    this.#reader = reader;
  }

  async run(): Promise<Generation> {
    this.#size = await this.#file.size();
    const commit = await this.#header();
    for (;;) {
      const kind = (await this.#peek(CHECKSUM_BYTES)).getUint32(0, true);
      if (kind === KIND_END) break;
      if (kind !== KIND_ENTRY) throw this.#damaged("neither an entry nor the end");
      await this.#entry();
    }
    const end = await this.#checked(END_BYTES);
    if (end.getUint32(4, true) !== this.#coverByPartition.size) throw this.#damaged("entries are missing");
    if (this.#at !== this.#size) throw this.#damaged(`${this.#size - this.#at} bytes too many`);
    return { ...this.#name, commit, bytes: this.#size, coverByPartition: this.#coverByPartition };
  }

  /** @returns the commit of the header */
  async #header(): Promise<number> {
    const header = await this.#checked(HEADER_BYTES);
    const magic = latin1.decode(new Uint8Array(header.buffer, 0, MAGIC.length));
    if (magic !== MAGIC) throw this.#damaged("this is no snapshot");
    refuseNewerFormat(this.#name.path, header.getUint8(MAGIC.length));
    if (getUint64(header, 8) !== this.#name.generation) throw this.#damaged("the file was renamed");
    return getUint64(header, 16);
  }

  async #entry(): Promise<void> {
    const header = await this.#checked(ENTRY_BYTES);
    const partition = header.getUint32(4, true);
    const epoch = header.getUint32(8, true);
    const sequence = getUint64(header, 12);
    const stateBytes = getUint64(header, 20);
    if (stateBytes > this.#size - this.#at) throw this.#damaged("the file is cut");
    this.#coverByPartition.set(partition, { sequence, epoch });
    this.#reader?.entry({ partition, epoch, sequence }, stateBytes);
    let checksum = 0;
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, stateBytes));
    for (let left = stateBytes; left > 0; ) {
      const piece = chunk.subarray(0, Math.min(left, chunk.byteLength));
      await this.#read(piece);
      checksum = crc32(piece, checksum);
      this.#reader?.state(piece);
      left -= piece.byteLength;
    }
    const stored = new DataView(new ArrayBuffer(CHECKSUM_BYTES));
    await this.#read(new Uint8Array(stored.buffer));
    if (stored.getUint32(0, true) !== checksum)
      throw this.#damaged(`the state of partition ${partition} fails its checksum`);
  }

  /** The next bytes, which end with their own checksum. */
  async #checked(bytes: number): Promise<DataView> {
    const view = await this.#peek(bytes);
    const body = new Uint8Array(view.buffer, 0, bytes - CHECKSUM_BYTES);
    if (crc32(body) !== view.getUint32(bytes - CHECKSUM_BYTES, true)) throw this.#damaged("a checksum does not match");
    this.#at += bytes;
    return view;
  }

  async #peek(bytes: number): Promise<DataView> {
    const into = new Uint8Array(bytes);
    await this.#read(into);
    this.#at -= bytes;
    return new DataView(into.buffer);
  }

  async #read(into: Uint8Array): Promise<void> {
    if ((await readFully(this.#file, into, this.#at)) < into.byteLength) throw this.#damaged("the file is cut");
    this.#at += into.byteLength;
  }

  #damaged(what: string): ForelockError {
    return damaged(this.#name.path, this.#at, what);
  }
}

function encodeGenerationHeader(name: { readonly generation: number; readonly commit: number }): Uint8Array {
  return withChecksum(HEADER_BYTES, ({ bytes, view }) => {
    bytes.set(new TextEncoder().encode(MAGIC));
    bytes[MAGIC.length] = FORMAT_VERSION;
    setUint64(view, 8, name.generation);
    setUint64(view, 16, name.commit);
  });
}

function encodeEntry(snapshot: Snapshot): Uint8Array {
  return withChecksum(ENTRY_BYTES, ({ view }) => {
    view.setUint32(0, KIND_ENTRY, true);
    view.setUint32(4, snapshot.partition, true);
    view.setUint32(8, snapshot.epoch, true);
    setUint64(view, 12, snapshot.sequence);
    setUint64(view, 20, snapshot.state.byteLength);
  });
}

function encodeEnd(entries: number): Uint8Array {
  return withChecksum(END_BYTES, ({ view }) => {
    view.setUint32(0, KIND_END, true);
    view.setUint32(4, entries, true);
  });
}

function withChecksum(bytes: number, fill: (into: ReturnType<typeof withView>) => void): Uint8Array {
  const part = withView(new Uint8Array(bytes));
  fill(part);
  part.view.setUint32(bytes - CHECKSUM_BYTES, crc32(part.bytes.subarray(0, bytes - CHECKSUM_BYTES)), true);
  return part.bytes;
}

function encodeChecksum(bytes: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(CHECKSUM_BYTES));
  view.setUint32(0, crc32(bytes), true);
  return new Uint8Array(view.buffer);
}
