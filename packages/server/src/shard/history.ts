// history.ts: GetHistory: what the log remembers of a name, or of all that the caller may read. One look at a time, by another
// thread: a look reads the whole log. Not here: what the entries are (history-entries.ts).
//   R1. At most one look runs and WAITING_MAX wait; the next one is told `overloaded`.
//   R2. A look that takes longer than LOOK_MS_MAX is given up.

import { Worker } from "node:worker_threads";
import { type ErrorCode, ForelockError, type GetHistoryReply, type GetHistoryRequest } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { EventLog } from "../log/event-log.ts";
import { collectHistory, type HistoryEnd, type HistoryWork, lookAgain, type MayRead } from "./history-entries.ts";
import type { Caller } from "./service.ts";
import type { Shard } from "./shard.ts";

const LIMIT_DEFAULT = 1_000;
/** R1 */
export const WAITING_MAX = 8;
/** R2 */
const LOOK_MS_MAX = 60_000;
/** Of a frame: entries leave room for what else it carries. */
const FRAME_SHARE = 0.5;

/** Looks through the log. */
export type ReadHistory = (work: HistoryWork, mayRead: MayRead) => Promise<GetHistoryReply>;

export interface HistoryReaderOptions {
  readonly shards: readonly Shard[];
  readonly log: EventLog;
  readonly partitionOf: (name: string) => number;
  readonly frameBytesMax: number;
  /** Default: in this thread, through the log itself, for logs in memory. */
  readonly read: ReadHistory | undefined;
}

export class HistoryReader {
  readonly #options: HistoryReaderOptions;
  readonly #read: ReadHistory;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: HistoryReaderOptions) {
    this.#options = options;
    this.#read = options.read ?? historyInLog(options.log);
  }

  /**
   * @throws ForelockError `overloaded` when too many wait, or the log changed faster than it was read; `log_damaged`;
   *   what a stopped shard fails with
   */
  async get(caller: Caller, { name, sinceMs, limit }: GetHistoryRequest): Promise<GetHistoryReply> {
    if (this.#waiting > WAITING_MAX)
      throw new ForelockError("overloaded", `${this.#waiting - 1} requests for the history wait.`, {
        retryAfterMs: 1_000,
      });
    this.#waiting += 1;
    const look = async (): Promise<GetHistoryReply> => {
      const ends = await this.#ends();
      const partition = name === "" ? undefined : this.#options.partitionOf(name);
      const bytesMax = Math.floor(this.#options.frameBytesMax * FRAME_SHARE);
      const mayReadAll = caller.may("read", "");
      const work = { name, partition, sinceMs, limit: limit || LIMIT_DEFAULT, bytesMax, mayReadAll, ends };
      return this.#read(work, async (names) => names.map((each) => caller.may("read", each)));
    };
    const done = this.#last.then(look);
    this.#last = done.catch(() => undefined); // Its caller is told; the next one starts afresh.
    try {
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Where each partition stands, once all that was decided is durable. */
  #ends(): Promise<readonly HistoryEnd[]> {
    const { shards, log } = this.#options;
    return Promise.all(
      shards.map(
        (shard) =>
          new Promise<HistoryEnd>((resolve, reject) => {
            if (shard.stopped?.code === "not_owner") return resolve({ through: 0, clockMs: 0 });
            shard.read(
              ({ clockMs }) =>
                () =>
                  resolve({ through: log.lastSequence(shard.partition), clockMs }),
              reject,
            );
          }),
      ),
    );
  }
}

/** For a log that keeps its files to itself. */
export function historyInLog(log: Pick<EventLog, "loadSnapshots" | "read">): ReadHistory {
  return (work, mayRead) =>
    lookAgain(() =>
      collectHistory({ snapshots: () => log.loadSnapshots(), records: () => log.read(() => 0) }, work, mayRead),
    );
}

export interface HistoryTask {
  readonly logFolder: string;
  readonly work: HistoryWork;
}

export type HistoryMessage =
  /** Answered by a list of booleans. */
  | { readonly kind: "may_read"; readonly names: readonly string[] }
  | { readonly kind: "done"; readonly reply: GetHistoryReply }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

/** For a log in files: by a thread of its own. */
export function historyInWorker(logFolder: string, clock: Clock): ReadHistory {
  return (work, mayRead) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(workerUrl(), { workerData: { logFolder, work } satisfies HistoryTask });
      const fail = (cause: Error): void => {
        timer.dispose();
        void worker.terminate();
        reject(cause);
      };
      const timer = clock.after(LOOK_MS_MAX, () =>
        fail(new ForelockError("overloaded", `The history could not be read in ${LOOK_MS_MAX} ms.`)),
      );
      worker.on("message", (message: HistoryMessage) => {
        switch (message.kind) {
          case "may_read":
            mayRead(message.names).then((allowed) => worker.postMessage(allowed), fail);
            return;
          case "done":
            timer.dispose();
            resolve(message.reply);
            return;
          case "failed":
            fail(new ForelockError(message.code, message.message));
            return;
        }
      });
      worker.once("error", fail);
      worker.once("exit", (code) => fail(new Error(`the history worker ended with code ${code} before it was done`)));
    });
}

/** Sources run as they are in tests, but a worker needs the built file. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith(".ts") ? "../../dist/shard/history-worker.js" : "./history-worker.js", here);
}
