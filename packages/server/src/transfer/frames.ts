// frames.ts: the file of an export: a line that names it, then frames. A frame is its kind (u8), the length of what it holds (u32) and a
// CRC-32 (u32, little-endian) over its number in the file, its kind and what it holds: so a frame that is damaged, missing, doubled or out of
// order is found. Not here: what frames hold (archive.ts).
//   N1. A file is there under its name whole and synced, or not at all.
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";

export interface Frame {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

const MAGIC = Buffer.from("forelock export 1\n");
const HEADER_BYTES = 9;
export const FRAME_BYTES_MAX = 2 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

export class FrameWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  #pending: Uint8Array[] = [MAGIC];
  #pendingBytes = MAGIC.length;
  #frames = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Writes beside `path`; what an earlier attempt left there is replaced. */
  static async create(path: string): Promise<FrameWriter> {
    return new FrameWriter(path, await open(`${path}.partial`, "w", 0o600));
  }

  async write(kind: number, bytes: Uint8Array): Promise<void> {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(kind);
    header.writeUInt32LE(bytes.length, 1);
    header.writeUInt32LE(checksum(this.#frames, kind, bytes), 5);
    this.#frames += 1;
    this.#pending.push(header, bytes);
    this.#pendingBytes += HEADER_BYTES + bytes.length;
    if (this.#pendingBytes >= WRITE_BYTES) await this.#flush();
  }

  /** N1 */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#file.sync();
    await this.#file.close();
    await rename(`${this.#path}.partial`, this.#path);
    const folder = await open(dirname(this.#path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.#file.appendFile(bytes);
  }
}

/** @throws ForelockError `not_supported` for a newer version; `bad_argument` when it is no export, damaged or cut */
export async function* readFrames(path: string): AsyncGenerator<Frame, void> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new ForelockError("bad_argument", `${path} cannot be read.`, { cause: error });
  });
  try {
    let offset = MAGIC.length;
    const magic = await readAt(file, 0, MAGIC.length);
    if (magic?.equals(MAGIC) !== true) {
      const isOther = magic?.toString("latin1").startsWith("forelock export ") === true;
      if (isOther) throw new ForelockError("not_supported", `${path} has a format that this version does not read.`);
      throw new ForelockError("bad_argument", `${path} is no file that forelock export wrote.`);
    }
    for (let number = 0; ; number += 1) {
      const header = await readAt(file, offset, HEADER_BYTES);
      const length = header?.readUInt32LE(1) ?? 0;
      if (header === undefined || length > FRAME_BYTES_MAX) throw damaged(path, offset);
      const kind = header.readUInt8();
      const bytes = await readAt(file, offset + HEADER_BYTES, length);
      if (bytes === undefined || checksum(number, kind, bytes) !== header.readUInt32LE(5)) throw damaged(path, offset);
      offset += HEADER_BYTES + length;
      yield { kind, bytes };
    }
  } finally {
    await file.close();
  }
}

export function damaged(path: string, offset: number): ForelockError {
  const message = `${path} is damaged or cut at byte ${offset}; nothing of it is used. Export again.`;
  return new ForelockError("bad_argument", message);
}

/** Undefined when the file ends before. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer | undefined> {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}

function checksum(number: number, kind: number, bytes: Uint8Array): number {
  const prefix = Buffer.alloc(HEADER_BYTES);
  prefix.writeDoubleLE(number);
  prefix.writeUInt8(kind, 8);
  return crc32(bytes, crc32(prefix));
}
