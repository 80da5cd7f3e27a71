// simulated-files.ts: a file system in memory that fails and crashes on demand, for tests and the simulator.
//   S1. Until it is synced, a write or cut may survive a crash whole, in part, as zeros, or not at all, whatever came after it.
//   S2. A new file or folder may vanish in a crash until the folder above it is synced.
//   S3. Every call is counted, so that a test can fail each one in turn; a failed write may have written a part.

import type { Files, OpenFile } from "./files.ts";
import { folderOf } from "./files.ts";

/** Uniform in [0, 1). */
type Random = () => number;

type Change =
  | { readonly kind: "write"; readonly bytes: Uint8Array; readonly position: number }
  | { readonly kind: "cut"; readonly length: number };

/** What outlives a process: the disk, and what the system holds for it. */
interface Disk {
  readonly contentsByPath: Map<string, Contents>;
  readonly folders: Set<string>;
  readonly durablePaths: Set<string>;
}

interface Contents {
  bytes: Uint8Array;
  durable: Uint8Array;
  unsynced: Change[];
}

export class SimulatedFiles implements Files {
  readonly #random: Random;
  readonly #disk: Disk;
  #isAlive = true;
  #calls = 0;
  #openFiles = 0;
  #failingCall = 0;

  /** An empty disk, or the one that a process before left. */
  constructor(random: Random, disk: Disk = { contentsByPath: new Map(), folders: new Set(), durablePaths: new Set() }) {
    this.#random = random;
    this.#disk = disk;
  }

  /** Calls since the start. */
  get calls(): number {
    return this.#calls;
  }

  /** Files open now. */
  get openFiles(): number {
    return this.#openFiles;
  }

  /** The call of this number fails, 1 being the first of all; 0 for none. */
  failCall(call: number): void {
    this.#failingCall = call;
  }

  /** What a reader of the file would see. */
  contents(path: string): Uint8Array | undefined {
    return this.#disk.contentsByPath.get(path)?.bytes.slice();
  }

  /** Replaces what a file holds, durably: for damage of every kind. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const contents = this.#disk.contentsByPath.get(path);
    if (contents === undefined) throw new Error(`no file ${path}`);
    contents.bytes = change(contents.bytes.slice());
    contents.durable = contents.bytes.slice();
    contents.unsynced = [];
  }

  /**
   * Loses power: what was not synced survives by chance, and every later call of this process fails. S1, S2
   * @returns the same disk for the next process
   */
  crash(): SimulatedFiles {
    const { folders, contentsByPath, durablePaths } = this.#disk;
    const byDepth = [...folders].sort((a, b) => a.length - b.length); // A folder goes with the one above it.
    for (const folder of byDepth) if (this.#vanishes(folder)) folders.delete(folder);
    for (const [path, contents] of contentsByPath) {
      if (this.#vanishes(path)) contentsByPath.delete(path);
      contents.bytes = contents.unsynced.reduce((bytes, change) => this.#survivor(bytes, change), contents.durable);
      contents.durable = contents.bytes;
      contents.unsynced = [];
    }
    durablePaths.clear();
    for (const path of [...folders, ...contentsByPath.keys()]) durablePaths.add(path);
    return this.kill();
  }

  /** Loses the process only: what was written stays, and is still not durable. @returns the disk for the next process */
  kill(): SimulatedFiles {
    this.#isAlive = false;
    return new SimulatedFiles(this.#random, this.#disk);
  }

  async open(path: string): Promise<OpenFile | undefined> {
    await this.#count();
    const contents = this.#disk.contentsByPath.get(path);
    return contents === undefined ? undefined : this.#handle(contents);
  }

  async create(path: string): Promise<OpenFile> {
    await this.#count();
    if (this.#disk.contentsByPath.has(path) || !this.#disk.folders.has(folderOf(path)))
      throw new Error(`cannot create ${path}`);
    const contents = { bytes: new Uint8Array(0), durable: new Uint8Array(0), unsynced: [] };
    this.#disk.contentsByPath.set(path, contents);
    return this.#handle(contents);
  }

  async createFolder(path: string): Promise<void> {
    await this.#count();
    for (let folder = path; !this.#disk.folders.has(folder); folder = folderOf(folder)) this.#disk.folders.add(folder);
  }

  async syncFolder(path: string): Promise<void> {
    await this.#count();
    for (const entry of [...this.#disk.folders, ...this.#disk.contentsByPath.keys()])
      if (folderOf(entry) === path) this.#disk.durablePaths.add(entry);
  }

  #vanishes(path: string): boolean {
    if (folderOf(path) === path) return false;
    if (!this.#disk.folders.has(folderOf(path))) return true;
    return !this.#disk.durablePaths.has(path) && this.#random() < 0.5;
  }

  #survivor(bytes: Uint8Array, change: Change): Uint8Array {
    const chance = this.#random();
    if (chance < 0.3) return bytes;
    if (change.kind === "cut") return applied(bytes, change);
    if (chance < 0.5) return applied(bytes, { ...change, bytes: new Uint8Array(change.bytes.length) });
    const from = chance < 0.7 ? Math.floor(this.#random() * change.bytes.length) : 0;
    const to = chance > 0.6 && chance < 0.8 ? Math.floor(this.#random() * change.bytes.length) : change.bytes.length;
    return applied(bytes, { ...change, bytes: change.bytes.slice(from, to), position: change.position + from });
  }

  /** Other calls may happen in between, as on a real disk. S3 */
  async #count(): Promise<void> {
    this.#calls += 1;
    const fails = this.#calls === this.#failingCall;
    await Promise.resolve();
    if (!this.#isAlive) throw new Error("the process is dead");
    if (fails) throw new Error("EIO: simulated");
  }

  #handle(contents: Contents): OpenFile {
    let isOpen = true;
    this.#openFiles += 1;
    const check = (): Promise<void> => {
      if (!isOpen) throw new Error("the file is not open");
      return this.#count();
    };
    const change = (next: Change): void => {
      contents.bytes = applied(contents.bytes, next);
      contents.unsynced.push(next);
    };
    return {
      read: async (into, position) => {
        await check();
        const found = contents.bytes.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      write: async (bytes, position) => {
        const short = this.#random() < 0.2 ? Math.ceil(bytes.length * this.#random()) : bytes.length;
        const part = bytes.slice(0, Math.max(short, Math.min(1, bytes.length)));
        if (this.#calls + 1 === this.#failingCall) change({ kind: "write", bytes: part, position });
        await check();
        change({ kind: "write", bytes: part, position });
        return part.length;
      },
      truncate: async (length) => {
        await check();
        change({ kind: "cut", length });
      },
      length: async () => {
        await check();
        return contents.bytes.length;
      },
      sync: async () => {
        const { bytes } = contents;
        await check();
        contents.durable = bytes;
        contents.unsynced = [];
      },
      close: async () => {
        await check();
        isOpen = false;
        this.#openFiles -= 1;
      },
    };
  }
}

/** A copy with the change made; gaps are zeros, as in a sparse file. */
function applied(bytes: Uint8Array, change: Change): Uint8Array {
  const end = change.kind === "cut" ? change.length : Math.max(bytes.length, change.position + change.bytes.length);
  const next = new Uint8Array(end);
  next.set(bytes.subarray(0, end));
  if (change.kind === "write") next.set(change.bytes, change.position);
  return next;
}
