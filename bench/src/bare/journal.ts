// bare/journal.ts: a durable write for every batch, as little as it can be. Not here: what is in a batch (server.ts).
//   J1. `done` is called once the bytes of its batch are on the disk (O_DSYNC), never before. One append at a time.
//   J2. The file is full of written zeros before the first batch, so that a write changes no metadata.
// From the loop's own thread a write costs no hop; from node's thread pool the next batch gathers meanwhile. Which is faster
// depends on load and machine, so the benchmark measures both, and goals are judged against the faster.

import { closeSync, constants, fsyncSync, openSync, write, writeSync } from "node:fs";

export type JournalThread = "loop" | "pool";

const BLOCK_BYTES = 4096;
const FILE_BYTES = 64 * 1024 * 1024;

export class Journal {
  readonly #file: number;
  readonly #thread: JournalThread;
  #position = 0;

  constructor(path: string, thread: JournalThread) {
    this.#thread = thread;
    preallocate(path, FILE_BYTES);
    this.#file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  }

  /** Writes whole blocks at the end, from the start again when the file is full: a loop without a log to keep. */
  append(batch: Buffer, done: () => void): void {
    const bytes = padded(batch);
    if (this.#position + bytes.length > FILE_BYTES) this.#position = 0;
    const position = this.#position;
    this.#position += bytes.length;
    const written = (count: number): void => {
      if (count !== bytes.length) throw new Error(`Short write: ${count} of ${bytes.length} bytes.`);
      done(); // J1
    };
    if (this.#thread === "loop") return written(writeSync(this.#file, bytes, 0, bytes.length, position));
    write(this.#file, bytes, 0, bytes.length, position, (error, count) => {
      if (error !== null) throw error;
      written(count);
    });
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Makes a file of written zeros. Not fallocate: its blocks stay unwritten, and the first write to each waits for the file system's own log. */
export function preallocate(path: string, bytes: number): void {
  const file = openSync(path, "w");
  const zeros = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < bytes; at += zeros.length) writeSync(file, zeros, 0, Math.min(zeros.length, bytes - at), at);
  fsyncSync(file);
  closeSync(file);
}

function padded(batch: Buffer): Buffer {
  const rest = batch.length % BLOCK_BYTES;
  return rest === 0 ? batch : Buffer.concat([batch, Buffer.alloc(BLOCK_BYTES - rest)]);
}
