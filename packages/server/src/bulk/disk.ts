// disk.ts: file contents on disk, as `<folder>/<partition>/<file>.data` and `.index` (disk-file.ts). This part orders the work:
// each file has a queue that is worked off in order, and two of all queues at a time. Not here: bytes and offsets (disk-file.ts),
// descriptors (open-files.ts).
//   D1. Operations of one file happen one after the other, in the order of the calls; a read waits for what was queued before it.
//   D2. At most OPERATIONS_MAX file operations are in flight: more would starve the log of the threads they share.
//   D3. After a failed write, cut or sync nothing is written any more, and every read and sync is refused: what the disk holds is
//       then unknown, and a second sync could claim pages that the first one lost.
// Memory: the queues, and a few numbers per file that is open or dirty. Nothing for files at rest, whatever their size.

import { ForelockError } from "@forelock/protocol";
import type { BulkFileId, BulkRange, BulkRecord, BulkStore } from "./bulk-store.ts";
import type { DiskFile, Run } from "./disk-file.ts";
import { ENTRY_BYTES } from "./entry.ts";
import { type Files, folderOf } from "./files.ts";
import { OpenFiles } from "./open-files.ts";
import { Slots } from "./slots.ts";

const OPERATIONS_MAX = 2;

/** Appends of one file that are written at once. More saves little, and one write would hold its slot for long. */
const RUN_BYTES_MAX = 1_048_576;
const RUN_RECORDS_MAX = 16_384;

interface ReadOperation {
  readonly kind: "read";
  /** Reads and tells the caller. */
  readonly serve: (file: DiskFile | undefined) => Promise<void>;
  readonly fail: (why: Error) => void;
}

interface SyncOperation {
  readonly kind: "sync";
  readonly done: () => void;
  readonly fail: (why: Error) => void;
}

type WriteOperation =
  | { readonly kind: "append"; readonly record: BulkRecord }
  | { readonly kind: "fill"; readonly record: BulkRecord };

type Operation =
  | WriteOperation
  | { readonly kind: "truncate"; readonly count: number; readonly length: number }
  | ReadOperation
  | SyncOperation;

/** A file that has work queued, or is dirty. */
interface FileState {
  /** Path without extension. */
  readonly path: string;
  /** In order of the calls; those before `served` are done. */
  queue: Operation[];
  served: number;
  working: boolean;
  /** Written or cut since its last sync, by this process. */
  dirty: boolean;
}

export interface DiskBulkOptions {
  /** Folder of this store alone; created when missing. */
  readonly folder: string;
  readonly files: Files;
  /** Files kept open between operations, two descriptors each; 2 or more. */
  readonly openFilesMax: number;
}

export class DiskBulkStore implements BulkStore {
  readonly #options: DiskBulkOptions;
  readonly #openFiles: OpenFiles;
  readonly #slots = new Slots(OPERATIONS_MAX);
  readonly #fileByPath = new Map<string, FileState>();
  /** Files whose queue is being worked off. */
  #working = 0;
  readonly #untilIdle: (() => void)[] = [];
  #pendingBytes = 0;
  #stopped: Error | undefined;
  #closed = false;
  #lastSync: Promise<void> = Promise.resolve();

  private constructor(options: DiskBulkOptions) {
    this.#options = options;
    this.#openFiles = new OpenFiles(options);
  }

  /** @throws the system's error when the folder cannot be made */
  static async open(options: DiskBulkOptions): Promise<DiskBulkStore> {
    await options.files.createFolder(options.folder);
    await options.files.syncFolder(folderOf(options.folder));
    return new DiskBulkStore(options);
  }

  get pendingBytes(): number {
    return this.#stopped === undefined ? this.#pendingBytes : 0; // Nothing is written after a stop.
  }

  get stopped(): Error | undefined {
    return this.#stopped;
  }

  append(id: BulkFileId, record: BulkRecord): void {
    this.#put(id, { kind: "append", record });
  }

  fill(id: BulkFileId, record: BulkRecord): void {
    this.#put(id, { kind: "fill", record });
  }

