// memory-files.ts: a file system in memory that forgets at a crash what a disk may forget. For the simulator and the tests; no
// timers, no chance but what is passed in. Not here: calls that fail (faulty-files.ts).
//   M1. Bytes written and not synced may, at a crash, be kept or lost sector by sector. A durable write counts as synced when its
//       promise resolves, not before.
//   M2. Creates, renames and removals not followed by a sync of their folder are undone at a crash from some point on.
//       Folders themselves are kept.
//   M3. After a crash files opened before it fail, and calls begun before it never take effect.
import { SECTOR_BYTES } from "./block.ts";
import type { Files, OpenFile, OpenMode } from "./files.ts";

export interface MemoryFilesOptions {
  /** Awaited in every call between its effect and its answer: where the simulator puts the time that a disk takes. */
  readonly pause?: (call: "read" | "write" | "sync" | "other", bytes: number) => Promise<void>;
}

interface Content {
  current: Uint8Array;
  size: number;
  durable: Uint8Array;
  durableSize: number;
  /** Sectors in which `current` may differ from `durable`. */
  readonly dirty: Set<number>;
}

type Change =
  | { readonly kind: "link"; readonly path: string; readonly content: Content }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly content: Content }
  | { readonly kind: "unlink"; readonly path: string };

interface Folder {
  readonly current: Map<string, Content>;
  durable: Map<string, Content>;
  changes: Change[];
}

export class MemoryFiles implements Files {
  readonly #folderByPath = new Map<string, Folder>();
  readonly #pause: NonNullable<MemoryFilesOptions["pause"]>;
  #crashes = 0;

  /** Has the folder "/". */
  constructor(options: MemoryFilesOptions = {}) {
    this.#folderByPath.set("/", { current: new Map(), durable: new Map(), changes: [] });
    this.#pause = options.pause ?? (() => Promise.resolve());
  }

  /** Crashes so far: an open file belongs to the time between two. */
  get crashes(): number {
    return this.#crashes;
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    await this.settle("other", 0);
    const folder = this.#folderOf(path);
    let content = folder.current.get(path);
    if (mode === "create") {
      if (content === undefined) {
        content = { current: new Uint8Array(0), size: 0, durable: new Uint8Array(0), durableSize: 0, dirty: new Set() };
        change(folder, { kind: "link", path, content });
      } else content.size = 0;
    }
    if (content === undefined) throw notFound(path);
    return new MemoryFile(this, content, mode === "write_durable");
  }

  async rename(from: string, to: string): Promise<void> {
    await this.settle("other", 0);
    const folder = this.#folderOf(from);
    const content = folder.current.get(from);
    if (content === undefined) throw notFound(from);
    change(folder, { kind: "rename", from, to, content });
  }

  async remove(path: string): Promise<void> {
    await this.settle("other", 0);
    const folder = this.#folderOf(path);
    if (!folder.current.has(path)) throw notFound(path);
    change(folder, { kind: "unlink", path });
  }

  async list(path: string): Promise<readonly string[]> {
    await this.settle("other", 0);
    const folder = this.#folderByPath.get(path);
    if (folder === undefined) throw notFound(path);
    return [...folder.current.keys()].map((name) => name.slice(path.length + 1));
  }

  async makeFolder(path: string): Promise<void> {
    await this.settle("other", 0);
    if (!this.#folderByPath.has(path))
      this.#folderByPath.set(path, { current: new Map(), durable: new Map(), changes: [] });
  }

  async syncFolder(path: string): Promise<void> {
    await this.settle("sync", 0);
    const folder = this.#folderByPath.get(path);
    if (folder === undefined) throw notFound(path);
    folder.durable = new Map(folder.current);
    folder.changes = [];
  }

  /** The power goes. @param random uniform in [0, 1): decides what of the unsynced survives */
  crash(random: () => number): void {
    this.#crashes++;
    for (const folder of this.#folderByPath.values()) {
      const kept = Math.floor(random() * (folder.changes.length + 1));
      for (const made of folder.changes.slice(0, kept)) apply(folder.durable, made);
      folder.changes = [];
      folder.current.clear();
      for (const [path, content] of folder.durable) folder.current.set(path, content);
      for (const content of new Set(folder.current.values())) tear(content, random);
    }
  }

  /** The bytes of a file as a reader would see them now: for tests that damage them in place. */
  contentOf(path: string): Uint8Array {
    const content = this.#folderOf(path).current.get(path);
    if (content === undefined) throw notFound(path);
    return content.current.subarray(0, content.size);
  }

  /** Lets time pass within a call, which fails when a crash came meanwhile. */
  async settle(call: "read" | "write" | "sync" | "other", bytes: number): Promise<void> {
    const crashes = this.#crashes;
    await this.#pause(call, bytes);
    if (crashes !== this.#crashes) throw crashed(); // M3
  }

  #folderOf(path: string): Folder {
    const folder = this.#folderByPath.get(path.slice(0, path.lastIndexOf("/")));
    if (folder === undefined) throw notFound(path);
    return folder;
  }
}

class MemoryFile implements OpenFile {
  readonly #files: MemoryFiles;
  readonly #content: Content;
  readonly #isDurable: boolean;
  readonly #crashes: number;

