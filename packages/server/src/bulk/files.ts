// files.ts: the file system as the bulk store uses it, so that tests and the simulator can put faults, crashes or memory in its
// place. Not here: what is in the files (disk-file.ts), and when they are written (disk.ts).

import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** One open file. Every call may reject with the system's error; short reads and writes are told, not hidden. */
export interface OpenFile {
  /** Fills `into` from `position`. @returns bytes read; fewer than asked only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** @returns bytes written, which may be fewer than given. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  truncate(length: number): Promise<void>;
  /** Length in bytes. */
  length(): Promise<number>;
  /** Resolves once contents and length survive a crash. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /** Opens for reading and writing. @returns `undefined` when there is no such file. */
  open(path: string): Promise<OpenFile | undefined>;
  /** Creates a file that does not exist, and opens it. It survives a crash once its folder is synced. */
  create(path: string): Promise<OpenFile>;
  /** Creates a folder and those above it. Nothing happens where it exists. */
  createFolder(path: string): Promise<void>;
  /** Resolves once the entries of the folder survive a crash. */
  syncFolder(path: string): Promise<void>;
}

/** The folder that holds `path`. */
export const folderOf = (path: string): string => dirname(path);

class NodeFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let total = 0;
    while (total < into.length) {
      const { bytesRead } = await this.#handle.read(into, total, into.length - total, position + total);
      if (bytesRead === 0) break;
      total += bytesRead;
    }
    return total;
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.write(bytes, 0, bytes.length, position)).bytesWritten;
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async length(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  // fsync, not fdatasync: a cut must be durable too, and an append changes the length anyway, so little would be saved.
  sync(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The real file system. */
export const nodeFiles: Files = {
  async open(path) {
    try {
      return new NodeFile(await open(path, "r+"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  },
  async create(path) {
    return new NodeFile(await open(path, "wx+", 0o600));
  },
  async createFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  async syncFolder(path) {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