  truncate(id: BulkFileId, count: number, length: number): void {
    if (this.#refusal() !== undefined) return;
    this.#queue(this.#fileAt(this.#pathOf(id)), { kind: "truncate", count, length });
  }

  async read(id: BulkFileId, range: BulkRange): Promise<Uint8Array> {
    const end = Math.min(range.offset + range.bytesMax, range.length);
    if (range.offset >= end) return new Uint8Array(0);
    return this.#read(id, (file) => file.read(range.offset, end, range.behind?.index ?? 0));
  }

  async readRecords(
    id: BulkFileId,
    range: { readonly index: number; readonly recordsMax: number; readonly bytesMax: number; readonly count: number },
  ): Promise<readonly Uint8Array[]> {
    const end = Math.min(range.index + range.recordsMax, range.count);
    if (range.index >= end) return [];
    return this.#read(id, (file) => file.readRecords(range.index, end, range.bytesMax));
  }

  sync(): Promise<void> {
    // One after the other: a second one must not find clean what the first has yet to sync.
    const sync = this.#lastSync.then(() => this.#sync());
    this.#lastSync = sync.catch(() => undefined); // Told to the caller of that sync; the next finds the store stopped.
    return sync;
  }

  /** Nothing of the partition's files is known any more: another store has written them meanwhile. Its reads under way are waited for. */
  async forget(partition: number): Promise<void> {
    const folder = `${this.#options.folder}/${partition}/`;
    const busy = [...this.#fileByPath.values()].filter(({ path, working }) => working && path.startsWith(folder));
    const idle = busy.map(
      (file) =>
        new Promise<void>((done) => this.#queue(file, { kind: "read", serve: async () => done(), fail: () => done() })),
    );
    await Promise.all(idle);
    await this.#openFiles.forget(folder);
  }

  async close(): Promise<void> {
    await this.#lastSync;
    if (this.#working > 0) await new Promise<void>((idle) => this.#untilIdle.push(idle));
    this.#closed = true;
    await this.#openFiles.close();
  }

  #put(id: BulkFileId, operation: WriteOperation): void {
    if (this.#refusal() !== undefined) return;
    this.#pendingBytes += weight(operation.record);
    this.#queue(this.#fileAt(this.#pathOf(id)), operation);
  }

  async #sync(): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const files = [...this.#fileByPath.values()].filter((file) => file.dirty || file.working);
    const synced = files.map(
      (file) => new Promise<void>((done, fail) => this.#queue(file, { kind: "sync", done, fail })),
    );
    await Promise.all(synced);
    const folders = this.#openFiles.takeDirtyFolders();
    const { files: fileSystem } = this.#options;
    try {
      await Promise.all(folders.map((folder) => this.#slots.run(() => fileSystem.syncFolder(folder))));
    } catch (error) {
      throw this.#stop(error);
    }
  }

  #read<Result>(id: BulkFileId, read: (file: DiskFile) => Promise<Result>): Promise<Result> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const path = this.#pathOf(id);
    return new Promise<Result>((resolve, fail) => {
      const serve = async (file: DiskFile | undefined): Promise<void> => {
        if (file === undefined) throw missing(path);
        resolve(await read(file));
      };
      this.#queue(this.#fileAt(path), { kind: "read", serve, fail });
    });
  }

  #queue(file: FileState, operation: Operation): void {
    file.queue.push(operation);
    if (file.working) return;
    file.working = true;
    this.#working += 1;
    void this.#work(file); // Never rejects: each step tells its outcome to whoever waits for it.
  }

  /** Works off one queue, leaving the slot after each step, so that a long queue does not keep others waiting. D1, D2 */
  async #work(file: FileState): Promise<void> {
    await undefined; // What the caller appends in the same go then shares the first write.
    while (file.served < file.queue.length) {
      await this.#slots.run(() => this.#step(file));
      if (file.served < file.queue.length) continue;
      file.queue = [];
      file.served = 0;
    }
    file.working = false;
    this.#working -= 1;
    if (!file.dirty) this.#fileByPath.delete(file.path);
    if (this.#working === 0) for (const idle of this.#untilIdle.splice(0)) idle();
  }

  /** Serves the first operation of the queue, with the appends that follow an append. Never rejects. */
  async #step(file: FileState): Promise<void> {
    const operation = file.queue[file.served];
    if (operation === undefined) return;
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      file.served += 1;
      refuse(operation, refusal);
    } else if (operation.kind === "append" || operation.kind === "fill") await this.#write(file, operation);
    else {
      file.served += 1;
      await this.#serve(file, operation);
    }
  }

  async #serve(file: FileState, operation: Exclude<Operation, WriteOperation>): Promise<void> {
    try {
      switch (operation.kind) {
        case "truncate":
          file.dirty = true; // Also where nothing is cut: a cut by the process before this one may not be durable yet.
          await this.#openFiles.use(file.path, "skip", async (disk) =>
            disk?.truncate(operation.count, operation.length),
          );
          return;
        case "sync":
          if (file.dirty) await this.#openFiles.use(file.path, "skip", async (disk) => disk?.sync());
          file.dirty = false;
          operation.done();
          return;
        case "read":
          await this.#openFiles.use(file.path, "skip", (disk) => operation.serve(disk));
          return;
      }
    } catch (error) {
      refuse(operation, operation.kind === "read" ? readFailure(file.path, error) : this.#stop(error));
    }
  }

  async #write(file: FileState, first: WriteOperation): Promise<void> {
    const run = takeRun(file, first);
    file.dirty = true;
    try {
      await this.#openFiles.use(file.path, "create", async (disk) => disk?.write(run, first.kind));
      for (const record of run) this.#pendingBytes -= weight(record);
    } catch (error) {
      this.#stop(error);
    }
  }

