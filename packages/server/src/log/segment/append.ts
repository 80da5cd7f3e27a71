// append.ts: group commit. Records that arrive while a write is under way share the next one. Not here: which sequences are
// right (segment-event-log.ts), how blocks look (block.ts).
//   A1. One write at a time, in order; a record lies in one commit, a commit in one segment.
//   A2. `onDurable` and the promises of a commit follow its write, never precede it.
//   A3. A failed write or sync is never tried again: the kernel may have dropped the bytes and forgotten the error. Everything
//       in flight and all that follows is refused.
//   A4. A small commit is written from this thread while the disk is quick: the way to another thread and back takes as long.
import { ForelockError } from "@forelock/protocol";
import type { LogRecord } from "../event-log.ts";
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES, encodeCommit, withView } from "./block.ts";
import { type OpenFile, writeFully } from "./files.ts";
import { encodedBytes, encodeRecord } from "./record.ts";
import { COMMIT_BYTES_MAX, COMMITS_FROM, type Cursor } from "./segment.ts";

/** The segment that takes appends, and its file open for durable writes. */
export interface Target {
  readonly cursor: Cursor;
  readonly segmentBytes: number;
  readonly file: OpenFile;
}

export interface GroupCommitOptions {
  /** Where the first commit goes. */
  readonly target: Target;
  /** Bytes of all segments made from now on. */
  readonly segmentBytes: number;
  /** The next segment, empty, when the current one has no room. Its commits start with `commit`. */
  readonly roll: (commit: number) => Promise<Target>;
  /** Called in order, before the promises of the records resolve. */
  readonly onDurable: (records: readonly LogRecord[], next: Cursor, bytes: number) => void;
  /** Called once. */
  readonly onStopped: (error: ForelockError) => void;
}

/** Larger commits are left to another thread: the event loop has better to do meanwhile. */
const WRITE_NOW_BYTES_MAX = 64 * 1024;

interface Pending {
  readonly record: LogRecord;
  readonly resolve: () => void;
  readonly reject: (error: ForelockError) => void;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #payload;
  readonly #blocks;
  #target: Target;
  #pending: Pending[] = [];
  /** The loop that writes; `undefined` while nothing is pending. */
  #running: Promise<void> | undefined;
  #stopped: ForelockError | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#target = options.target;
    const blocksBytes = Math.min(
      COMMIT_BYTES_MAX,
      Math.max(options.segmentBytes, options.target.segmentBytes) - COMMITS_FROM,
    );
    this.#blocks = withView(new Uint8Array(blocksBytes));
    this.#payload = withView(new Uint8Array((blocksBytes / BLOCK_BYTES) * BLOCK_PAYLOAD_BYTES));
  }

  get stopped(): ForelockError | undefined {
    return this.#stopped;
  }

  /** Bytes of the largest record that a segment can take. */
  get recordBytesMax(): number {
    const blocksBytes = Math.min(COMMIT_BYTES_MAX, this.#options.segmentBytes - COMMITS_FROM);
    return (blocksBytes / BLOCK_BYTES) * BLOCK_PAYLOAD_BYTES;
  }

  /** The record must stay as it is until the promise settles. */
  append(record: LogRecord): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => {
      this.#pending.push({ record, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Refuses all appends from now on; what is under way is finished. */
  close(reason: ForelockError): Promise<void> {
    const finished = this.#running ?? Promise.resolve();
    return finished.then(async () => {
      this.#stopped ??= reason;
      await this.#target.file.close();
    });
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0) {
      await afterThisTurn();
      if (this.#pending.length === 0) break; // Stopped meanwhile.
      const batch = this.#takeBatch();
      try {
        await this.#commit(batch);
      } catch (cause) {
        this.#stop(batch, cause);
        break;
      }
      for (const { resolve } of batch) resolve(); // A2
    }
    this.#running = undefined;
  }

  /** As many records as fit one commit, at least one. */
  #takeBatch(): readonly Pending[] {
    const { recordBytesMax } = this;
    let bytes = 0;
    let count = 0;
    for (const { record } of this.#pending) {
      bytes += encodedBytes(record);
      if (count > 0 && bytes > recordBytesMax) break;
      count++;
    }
    const batch = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    return batch;
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const records = batch.map(({ record }) => record);
    let end = 0;
    for (const record of records) end = encodeRecord(this.#payload, end, record);
    const payload = this.#payload.bytes.subarray(0, end);
    const blocks = Math.ceil(end / BLOCK_PAYLOAD_BYTES);
    if (this.#target.cursor.offset + blocks * BLOCK_BYTES > this.#target.segmentBytes) await this.#roll();
    const { cursor, file } = this.#target;
    const bytes = encodeCommit(this.#blocks, cursor, payload);
    const blocksOut = this.#blocks.bytes.subarray(0, bytes);
    const written = bytes <= WRITE_NOW_BYTES_MAX ? (file.writeNow?.(blocksOut, cursor.offset) ?? 0) : 0; // A4
    if (written < bytes) await writeFully(file, blocksOut.subarray(written), cursor.offset + written);
    const next = { ...cursor, offset: cursor.offset + bytes, commit: cursor.commit + 1 };
    this.#target = { ...this.#target, cursor: next };
    this.#options.onDurable(records, next, bytes);
  }

  async #roll(): Promise<void> {
    const { file, cursor } = this.#target;
    const next = await this.#options.roll(cursor.commit);
    this.#target = next;
    await file.close();
  }

  /** Stops the stream for a reason beside its own writes. @param what was being done, as a subject */
  fail(what: string, cause: unknown): ForelockError {
    return this.#stopWith([], what, cause);
  }

  #stop(batch: readonly Pending[], cause: unknown): void {
    const { path, offset } = this.#target.cursor;
    this.#stopWith(batch, `Writing to ${path} at byte ${offset}`, cause);
  }

  #stopWith(batch: readonly Pending[], what: string, cause: unknown): ForelockError {
    const why = cause instanceof Error ? cause.message : String(cause);
    const { path, offset } = this.#target.cursor;
    const error = new ForelockError("log_stopped", `${what} failed: ${why}.`, {
      cause,
      details: { file: path, offset },
    });
    const isFirst = this.#stopped === undefined;
    this.#stopped ??= error; // A3
    if (isFirst) this.#options.onStopped(error);
    for (const { reject } of [...batch, ...this.#pending]) reject(error);
    this.#pending = [];
    return error;
  }
}

/**
 * Resolves when every callback and promise that is due now has run, but before the event loop waits for anything. One turn of
 * the loop often makes many partitions append, each some promises away from the last: they share a write for it.
 */
function afterThisTurn(): Promise<void> {
  // Node runs ticks once no promise job is left, so the tick must be asked for from a promise job.
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
