// file/remote-file.ts: asking for appends and reads. Not here: what they promise (file.ts).
//   F1. Parts of a split append go one after the other, each only when the one before was answered.
import { type AppendRequest, ForelockError, ReadFileRequest, ReadRecordsRequest } from "@forelock/protocol";
import type { Caller } from "../caller.ts";
import type { RequestOptions } from "../lock/lock.ts";
import type { Appended, AppendOptions, FileBytes, FileInfo, FileList, GuardedFile, ReadOptions } from "./file.ts";

const TOKEN_MAX = (1n << 63n) - 1n;

export class RemoteFile implements GuardedFile {
  readonly name: string;
  readonly #caller: Caller;
  readonly #appendBytesMax: () => number;

  constructor(caller: Caller, appendBytesMax: () => number, name: string) {
    this.#caller = caller;
    this.#appendBytesMax = appendBytesMax;
    this.name = name;
  }

  async append(content: string | Uint8Array, options: AppendOptions): Promise<Appended> {
    const bytes = typeof content === "string" ? Buffer.from(content) : viewOf(content);
    const bytesMax = this.#appendBytesMax();
    if (bytes.byteLength > bytesMax && options.split !== true) {
      const message = `An append of ${bytes.byteLength} bytes is above ${bytesMax}; pass split: true for several records.`;
      throw new ForelockError("frame_too_large", message);
    }
    let appended = await this.#append(bytes.subarray(0, bytesMax), options);
    const { offset } = appended;
    for (let at = bytesMax; at < bytes.byteLength; at += bytesMax) {
      appended = await this.#append(bytes.subarray(at, at + bytesMax), options); // F1
    }
    return { ...appended, offset };
  }

  async read(options: ReadOptions = {}): Promise<FileBytes> {
    const { offset = 0, bytesMax = 0, version = 0 } = options;
    const value = ReadFileRequest.create({ file: this.name, offset, bytesMax, version });
    return this.#caller.ask("read", { $case: "readFile", value }, "readFile", options.signal);
  }

  async *readAll(options: { readonly offset?: number } & RequestOptions = {}): AsyncGenerator<Uint8Array> {
    let at = options.offset ?? 0;
    let version = 0;
    for (;;) {
      const part = await this.read({ ...options, offset: at, version });
      if (part.bytes.byteLength === 0) return;
      yield part.bytes;
      at += part.bytes.byteLength;
      version = part.version;
      if (at >= part.length) return;
    }
  }

  async *records(options: { readonly index?: number } & RequestOptions = {}): AsyncGenerator<Uint8Array> {
    let index = options.index ?? 0;
    let version = 0;
    for (;;) {
      const value = ReadRecordsRequest.create({ file: this.name, index, recordsMax: 0, version });
      const part = await this.#caller.ask("read", { $case: "readRecords", value }, "readRecords", options.signal);
      yield* part.records;
      index += part.records.length;
      version = part.version;
      if (part.records.length === 0 || index >= part.count) return;
    }
  }

  async stat(options: RequestOptions = {}): Promise<FileInfo | undefined> {
    const { files } = await listFiles(this.#caller, { ...options, prefix: this.name, limit: 1 });
    return files.find((file) => file.name === this.name); // The shortest name with a prefix comes first.
  }

  async #append(bytes: Buffer, options: AppendOptions): Promise<Appended> {
    const { token, element } = guardOf(options);
    const value: AppendRequest = { file: this.name, bytes, token, element: element === this.name ? "" : element };
    const reply = await this.#caller.ask("session", { $case: "append", value }, "append", options.signal);
    if (reply.undone) {
      throw new ForelockError("lock_lost", `The append to ${this.name} was undone with the grant it was made under.`);
    }
    const { length, version, index, offset } = reply;
    return { length, version, index, offset };
  }
}

export async function listFiles(
  caller: Caller,
  options: FileList,
): Promise<{ readonly files: readonly FileInfo[]; readonly more: boolean }> {
  const value = { prefix: options.prefix ?? "", after: options.after ?? "", limit: options.limit ?? 0 };
  return caller.ask("read", { $case: "listFiles", value }, "listFiles", options.signal);
}

export async function* allFiles(caller: Caller, options: FileList): AsyncGenerator<FileInfo> {
  let after = options.after ?? "";
  for (;;) {
    const { files, more } = await listFiles(caller, { ...options, after });
    yield* files;
    const last = files.at(-1);
    if (!more || last === undefined) return;
    after = last.name;
  }
}

function guardOf(options: AppendOptions): { readonly token: bigint; readonly element: string } {
  if (!("lock" in options)) {
    if (options.token < 1n || options.token > TOKEN_MAX) {
      throw new ForelockError("bad_argument", `token: ${options.token} must be from 1 to ${TOKEN_MAX}.`);
    }
    return { token: options.token, element: options.element ?? "" };
  }
  const { lock } = options;
  if (lock.signal.aborted) throw lock.signal.reason;
  return { token: lock.token, element: lock.name };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