  /** D3 */
  #stop(cause: unknown): Error {
    if (this.#stopped === undefined) {
      const message = `File contents in ${this.#options.folder} could not be written.`;
      this.#stopped = new ForelockError("bulk_stopped", message, { cause });
    }
    return this.#stopped;
  }

  #refusal(): Error | undefined {
    if (this.#closed) return new ForelockError("bulk_stopped", "The bulk store is closed.");
    return this.#stopped;
  }

  #fileAt(path: string): FileState {
    const known = this.#fileByPath.get(path);
    if (known !== undefined) return known;
    const file: FileState = { path, queue: [], served: 0, working: false, dirty: false };
    this.#fileByPath.set(path, file);
    return file;
  }

  #pathOf(id: BulkFileId): string {
    return `${this.#options.folder}/${id.partition}/${id.file}`;
  }
}

/** What a record adds to `pendingBytes`: its bytes and its entry, so that empty records are bounded too. */
function weight(record: BulkRecord): number {
  return record.bytes.length + ENTRY_BYTES;
}

/** Takes the writes of one kind at the head of the queue that follow each other in the file. */
function takeRun(file: FileState, { kind, record: first }: WriteOperation): Run {
  const run: [BulkRecord, ...BulkRecord[]] = [first];
  file.served += 1;
  let { index } = first;
  let end = first.offset + first.bytes.length;
  while (run.length < RUN_RECORDS_MAX) {
    const next = file.queue[file.served];
    if ((next?.kind !== "append" && next?.kind !== "fill") || next.kind !== kind) break;
    if (next.record.index !== index + 1 || next.record.offset !== end) break;
    if (end + next.record.bytes.length - first.offset > RUN_BYTES_MAX) break;
    run.push(next.record);
    file.served += 1;
    index += 1;
    end += next.record.bytes.length;
  }
  return run;
}

function refuse(operation: Operation, why: Error): void {
  if (operation.kind === "read" || operation.kind === "sync") operation.fail(why);
}

/** A read that fails changed nothing, so the store goes on. */
function readFailure(path: string, cause: unknown): Error {
  if (cause instanceof ForelockError) return cause;
  return new ForelockError("unavailable", `The contents of ${path}.data could not be read.`, { cause });
}

function missing(path: string): Error {
  const details = { file: `${path}.data`, record: 0, offset: 0 };
  return new ForelockError("bulk_damaged", `The file ${details.file} is missing.`, { details });
}