  constructor(files: MemoryFiles, content: Content, isDurable: boolean) {
    this.#files = files;
    this.#content = content;
    this.#isDurable = isDurable;
    this.#crashes = files.crashes;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    await this.#settle("read", into.byteLength);
    const part = this.#content.current.subarray(at, Math.min(this.#content.size, at + into.byteLength));
    into.set(part);
    return part.byteLength;
  }

  async write(bytes: Uint8Array, at: number): Promise<number> {
    if (this.#crashes !== this.#files.crashes) throw crashed();
    put(this.#content, bytes, at);
    await this.#settle("write", bytes.byteLength);
    if (this.#isDurable) harden(this.#content, sectorsOf(at, bytes.byteLength)); // M1
    return bytes.byteLength;
  }

  async sync(): Promise<void> {
    await this.#settle("sync", 0);
    harden(this.#content, this.#content.dirty);
  }

  async size(): Promise<number> {
    await this.#settle("other", 0);
    return this.#content.size;
  }

  async close(): Promise<void> {
    await this.#settle("other", 0);
  }

  async #settle(call: "read" | "write" | "sync" | "other", bytes: number): Promise<void> {
    if (this.#crashes !== this.#files.crashes) throw crashed(); // M3
    await this.#files.settle(call, bytes);
  }
}

function change(folder: Folder, made: Change): void {
  apply(folder.current, made);
  folder.changes.push(made);
}

function apply(entries: Map<string, Content>, made: Change): void {
  switch (made.kind) {
    case "link":
      entries.set(made.path, made.content);
      break;
    case "rename":
      entries.delete(made.from);
      entries.set(made.to, made.content);
      break;
    case "unlink":
      entries.delete(made.path);
      break;
  }
}

function put(content: Content, bytes: Uint8Array, at: number): void {
  const end = at + bytes.byteLength;
  content.current = grown(content.current, end);
  if (at > content.size) content.current.fill(0, content.size, at);
  content.current.set(bytes, at);
  content.size = Math.max(content.size, end);
  for (const sector of sectorsOf(at, bytes.byteLength)) content.dirty.add(sector);
}

function harden(content: Content, sectors: Iterable<number>): void {
  content.durable = grown(content.durable, content.size);
  content.durableSize = content.size;
  for (const sector of [...sectors]) keepSector(content, sector);
}

function keepSector(content: Content, sector: number): void {
  const from = sector * SECTOR_BYTES;
  const to = Math.min(content.size, from + SECTOR_BYTES);
  content.durable = grown(content.durable, to);
  if (to > from) content.durable.set(content.current.subarray(from, to), from);
  content.dirty.delete(sector);
}

/** M1 */
function tear(content: Content, random: () => number): void {
  for (const sector of [...content.dirty]) if (random() < 0.5) keepSector(content, sector);
  if (content.size !== content.durableSize && random() < 0.5) content.durableSize = content.size;
  content.durable = grown(content.durable, content.durableSize);
  content.size = content.durableSize;
  content.current = content.durable.slice(0, content.durableSize);
  content.dirty.clear();
}

function* sectorsOf(at: number, bytes: number): Generator<number> {
  for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < at + bytes; sector++) yield sector;
}

/** At least `size` bytes, new ones zero; doubling, so that many small writes stay cheap. */
function grown(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.byteLength >= size) return bytes;
  const larger = new Uint8Array(Math.max(size, bytes.byteLength * 2));
  larger.set(bytes);
  return larger;
}

function notFound(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file, '${path}'`), { code: "ENOENT" });
}

function crashed(): Error {
  return Object.assign(new Error("EIO: the machine crashed"), { code: "EIO" });
}
