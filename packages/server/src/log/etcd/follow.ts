// follow.ts: standbys' view of the log: one watch of the whole cluster, shared by all partitions that this node follows.
//   F1. Records come in order, each once, without a gap. Whatever the watch brings that is not the next record is dropped when it
//       is old, and else makes the follower read the log anew from where it is.
//   F2. A follower reads only after it is registered, and whenever the watch begins at a new revision: what happens before its
//       read is in the read, and what happens after it comes by the watch.
//   F3. A watch that stands still while the store moves on is begun again, on another member.
import { setMaxListeners } from "node:events";
import { assert, ForelockError } from "@forelock/protocol";
import type { Clock, Timer } from "../../clock.ts";
import { type Etcd, isEtcdError, type WatchBatch, type WatchEvent } from "../../etcd/etcd.ts";
import type { LogRecord } from "../event-log.ts";
import { decodeEpoch, type EpochRecord } from "./epoch.ts";
import type { ClusterKeys, ParsedKey } from "./keys.ts";
import type { Position } from "./ownership.ts";
import { PAGE_SLOTS, recordsIn } from "./read.ts";
import { decodeRecord, type FoundRecord, slotsOf } from "./record.ts";

export interface FollowOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  /** How long a watch may stand still while the store moves on. */
  readonly stallMs: number;
  /** An epoch record as the watch brings it, of a partition that nobody follows here. */
  readonly passed: (record: EpochRecord) => void;
}

export interface FollowSink {
  /** The next record. */
  record(record: LogRecord): void;
  /**
   * The epoch record as it is now, at the start and after each change, behind the records that the change stands behind. Records
   * that were read together with it may come before it: they name their epochs themselves.
   */
  epoch(record: EpochRecord): void;
}

/** `behind`: the next record is truncated; load the newest snapshot and follow from there. */
export type FollowEnd = "aborted" | "behind";

const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1_000;

interface Follower {
  readonly partition: number;
  readonly sink: FollowSink;
  readonly signal: AbortSignal;
  sequence: number;
  /** The last record that this follower itself has seen. */
  last: FoundRecord | undefined;
  epochRevision: number;
  isReading: boolean;
  /** Something came while it was reading, or must be read once more. */
  isDirty: boolean;
  readonly end: (how: FollowEnd | Error) => void;
}

export class Followers {
  readonly #options: FollowOptions;
  readonly #byPartition = new Map<number, Follower>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  /** Of the watch that is running. */
  #watch = new AbortController();
  #from = 0;
  #hasMoved = false;
  #counts = { batches: 0, reads: 0, watches: 0 };

  constructor(options: FollowOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // Every follower may pause at once; Node warns of more than ten.
  }

  get counts(): { readonly batches: number; readonly reads: number; readonly watches: number } {
    return this.#counts;
  }

  /** The last record that a follower of the partition was given since it began; undefined where there is none. */
  lastOf(partition: number): FoundRecord | undefined {
    return this.#byPartition.get(partition)?.last;
  }

