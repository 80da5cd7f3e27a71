// data-folder.ts: what a data folder is: its format record (format.json) and the folders in it. Opening one makes it on first
// use, refuses what does not fit, and raises the epoch when the folder was copied. Not here: the log in it.
//   O1. One server per folder, from before the first look at its contents until `close`.
//   O2. Partitions, hash key and creation never change: names find their partition by them.
//   O3. A folder that moved to another device, inode or machine may be a copy whose original serves on: its tokens must not meet
//       those of the original, so the epoch floor rises 2^16 above every epoch that the copy has seen, once and durably.
//   O4. The record says how many streams of the log there are. A start refuses a folder that lacks one of them: the others may have old
//       records of what it had. A release that knows one stream only refuses a folder with more.
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import type { RandomBytes } from "../../clock.ts";
import { type Files, isNotFound, readWhole, replaceWhole } from "./files.ts";
import { lastEpochIn } from "./inspect.ts";
import { damaged, refuseNewerFormat, segmentsAmong } from "./segment.ts";

export const FORMAT_VERSION = 1;
/** Of a folder with more than one stream. */
const STREAMS_FORMAT_VERSION = 2;
export const EPOCH_RAISE = 2 ** 16;
const FORMAT_FILE = "format.json";
const HASH_KEY_BYTES = 16;

/** Where a folder is: what a copy cannot keep. */
export interface FolderIdentity {
  readonly device: string;
  readonly inode: string;
  /** Empty where the system has none. */
  readonly machineId: string;
}

export interface FolderFormat extends FolderIdentity {
  readonly formatVersion: number;
  readonly partitions: number;
  /** 16 bytes, hexadecimal: the key of the hash that places names. */
  readonly hashKey: string;
  /** Wall clock. */
  readonly createdMs: number;
  /** No epoch below this is used here any more. */
  readonly epochFloor: number;
  /** Streams of the log; absent: one. */
  readonly streams?: number;
}

export interface DataFolderOptions {
  /** Created when missing, in an existing folder. */
  readonly folder: string;
  readonly files: Files;
  /** From the settings. Must be what the folder was made with. */
  readonly partitions: number;
  readonly wallMs: number;
  readonly randomBytes: RandomBytes;
  /** `folderIdentity` of the real folder. */
  readonly identity: (folder: string) => Promise<FolderIdentity>;
  /** `lockFolder` for real folders. */
  readonly lock: (folder: string, randomBytes: RandomBytes) => Promise<{ release(): Promise<void> }>;
  /** Whether this start follows `forelock restore`: treated as a copy. */
  readonly isRestored: boolean;
  /** What a folder that is made takes over from an export. */
  readonly imported?: Pick<FolderFormat, "hashKey" | "epochFloor">;
}

/** An open data folder. Its owner closes it last. */
export interface DataFolder {
  readonly format: FolderFormat;
  /** A start takes an epoch of at least this, and above `EventLog.lastEpoch()`. */
  readonly epochFloor: number;
  /** For `openSegmentEventLog`. Exists. */
  readonly logFolder: string;
  /** Streams that hold records. */
  readonly streams: number;
  /** Makes the folder of a stream that is none yet, or empties it. */
  makeStream(stream: number): Promise<string>;
  /** Durably: so many streams are needed from now on. What is beyond is removed. Each of them exists. */
  keepStreams(streams: number): Promise<void>;
  /** Lets another server in. */
  close(): Promise<void>;
}

/**
 * Opens the folder for this process alone.
 * @throws ForelockError `data_in_use`; `bad_setting` for another number of partitions; `not_supported` for a newer format;
 *   `log_damaged` when the format record is missing or damaged though the folder was in use.
 */
