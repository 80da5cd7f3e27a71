// upkeep.ts: what keeps the log in etcd small: snapshots of what this node leads, truncation, compaction of etcd's history, and a look
// at how full etcd is. One thing at a time.
//   K1. A snapshot is built from the durable log (the last one and the records after it), never from the state that is being changed.
//   K2. The bulk store is synced before anything is truncated: the log is its only copy until then. How far others have it bounds the
//       truncation (contents.ts), so it is tried again while nothing new is appended.
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Clock, Timer } from "../clock.ts";
import type { Snapshot } from "../log/event-log.ts";
import { SILENT } from "../partition/observer.ts";
import { encodeSnapshot } from "../partition/snapshot.ts";
import { recoverPartition } from "../shard/recovery.ts";
import type { SharedLog } from "./shared-log.ts";

/** How full etcd is. */
export interface Admission {
  /** Looks again. */
  refresh(): Promise<unknown>;
}

export interface UpkeepOptions {
  readonly log: SharedLog & {
    /** By this node, ever. */
    readonly appendedBytes: number;
    bytesSinceSnapshotOf(partition: number): number;
    compactHistory(): Promise<unknown>;
  };
  readonly bulk: BulkStore;
  readonly admission: Admission;
  readonly clock: Clock;
  /** What this node leads now. */
  readonly led: () => readonly number[];
  /** Bytes of a partition's log after which its next snapshot is due. */
  readonly snapshotBytes: number;
  /** Whether this node is the one that compacts now and then. */
  readonly isCompacting: () => boolean;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

const EVERY_MS = 500;
const COMPACT_MS = 10_000;
/** What a node has appended itself has it compact sooner, and whoever plans: at full speed etcd's file would grow by all that time's. */
const COMPACT_BYTES = 32 * 1024 * 1024;
/** Followers that are further behind than two of these read anew. */
const COMPACT_MS_MIN = 1_000;
const LOOK_MS = 2_000;
/** Snapshots between two truncations. */
const SNAPSHOTS_MAX = 8;

export class Upkeep {
  readonly #options: UpkeepOptions;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #compactedAtMs: number;
  #compactedAtBytes: number;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#compactedAtMs = options.clock.monotonicMs();
    this.#compactedAtBytes = options.log.appendedBytes;
    this.#arm();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#running;
  }

  /** Takes the snapshots that are due, then frees what they cover. */
  async takeDue(): Promise<void> {
    const { log, led, snapshotBytes, bulk, note } = this.#options;
    const due = led()
      .map((partition) => ({ partition, bytes: log.bytesSinceSnapshotOf(partition) }))
      .filter(({ bytes }) => bytes >= snapshotBytes)
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, SNAPSHOTS_MAX);
    if (due.length === 0) return;
    await bulk.sync(); // K2
    for (const { partition } of due) {
      try {
        await log.saveSnapshots([await this.#build(partition)]);
      } catch (error) {
        note("snapshot failed", { partition, error: String(error) }); // Another's by now, or etcd is slow: the next look tells.
      }
    }
    await log.truncate();
  }

  /** K1 */
  async #build(partition: number): Promise<Snapshot> {
    const { log } = this.#options;
    const last = await log.loadSnapshot(partition);
    const { state, epoch, sequence } = await recoverPartition(log, partition, last, { observer: SILENT });
    return { partition, epoch, sequence, state: encodeSnapshot(state) };
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(EVERY_MS, () => {
      this.#running = this.#look().catch((error: unknown) => {
        this.#options.note("upkeep failed", { error: String(error) });
      });
      void this.#running.finally(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    const { clock, log, admission, isCompacting } = this.#options;
    await this.takeDue();
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = nowMs;
      await log.truncate(); // K2
      await admission.refresh();
    }
    const [passedMs, bytes] = [nowMs - this.#compactedAtMs, log.appendedBytes - this.#compactedAtBytes];
    const isMuch = bytes >= COMPACT_BYTES && passedMs >= COMPACT_MS_MIN;
    if (!isMuch && passedMs < COMPACT_MS) return;
    this.#compactedAtMs = nowMs;
    this.#compactedAtBytes = log.appendedBytes;
    if (isMuch || isCompacting()) await log.compactHistory();
  }
}
