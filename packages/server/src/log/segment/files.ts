// files.ts: the calls of the file system that the log needs, and their implementation over node:fs. Everything in segment/
// goes through here, so that tests can fail any call and the simulator can lose what was not synced. Not here: what is written.
//   F1. A write in mode "write_durable" that resolved survives a power cut (O_DSYNC); other writes only after `sync`.
//   F2. A create, rename or removal survives a power cut only after `syncFolder` of its folder.
//   F3. A write may be short, as pwrite(2) may; `writeFully` is how callers want it.
import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  mkdir,
  open,
  read,
  readdir,
  rename,
  unlink,
  write,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";

/** `create` makes a new file, emptying an old one of the name. The other modes need the file to exist. */
export type OpenMode = "read" | "write" | "write_durable" | "create";

export interface OpenFile {
  /** Reads at byte `at`; returns how many bytes came, fewer than asked for at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>;
  /** Writes at byte `at`; returns how many bytes were taken. The bytes must not change until it settles. */
  write(bytes: Uint8Array, at: number): Promise<number>;
  /**
   * As `write`, from the calling thread, which waits for the disk and does nothing else meanwhile; `undefined` when that is not
   * expected to be quick, and nothing was written. Absent where there is no such call.
   */
  writeNow?(bytes: Uint8Array, at: number): number | undefined;
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface Files {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Replaces `to` if it exists. Both must be in one folder. */
  rename(from: string, to: string): Promise<void>;
  /** @throws an error with code ENOENT when there is no such file. */
  remove(path: string): Promise<void>;
  /** Names in a folder, any order. @throws an error with code ENOENT when there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Creates a folder in an existing one; an existing one is left as it is. */
  makeFolder(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

/** Writes all of `bytes`. A short write is continued; a failed one is the caller's end of the road. */
export async function writeFully(file: OpenFile, bytes: Uint8Array, at: number): Promise<void> {
  let written = await file.write(bytes, at);
  while (written < bytes.byteLength) {
    const more = await file.write(bytes.subarray(written), at + written);
    if (more === 0) throw new Error(`no progress writing at byte ${at + written}`);
    written += more;
  }
}

/** Fills `into` as far as the file goes; returns how many bytes came. */
export async function readFully(file: OpenFile, into: Uint8Array, at: number): Promise<number> {
  let got = await file.read(into, at);
  while (got < into.byteLength) {
    const more = await file.read(into.subarray(got), at + got);
    if (more === 0) break;
    got += more;
  }
  return got;
}

/** All bytes of a small file. @throws an error with code ENOENT when there is no such file. */
export async function readWhole(files: Files, path: string): Promise<Uint8Array> {
  const file = await files.open(path, "read");
  try {
    const bytes = new Uint8Array(await file.size());
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}

/** Replaces a small file as a whole: after a crash it holds the old bytes or the new ones. */
export async function replaceWhole(files: Files, folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${folder}/${name}.tmp`;
  const file = await files.open(temporary, "create");
  try {
    await writeFully(file, bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, `${folder}/${name}`);
  await files.syncFolder(folder); // F2
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

const flagsByMode: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  write_durable: constants.O_RDWR | constants.O_DSYNC,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
};

const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fsync);
const syncFileBytes = promisify(fdatasync);
const makeFolder = promisify(mkdir);

/** The real file system. */
export const nodeFiles: Files = {
  async open(path, mode) {
    return new NodeFile(await openFile(path, flagsByMode[mode], 0o640));
  },
  rename: promisify(rename),
  remove: promisify(unlink),
  list: promisify(readdir) as (folder: string) => Promise<readonly string[]>, // promisify keeps only the last overload.
  async makeFolder(path) {
    await makeFolder(path, { recursive: true, mode: 0o750 });
  },
  async syncFolder(path) {
    const descriptor = await openFile(path, constants.O_RDONLY);
    try {
      await syncFile(descriptor);
    } finally {
      await closeFile(descriptor);
    }
  },
};

/** A write from the thread of the event loop that took longer is not repeated for so many calls: on a slow disk it holds up others. */
const WRITE_NOW_MS_MAX = 4;
const SLOW_CALLS = 16;

/** Over the callback calls: they cost 10 to 20 us less than FileHandle, which every append would pay. */
class NodeFile implements OpenFile {
  readonly #descriptor: number;
  /** Calls of `writeNow` to refuse: the disk was slow. */
  #slow = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, into, 0, into.byteLength, at, (error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  write(bytes: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#descriptor, bytes, 0, bytes.byteLength, at, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    });
  }

  writeNow(bytes: Uint8Array, at: number): number | undefined {
    if (this.#slow > 0) {
      this.#slow--;
      return undefined;
    }
    const startMs = performance.now(); // Of this disk and for this choice alone: nothing that is written depends on it.
    const count = writeSync(this.#descriptor, bytes, 0, bytes.byteLength, at);
    if (performance.now() - startMs > WRITE_NOW_MS_MAX) this.#slow = SLOW_CALLS;
    return count;
  }

  sync(): Promise<void> {
    return syncFileBytes(this.#descriptor);
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, status) => (error ? reject(error) : resolve(status.size)));
    });
  }

  close(): Promise<void> {
    return closeFile(this.#descriptor);
  }
}