  follow(partition: number, after: Position, sink: FollowSink, signal: AbortSignal): Promise<FollowEnd> {
    assert(!this.#byPartition.has(partition), `partition ${partition} is not followed yet`);
    if (signal.aborted || this.#closing.signal.aborted) return Promise.resolve("aborted");
    return new Promise((resolve, reject) => {
      const end = (how: FollowEnd | Error): void => {
        signal.removeEventListener("abort", abort);
        if (this.#byPartition.get(partition) === follower) this.#byPartition.delete(partition);
        if (this.#byPartition.size === 0) this.#watch.abort();
        if (how instanceof Error) reject(how);
        else resolve(how);
      };
      const abort = (): void => end("aborted");
      const start = { sequence: after.sequence, last: undefined, epochRevision: -1, isReading: false, isDirty: false };
      const follower: Follower = { partition, sink, signal, end, ...start };
      signal.addEventListener("abort", abort, { once: true });
      this.#byPartition.set(partition, follower);
      if (this.#running === undefined) this.#running = this.#run().finally(() => this.#restart());
      else void this.#catchUp(follower); // F2; the watch that begins has all read.
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { end } of [...this.#byPartition.values()]) end("aborted");
    this.#watch.abort();
    await this.#running;
  }

  /** Someone may have come while the last watch ended. */
  #restart(): void {
    this.#running = undefined;
    if (this.#byPartition.size > 0 && !this.#closing.signal.aborted)
      this.#running = this.#run().finally(() => this.#restart());
  }

  async #run(): Promise<void> {
    const stall = this.#watchStalls();
    let isNew = true;
    for (let pauseMs = PAUSE_MS; this.#byPartition.size > 0; ) {
      this.#watch = new AbortController();
      try {
        if (isNew) await this.#begin();
        isNew = false;
        this.#counts.watches += 1;
        const request = { ...this.#options.keys.all, from: this.#from };
        for await (const batch of this.#options.etcd.watch(request, this.#watch.signal)) {
          pauseMs = PAUSE_MS;
          this.#dispatch(batch);
        }
      } catch (error) {
        if (isEtcdError(error, "compacted")) isNew = true;
        else if (!isEtcdError(error, "unavailable")) this.#endAll(error);
        await this.#pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
      }
    }
    stall.dispose();
  }

  /** A new place to watch from, and everyone reads up to it at least. */
  async #begin(): Promise<void> {
    const { etcd, keys } = this.#options;
    const { revision } = await etcd.range({ key: keys.format, countOnly: true });
    this.#from = revision + 1;
    for (const follower of this.#byPartition.values()) void this.#catchUp(follower); // F2
  }

  #dispatch({ events, revision }: WatchBatch): void {
    this.#counts.batches += 1;
    this.#hasMoved = true;
    this.#from = Math.max(this.#from, revision + 1);
    for (let at = 0; at < events.length; ) {
      const event = events[at];
      const parsed = event === undefined ? undefined : this.#options.keys.parse(keyOf(event));
      const follower = parsed === undefined ? undefined : this.#byPartition.get(parsed.partition);
      if (event === undefined || parsed === undefined || follower === undefined || follower.isReading) {
        if (follower !== undefined) follower.isDirty = true;
        else if (parsed?.kind === "epoch" && event?.kind === "put")
          this.#options.passed(decodeEpoch(parsed.partition, event.entry));
        at += 1;
        continue;
      }
      at += this.#take(follower, parsed, event, events, at);
    }
  }

  /** @returns how many events it was */
  #take(follower: Follower, parsed: ParsedKey, event: WatchEvent, events: readonly WatchEvent[], at: number): number {
    if (event.kind === "delete") return 1; // Truncation, which is seen by its gap where it matters.
    if (parsed.kind === "epoch") {
      this.#guarded(follower, () => tellEpoch(follower, decodeEpoch(parsed.partition, event.entry)));
      return 1;
    }
    if (parsed.slot !== 0 || parsed.sequence <= follower.sequence) return 1;
    if (parsed.sequence > follower.sequence + 1) {
      void this.#catchUp(follower); // F1
      return 1;
    }
    const slots = Math.max(1, slotsOf(event.entry.value));
    const values = events
      .slice(at, at + slots)
      .flatMap((one) => (isSlotOf(one, event.entry.key) ? [one.entry.value] : []));
    if (values.length < slots) {
      void this.#catchUp(follower);
      return 1;
    }
    const { partition, sequence } = parsed;
    const revision = event.entry.modRevision;
    this.#guarded(follower, () => tellRecord(follower, decodeRecord({ partition, sequence, revision, values })));
    return slots;
  }

  /** Reads from where the follower is, until nothing new came while it read. */
  async #catchUp(follower: Follower): Promise<void> {
    follower.isDirty = true;
    if (follower.isReading) return;
    follower.isReading = true;
    for (let pauseMs = PAUSE_MS; follower.isDirty && this.#isFollowed(follower); ) {
      follower.isDirty = false;
      try {
        this.#counts.reads += 1;
        await this.#readOnce(follower);
        pauseMs = PAUSE_MS;
      } catch (error) {
        if (!isEtcdError(error, "unavailable")) {
          follower.end(asError(error));
          return;
        }
        follower.isDirty = true;
        await this.#pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
      }
    }
    follower.isReading = false;
  }

  async #readOnce(follower: Follower): Promise<void> {
    const { etcd, keys } = this.#options;
    const { partition } = follower;
    const records = { kind: "range", ...keys.records(partition, follower.sequence + 1), limit: PAGE_SLOTS } as const;
    const epoch = { kind: "range", key: keys.epoch(partition) } as const;
    const { answers } = await etcd.txn({ compare: [], success: [records, epoch] });
    const [found, epochs] = answers;
    assert(found?.kind === "range" && epochs?.kind === "range", "the answers are of ranges");
    if (!this.#isFollowed(follower)) return;
    const read = recordsIn(keys, found.entries, found.more);
    const first = read[0]?.record.sequence ?? 0;
    if (first > follower.sequence + 1) return follower.end("behind");
    for (const record of read) tellRecord(follower, record);
    if (found.more) follower.isDirty = true;
    else tellEpoch(follower, decodeEpoch(partition, epochs.entries[0]));
  }

  #guarded(follower: Follower, tell: () => void): void {
    try {
      tell();
    } catch (error) {
      follower.end(asError(error));
    }
  }

  #isFollowed(follower: Follower): boolean {
    return this.#byPartition.get(follower.partition) === follower;
  }

  #endAll(error: unknown): void {
    for (const { end } of [...this.#byPartition.values()]) end(asError(error));
  }

  /** F3 */
  #watchStalls(): Timer {
    const { clock, stallMs, etcd, keys } = this.#options;
    let isSuspect = false;
    let isOver = false;
    let timer = clock.after(stallMs, check);
    const watch = (): AbortController => this.#watch;
    const at = (): number => this.#from;
    const moved = (): boolean => {
      const has = this.#hasMoved;
      this.#hasMoved = false;
      return has;
    };
    async function check(): Promise<void> {
      const before = at();
      // A store out of reach is for the watch itself to notice.
      const revision = moved()
        ? 0
        : await etcd.range({ key: keys.format, countOnly: true }).then(
            (one) => one.revision,
            () => 0,
          );
      const isStill = revision >= before && at() === before;
      if (isStill && isSuspect) watch().abort();
      isSuspect = isStill && !isSuspect;
      if (!isOver) timer = clock.after(stallMs, check);
    }
    return {
      dispose: () => {
        isOver = true;
        timer.dispose();
      },
    };
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.dispose();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#options.clock.after(delayMs, done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }
}

function tellRecord(follower: Follower, found: FoundRecord): void {
  if (found.record.sequence !== follower.sequence + 1) return;
  follower.sequence = found.record.sequence;
  follower.last = found;
  follower.sink.record(found.record);
}

function tellEpoch(follower: Follower, record: EpochRecord): void {
  if (record.modRevision <= follower.epochRevision) return;
  follower.epochRevision = record.modRevision;
  follower.sink.epoch(record);
}

function keyOf(event: WatchEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

function isSlotOf(event: WatchEvent, first: string): event is Extract<WatchEvent, { kind: "put" }> {
  return event.kind === "put" && (event.entry.key === first || event.entry.key.startsWith(`${first}/`));
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new ForelockError("internal", String(error));
}