export async function openDataFolder(options: DataFolderOptions): Promise<DataFolder> {
  const { folder, files, randomBytes } = options;
  await files.makeFolder(folder);
  await files.syncFolder(dirname(folder));
  const lock = await options.lock(folder, randomBytes); // O1
  try {
    const logFolder = `${folder}/log`;
    await files.makeFolder(logFolder);
    await files.syncFolder(folder);
    const found = await readFormat(files, folder, logFolder);
    if (found !== undefined) await new Streams(files, folder, found).refuseMissing(); // O4
    const format = await settleFormat(options, found, logFolder);
    if (format !== found) await writeFormat(files, folder, format);
    const streams = new Streams(files, folder, format);
    await streams.clearBeyond();
    return {
      format,
      epochFloor: format.epochFloor,
      logFolder,
      get streams() {
        return streams.count;
      },
      makeStream: (stream) => streams.make(stream),
      keepStreams: (count) => streams.keep(count),
      close: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Where a stream of the log lies. The first is the one of a server without workers. */
export function streamFolder(folder: string, stream: number): string {
  return stream === 0 ? `${folder}/log` : `${folder}/log-${stream}`;
}

/** O4 */
class Streams {
  readonly #files: Files;
  readonly #folder: string;
  #format: FolderFormat;

  constructor(files: Files, folder: string, format: FolderFormat) {
    this.#files = files;
    this.#folder = folder;
    this.#format = format;
  }

  get count(): number {
    return this.#format.streams ?? 1;
  }

  async refuseMissing(): Promise<void> {
    for (let stream = 1; stream < this.count; stream += 1) {
      const folder = streamFolder(this.#folder, stream);
      const names = (await this.#list(folder)) ?? [];
      if (segmentsAmong(folder, names).length === 0) throw damaged(folder, 0, "this stream of the log is missing");
    }
  }

  async make(stream: number): Promise<string> {
    const folder = streamFolder(this.#folder, stream);
    await this.#files.makeFolder(folder);
    await this.#files.syncFolder(this.#folder);
    return folder;
  }

  async keep(count: number): Promise<void> {
    if (count === this.count) return;
    const { streams: _, ...format } = this.#format;
    this.#format =
      count === 1
        ? { ...format, formatVersion: FORMAT_VERSION }
        : { ...format, formatVersion: STREAMS_FORMAT_VERSION, streams: count };
    await writeFormat(this.#files, this.#folder, this.#format);
    await this.clearBeyond();
  }

  /** What a crash left of streams that are no more goes. The folders themselves stay, empty. */
  async clearBeyond(): Promise<void> {
    for (let stream = this.count; ; stream += 1) {
      const folder = streamFolder(this.#folder, stream);
      const names = await this.#list(folder);
      if (names === undefined) return;
      for (const name of names) await this.#files.remove(`${folder}/${name}`);
      if (names.length > 0) await this.#files.syncFolder(folder);
    }
  }

  /** Undefined: there is no such folder. */
  async #list(folder: string): Promise<readonly string[] | undefined> {
    try {
      return await this.#files.list(folder);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** What the folder is, read without opening it. @returns `undefined` where there is no record. @throws as `openDataFolder` */
export function readDataFormat(files: Files, folder: string): Promise<FolderFormat | undefined> {
  return readFormat(files, folder, `${folder}/log`);
}

/** The identity of a real folder. */
export async function folderIdentity(folder: string): Promise<FolderIdentity> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const machineId = await readFile("/etc/machine-id", "utf8").catch(() => ""); // Not every system has one.
  return { device: String(dev), inode: String(ino), machineId: machineId.trim() };
}

/** The record that holds from now on; `found` itself when nothing changes. */
async function settleFormat(
  options: DataFolderOptions,
  found: FolderFormat | undefined,
  logFolder: string,
): Promise<FolderFormat> {
  const identity = await options.identity(options.folder);
  if (found === undefined) {
    return {
      formatVersion: FORMAT_VERSION,
      partitions: options.partitions,
      hashKey: Buffer.from(options.randomBytes(HASH_KEY_BYTES)).toString("hex"),
      createdMs: options.wallMs,
      ...identity,
      epochFloor: options.isRestored ? EPOCH_RAISE : 0,
      ...options.imported,
    };
  }
  if (found.partitions !== options.partitions) {
    throw new ForelockError(
      "bad_setting",
      `log.partitions is ${options.partitions}, but ${options.folder} was made with ${found.partitions}, which cannot change: set log.partitions to ${found.partitions}, or choose another --data and move with \`forelock export\` and \`forelock import\`.`,
    );
  }
  if (isSame(found, identity) && !options.isRestored) return found;
  let lastEpoch = await lastEpochIn(options.files, logFolder);
  for (let stream = 1; stream < (found.streams ?? 1); stream += 1)
    lastEpoch = Math.max(lastEpoch, await lastEpochIn(options.files, streamFolder(options.folder, stream)));
  return { ...found, ...identity, epochFloor: Math.max(found.epochFloor, lastEpoch) + EPOCH_RAISE }; // O3
}

function isSame(a: FolderIdentity, b: FolderIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.machineId === b.machineId;
}

/** `undefined` in a new folder. */
async function readFormat(files: Files, folder: string, logFolder: string): Promise<FolderFormat | undefined> {
  const path = `${folder}/${FORMAT_FILE}`;
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(files, path);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if (segmentsAmong(logFolder, await files.list(logFolder)).length > 0) {
      throw damaged(path, 0, "the format record is missing, but there is a log");
    }
    return undefined;
  }
  return parseFormat(path, bytes);
}

async function writeFormat(files: Files, folder: string, format: FolderFormat): Promise<void> {
  const body = JSON.stringify(format);
  const text = `{"checksum":"${checksumOf(body)}","format":${body}}\n`;
  await replaceWhole(files, folder, FORMAT_FILE, new TextEncoder().encode(text));
}

const LINE = /^\{"checksum":"([0-9a-f]{8})","format":(.*)\}\n$/;

function parseFormat(path: string, bytes: Uint8Array): FolderFormat {
  const [, checksum, body] = LINE.exec(new TextDecoder("latin1").decode(bytes)) ?? [];
  if (body === undefined || checksumOf(body) !== checksum)
    throw damaged(path, 0, "the format record fails its checksum");
  const format: unknown = JSON.parse(body);
  if (!isRecord(format) || typeof format.formatVersion !== "number") {
    throw damaged(path, 0, "the format record has no version");
  }
  refuseNewerFormat(path, format.formatVersion, STREAMS_FORMAT_VERSION);
  if (!isFormat(format)) throw damaged(path, 0, "the format record lacks a field");
  return format;
}

function checksumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}

type UncheckedFormat = { readonly [Key in keyof FolderFormat]?: unknown };

function isRecord(value: unknown): value is UncheckedFormat {
  return typeof value === "object" && value !== null;
}

function isFormat(value: UncheckedFormat): value is FolderFormat {
  const numbers = [value.formatVersion, value.partitions, value.createdMs, value.epochFloor];
  if (value.streams !== undefined && !Number.isSafeInteger(value.streams)) return false;
  const strings = [value.hashKey, value.device, value.inode, value.machineId];
  return numbers.every(Number.isSafeInteger) && strings.every((field) => typeof field === "string");
}
