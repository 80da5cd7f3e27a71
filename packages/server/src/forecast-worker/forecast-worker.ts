// forecast-worker.ts: the server's end of the thread that fits models: hands jobs over, passes tables on, starts the thread again
// when it fails. Not here: which series are forecast, what becomes of a table.
//   W1. Nothing here waits for the thread, and nothing that happens to it throws here: without it there are no tables, that is all.
//       A job that was on its way to a thread that failed is lost: the next one of its key has newer values anyway.
//   W2. At most JOBS_MAX jobs wait, one of them is on its way; the thread's memory has a limit of its own.
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../clock.ts";
import {
  type ForecastJob,
  type ForecastTable,
  type FromThread,
  HISTORY_STEPS_MAX,
  TABLE_STEPS_MAX,
  type ThreadOptions,
} from "./job.ts";

export interface ForecastWorkerOptions extends ThreadOptions {
  readonly clock: Clock;
  /** One line for the operator's log. */
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Memory that the thread may take, in MiB; beyond it the thread ends, and nothing else. Default: HEAP_MB_MAX. */
  readonly heapMbMax?: number;
  /** Default: the built forecast-thread.js beside this file. */
  readonly entry?: URL;
}

/** What `submit` did: `replaced`, an older job of the key had not been taken yet; `full`, refused, ask again later; `off`, closed or given up. */
export type Submitted = "queued" | "replaced" | "full" | "off";

export interface ForecastWorkerGauges {
  readonly state: "running" | "resting" | "off";
  readonly jobsWaiting: number;
  readonly jobsRefused: number;
  readonly tables: number;
  readonly restarts: number;
}

export const JOBS_MAX = 64;
/** A thread that takes no job for so long hangs. A fit takes at most seconds, also on a busy machine. */
const TAKE_MS_MAX = 60_000;
const REST_MS_MIN = 1_000;
const REST_MS_MAX = 60_000;
/** Failures in a row, without a table between them, after which it stays off: it would only burn time. */
const FAILURES_MAX = 10;
const HEAP_MB_MAX = 256;

export class ForecastWorker {
  readonly #options: ForecastWorkerOptions;
  readonly #waiting = new Map<string, ForecastJob>();
  readonly #listeners = new Set<(table: ForecastTable) => void>();
  #worker: Worker | undefined;
  #state: ForecastWorkerGauges["state"] = "off";
  #isClosed = false;
  #isOnItsWay = false;
  #timer: Timer | undefined;
  #failures = 0;
  #jobsRefused = 0;
  #tables = 0;
  #restarts = 0;

  constructor(options: ForecastWorkerOptions) {
    this.#options = options;
  }

  /** Starts the thread; does nothing when it runs. */
  start(): void {
    if (!this.#isClosed && this.#state === "off" && this.#failures === 0) this.#run();
  }

  /**
   * Hands a job over, copying what is needed of its values. Never waits.
   * @throws RangeError for `steps` out of range; a program's mistake
   */
  submit(job: ForecastJob): Submitted {
    if (!(Number.isInteger(job.steps) && job.steps >= 1 && job.steps <= TABLE_STEPS_MAX))
      throw new RangeError(`steps is ${job.steps}; it must be a whole number from 1 to ${TABLE_STEPS_MAX}.`);
    if (this.#state === "off") return "off";
    const isReplaced = this.#waiting.delete(job.key);
    if (this.#waiting.size >= JOBS_MAX) {
      this.#jobsRefused += 1;
      return "full";
    }
    this.#waiting.set(job.key, { ...job, values: job.values.slice(-HISTORY_STEPS_MAX) });
    this.#send();
    return isReplaced ? "replaced" : "queued";
  }

  /** Calls `listen` for every table from now on, in a turn of its own. The result ends that. */
  onTable(listen: (table: ForecastTable) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  gauges(): ForecastWorkerGauges {
    return {
      state: this.#state,
      jobsWaiting: this.#waiting.size,
      jobsRefused: this.#jobsRefused,
      tables: this.#tables,
      restarts: this.#restarts,
    };
  }

  /** Ends the thread, whatever it is doing. Idempotent; no table comes after it was called. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#state = "off";
    this.#timer?.dispose();
    this.#waiting.clear();
    this.#listeners.clear();
    await this.#worker?.terminate();
  }

  #run(): void {
    const { budgetRatio, keysMax, seed, entry = threadUrl(), heapMbMax = HEAP_MB_MAX } = this.#options;
    const workerData: ThreadOptions = { budgetRatio, keysMax, seed };
    this.#state = "running";
    this.#isOnItsWay = false;
    let worker: Worker;
    try {
      worker = new Worker(entry, { workerData, resourceLimits: { maxOldGenerationSizeMb: heapMbMax } });
    } catch (cause) {
      this.#failed(String(cause)); // No thread to be had: out of memory, for example.
      return;
    }
    this.#worker = worker;
    worker.unref(); // The process may end while models are fitted.
    let error: unknown;
    worker.on("message", (message: FromThread) => this.#hear(worker, message));
    worker.on("error", (cause) => {
      error = cause;
    });
    worker.on("exit", (code) => {
      if (worker === this.#worker) this.#failed(error === undefined ? `ended with code ${code}` : String(error));
    });
    this.#send();
  }

  #hear(worker: Worker, message: FromThread): void {
    if (this.#isClosed || worker !== this.#worker) return;
    if (message.kind === "taken") {
      this.#isOnItsWay = false;
      this.#timer?.dispose();
      this.#send();
      return;
    }
    this.#failures = 0;
    this.#tables += 1;
    for (const listen of this.#listeners) listen(message.table);
  }

  /** One job at a time: while the thread is busy fitting, the newest of each key waits here, not all of them in its port. */
  #send(): void {
    const [next] = this.#waiting.values();
    const worker = this.#worker;
    if (next === undefined || worker === undefined || this.#state !== "running" || this.#isOnItsWay) return;
    this.#waiting.delete(next.key);
    this.#isOnItsWay = true;
    worker.postMessage(next, [next.values.buffer as ArrayBuffer]); // `submit` made it its own buffer.
    this.#timer = this.#options.clock.after(TAKE_MS_MAX, () => void worker.terminate()); // Its exit does the rest.
  }

  #failed(cause: string): void {
    this.#worker = undefined;
    this.#timer?.dispose();
    if (this.#isClosed) return;
    this.#failures += 1;
    if (this.#failures > FAILURES_MAX) {
      this.#state = "off";
      this.#waiting.clear();
      this.#options.note("forecast thread stays off", { cause, failures: this.#failures });
      return;
    }
    const restMs = Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** (this.#failures - 1));
    this.#state = "resting";
    this.#options.note("forecast thread failed", { cause, failures: this.#failures, restMs });
    this.#timer = this.#options.clock.after(restMs, () => {
      this.#restarts += 1;
      this.#run();
    });
  }
}

/** Sources run as they are in tests, but a worker needs the built file. */
function threadUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith(".ts") ? "../../dist/forecast-worker/forecast-thread.js" : "./forecast-thread.js", here);
}
