// prepare.ts: the next segment file, made ready before it is needed. Not here: when the log turns to it (append.ts).
//   P1. A segment gets its name only when it is whole and durable, its space taken: an append never meets a full disk half way.
//   P2. A failed preparation harms nothing: it is reported at once, and tried anew, on a new file, when space was freed or the
//       segment is needed.
//   P3. A crash at any moment leaves at most "next.tmp" and "spare.log", which the next start removes or uses.
import { BLOCK_BYTES } from "./block.ts";
import { type Files, isNotFound, type OpenFile, writeFully } from "./files.ts";
import type { LogNotice } from "./notice.ts";
import { encodeHeader, type SegmentName, segmentPath, withFile } from "./segment.ts";

/** Removed by the start. */
export const TEMPORARY_NAME = "next.tmp";
const SPARE_NAME = "spare.log";
/** Zeroes written between two syncs beside appends, which wait behind them in the queue of the disk; and when all wait for them. */
const ZERO_BYTES = 128 * 1024;
const ZERO_BYTES_IN_HASTE = 1024 * 1024;

export interface PreparerOptions {
  readonly files: Files;
  readonly folder: string;
  readonly segmentBytes: number;
  readonly notice: (notice: LogNotice) => void;
}

/** Owned by the one log that writes to the folder. */
export class Preparer {
  readonly #options: PreparerOptions;
  /** Segments that an earlier run prepared, oldest first. */
  readonly #adopted: SegmentName[];
  /** The segment being made or made; `undefined` before the first and after a failure. */
  #next: Promise<SegmentName> | undefined;
  /** Of the segment to make next. */
  #generation: number;
  /** Whether `take` waits. */
  #isAwaited = false;
  #closed = false;

  /** @param after the newest generation in use; those in `adopted` follow it. */
  constructor(options: PreparerOptions, after: number, adopted: readonly SegmentName[]) {
    this.#options = options;
    this.#adopted = [...adopted];
    this.#generation = after + adopted.length + 1;
  }

  /** Starts making the next segment unless it is there or under way. Never throws: P2. */
  start(): void {
    if (this.#closed || this.#next !== undefined || this.#adopted.length > 0) return;
    const making = this.#make(this.#generation);
    this.#next = making;
    making.catch((cause: unknown) => {
      if (this.#next === making) this.#next = undefined;
      if (this.#closed) return;
      const message = "The next segment of the log could not be prepared; appends go on until this one is full.";
      this.#options.notice({ kind: "segment_not_prepared", message, cause });
    });
  }

  /** The next segment, whole and empty. Does not begin the one after it. */
  async take(): Promise<SegmentName> {
    const adopted = this.#adopted.shift();
    if (adopted !== undefined) return adopted;
    this.#isAwaited = true;
    if (this.#next !== undefined) await this.#next.catch(() => undefined); // Tried anew below: P2.
    this.start();
    if (this.#next === undefined) throw new Error("the log is closed");
    const segment = await this.#next;
    this.#isAwaited = false;
    this.#generation = segment.generation + 1;
    this.#next = undefined;
    return segment;
  }

  /**
   * Gives up a segment file that nobody needs: kept for the next segment when it fits, else removed. Durable when it resolves;
   * until then nobody knows, and it is called again.
   */
  async recycle(segment: SegmentName, segmentBytes: number, isSpareFree: boolean): Promise<void> {
    const { files, folder } = this.#options;
    const isKept = isSpareFree && segmentBytes === this.#options.segmentBytes;
    const freed = isKept ? files.rename(segment.path, `${folder}/${SPARE_NAME}`) : files.remove(segment.path);
    await freed.catch((error: unknown) => {
      if (!isNotFound(error)) throw error; // Gone since an earlier call, whose sync failed.
    });
    await files.syncFolder(folder); // One by one: a crash must not leave a gap between segments.
  }

  /** Waits for a preparation under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#next?.catch(() => undefined); // Reported by `start`.
  }

  async #make(generation: number): Promise<SegmentName> {
    const { files, folder } = this.#options;
    const temporary = `${folder}/${TEMPORARY_NAME}`;
    const isRecycled = await this.#useSpare(temporary);
    try {
      await this.#fill(temporary, generation, isRecycled);
    } catch (error) {
      await files.remove(temporary).catch(() => undefined); // On a full disk others need the space; the start removes it too.
      throw error;
    }
    const path = segmentPath(folder, generation);
    await files.rename(temporary, path);
    await files.syncFolder(folder);
    return { generation, path };
  }

  async #fill(path: string, generation: number, isRecycled: boolean): Promise<void> {
    const file = await this.#options.files.open(path, isRecycled ? "write" : "create");
    try {
      if (!isRecycled) await this.#zero(file);
      await writeFully(file, encodeHeader(generation, this.#options.segmentBytes), 0);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #zero(file: OpenFile): Promise<void> {
    const { segmentBytes } = this.#options;
    const zeroes = new Uint8Array(Math.min(ZERO_BYTES_IN_HASTE, segmentBytes));
    for (let at = BLOCK_BYTES; at < segmentBytes; ) {
      if (this.#closed) throw new Error("the log is closing");
      const count = Math.min(this.#isAwaited ? ZERO_BYTES_IN_HASTE : ZERO_BYTES, segmentBytes - at);
      await writeFully(file, zeroes.subarray(0, count), at);
      await file.sync();
      at += count;
    }
  }

  /** @returns whether the spare file is now at `path` */
  async #useSpare(path: string): Promise<boolean> {
    const { files, folder, segmentBytes } = this.#options;
    const spare = `${folder}/${SPARE_NAME}`;
    if (!(await files.list(folder)).includes(SPARE_NAME)) return false;
    const isFit = await withFile(files, spare, async (file) => (await file.size()) === segmentBytes);
    await (isFit ? files.rename(spare, path) : files.remove(spare));
    return isFit;
  }
}
