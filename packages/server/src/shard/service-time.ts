// service-time.ts: one time for the records of all partitions, over restarts: milliseconds of service since the log begins. Time
// without a server does not count. Not here: the clocks of partitions, which only run on with their own records.
//   U1. In one life of a server (one epoch) every partition's first record is of its start: from there on elapsed times add up.
//   U2. A life begins where the one before it was last heard of. What passed between its last record and its end is lost: at
//       most a second while anything was timed.
import type { LogRecord } from "../log/event-log.ts";

export class ServiceTime {
  #nowMs = 0;
  #epoch = 0;
  #lives = 0;
  /** Undefined: the life began before the log does. */
  #lifeSinceMs: number | undefined;
  readonly #lastMsByPartition = new Map<number, number>();

  /** Of the newest record. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Lives of the server that were met, the one that the log begins in included. */
  get lives(): number {
    return this.#lives;
  }

  /** The partition's newest record of the newest life. */
  lastOf(partition: number): number | undefined {
    return this.#lastMsByPartition.get(partition);
  }

  /** @returns when the record was written. Records come in stream order. */
  take({
    partition,
    epoch,
    sequence,
    elapsedMs,
  }: Pick<LogRecord, "partition" | "epoch" | "sequence" | "elapsedMs">): number {
    if (epoch > this.#epoch) {
      // U2. The very first record of a partition tells that a server began here with it.
      this.#lifeSinceMs = this.#lives > 0 || sequence === 1 ? this.#nowMs : undefined;
      this.#epoch = epoch;
      this.#lives += 1;
      this.#lastMsByPartition.clear();
    }
    const lastMs = this.#lastMsByPartition.get(partition) ?? this.#lifeSinceMs; // U1
    // In a life of unknown beginning a partition that is met first is taken to speak at the moment of the others.
    const atMs = lastMs === undefined ? this.#nowMs : lastMs + elapsedMs;
    this.#lastMsByPartition.set(partition, atMs);
    this.#nowMs = Math.max(this.#nowMs, atMs);
    return atMs;
  }
}
