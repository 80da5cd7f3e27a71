// snapshots.ts: takes snapshots when the log has grown enough, and lets the log forget what two of them cover.
// Built by a worker thread from the durable log (last snapshot and records), never from live tables: the turn loop is not held up.
//   P1. The bulk store is synced before anything is truncated: the log is its only copy until then.
import { Worker } from "node:worker_threads";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Clock, Timer } from "../clock.ts";
import type { EventLog } from "../log/event-log.ts";
import type { BuiltSnapshot, SnapshotWork } from "./snapshot-build.ts";

export interface SnapshotsOptions {
  readonly log: EventLog;
  readonly bulk: BulkStore;
  readonly clock: Clock;
  readonly logFolder: string;
  readonly partitions: number;
  /** Whether the log has the partition at this moment. Undefined: it has all of them. */
  readonly has?: (partition: number) => boolean;
  /** Bytes of log after which the next snapshot is taken. */
  readonly snapshotBytes: number;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Default: in a worker thread. The simulator has no threads. */
  readonly build?: (work: SnapshotWork) => Promise<readonly BuiltSnapshot[]>;
}

const CHECK_MS = 500;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#arm();
  }

  /** Waits for a snapshot under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#running;
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(CHECK_MS, () => {
      const { log, snapshotBytes, note } = this.#options;
      if (log.stopped !== undefined || log.bytesSinceSnapshot < snapshotBytes) return this.#arm();
      this.#running = this.take().catch((cause: unknown) => {
        // The log goes on and keeps what a snapshot would have covered; the next check tries again.
        note("snapshot failed", { error: String(cause) });
      });
      void this.#running.finally(() => this.#arm());
    });
  }

  /** Takes one now. */
  async take(): Promise<void> {
    const { log, bulk, clock, note, logFolder, partitions, has, build = buildInWorker } = this.#options;
    const beganMs = clock.monotonicMs();
    const through = Array.from({ length: partitions }, (_, partition) =>
      has === undefined || has(partition) ? log.lastSequence(partition) : undefined,
    );
    const snapshots = await build({ logFolder, through });
    // P1: by now the turn loop has queued everything that those records append.
    await bulk.sync();
    await log.saveSnapshots(snapshots);
    await log.truncate();
    const bytes = snapshots.reduce((sum, snapshot) => sum + snapshot.state.length, 0);
    note("snapshot taken", { bytes, ms: Math.round(clock.monotonicMs() - beganMs) });
  }
}

function buildInWorker(work: SnapshotWork): Promise<readonly BuiltSnapshot[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerUrl(), { workerData: work });
    worker.once("message", (snapshots: readonly BuiltSnapshot[]) => resolve(snapshots));
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the snapshot worker ended with code ${code} before it was done`)));
  });
}

/** Sources run as they are in tests, but a worker needs the built file. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith(".ts") ? "../../dist/shard/snapshot-worker.js" : "./snapshot-worker.js", here);
}
