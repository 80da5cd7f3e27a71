// workers.ts: the workers of a server as the thread that has the port sees them: how they are started, asked and told, and how they end.
// Not here: which partition is where (mover.ts, balance.ts), the traffic of clients (channel.ts).
//   W1. Every question is answered or failed once. A worker that ends fails all of its own, and the server with it.
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { ForelockError } from "@forelock/protocol";
import type { PolicyTable } from "../shard/policies.ts";
import type { Tail } from "./holders.ts";
import type { Host } from "./host.ts";
import { errorOfFailure, type FromWorker, type Question, type Told, type WorkerStart } from "./messages.ts";

export interface WorkersOptions {
  readonly starts: readonly Omit<WorkerStart, "channels" | "worker" | "workers">[];
  /** The built file of ../worker-thread.ts. */
  readonly entry: URL;
  readonly log: (line: string) => void;
}

/** What a worker found in its stream. */
export interface Opened {
  readonly tails: ReadonlyMap<number, Tail>;
  readonly lastEpoch: number;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Workers {
  readonly hosts: readonly Host[];
  /** From this thread to each worker: for its Channel. */
  readonly ports: readonly MessagePort[];
  /** Rejects when one of them has ended though nobody wanted it to. */
  readonly failed: Promise<never>;
  readonly #threads: readonly WorkerThread[];

  constructor({ starts, entry, log }: WorkersOptions) {
    const channels = mesh(starts.length);
    this.ports = channels.front;
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((_, reject) => {
      fail = reject;
    });
    this.failed.catch(() => {}); // Whoever serves hears of it; one that is closed before does not.
    this.#threads = starts.map((start, worker) => {
      const whole = { ...start, worker, workers: starts.length, channels: channels.ofWorker(worker) };
      return new WorkerThread(entry, whole, {
        log,
        failed: fail,
        policies: (rows) => this.tell({ kind: "policies", rows }, worker),
      });
    });
    this.hosts = this.#threads.map((thread) => hostOf(thread));
  }

  /** @throws ForelockError as the worker that cannot open its stream: `log_damaged`, `not_supported` */
  opened(): Promise<readonly Opened[]> {
    return Promise.all(this.#threads.map(({ opened }) => opened));
  }

  /** @throws ForelockError what it was answered */
  ask(worker: number, question: Question): Promise<unknown> {
    const thread = this.#threads[worker];
    if (thread === undefined) return Promise.reject(new ForelockError("internal", `There is no worker ${worker}.`));
    return thread.ask(question);
  }

  askAll(question: Question): Promise<readonly unknown[]> {
    return Promise.all(this.#threads.map((thread) => thread.ask(question)));
  }

  /** @param but a worker that knows already */
  tell(told: Told, but?: number): void {
    for (const [worker, thread] of this.#threads.entries()) if (worker !== but) thread.tell(told);
  }

  /** Lets them finish, then ends them. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

interface ThreadEvents {
  readonly log: (line: string) => void;
  readonly policies: (rows: PolicyTable) => void;
  readonly failed: (error: Error) => void;
}

class WorkerThread {
  readonly opened: Promise<Opened>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #ended: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(entry: URL, start: WorkerStart, events: ThreadEvents) {
    const ports = start.channels.filter((port) => port !== undefined);
    this.#worker = new Worker(entry, { workerData: start, transferList: [...ports] });
    let error: unknown;
    this.#worker.on("error", (cause) => {
      error = cause;
    });
    this.opened = new Promise((resolve, reject) => {
      this.#worker.on("message", (message: FromWorker) => {
        if (message.kind === "opened") resolve(message);
        else if (message.kind === "refused") reject(errorOfFailure(message.error));
        else this.#hear(message, events);
      });
      this.#worker.on("exit", (code) => {
        const why = error === undefined ? `ended with code ${code}` : String(error);
        const ended = new ForelockError("internal", `Worker ${start.worker} ${why}.`, { cause: error });
        this.#end(ended);
        reject(ended);
        if (this.#closing === undefined) events.failed(ended);
      });
    });
    this.opened.catch(() => {}); // Told to whoever asks.
  }

  ask(question: Question): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, question });
    });
  }

  tell(told: Told): void {
    this.#worker.postMessage({ told });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const isOpen = await this.opened.then(
      () => true,
      () => false,
    );
    try {
      if (isOpen) await this.ask({ kind: "close" });
    } finally {
      await this.#worker.terminate();
    }
  }

  #hear(message: Exclude<FromWorker, { kind: "opened" | "refused" }>, events: ThreadEvents): void {
    switch (message.kind) {
      case "log":
        return events.log(message.line);
      case "policies":
        return events.policies(message.rows);
      case "answer":
      case "failed": {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.kind === "answer") waiting?.resolve(message.value);
        else waiting?.reject(errorOfFailure(message.error));
      }
    }
  }

  /** W1 */
  #end(error: Error): void {
    this.#ended = error;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

/** One port for each two of the front and the workers. */
function mesh(workers: number) {
  const front: MessagePort[] = [];
  const rows: (MessagePort | undefined)[][] = Array.from({ length: workers }, () => []);
  for (const [worker, row] of rows.entries()) {
    const { port1, port2 } = new MessageChannel();
    front.push(port1);
    row[0] = port2;
    for (let other = worker + 1; other < workers; other += 1) {
      const between = new MessageChannel();
      row[other + 1] = between.port1;
      const otherRow = rows[other];
      if (otherRow !== undefined) otherRow[worker + 1] = between.port2;
    }
  }
  const ofWorker = (worker: number): readonly (MessagePort | undefined)[] =>
    Array.from({ length: workers + 1 }, (_, at) => rows[worker]?.[at]);
  return { front, ofWorker };
}

function hostOf(thread: WorkerThread): Host {
  return {
    give: async (partition) => (await thread.ask({ kind: "give", partition })) as Awaited<ReturnType<Host["give"]>>, // As PartitionHost gives it.
    take: async (given) => void (await thread.ask({ kind: "take", given })),
    keep: async (partition) => void (await thread.ask({ kind: "keep", partition })),
    gave: async (partition, to) => void (await thread.ask({ kind: "gave", partition, to })),
    lose: async (partition) => void (await thread.ask({ kind: "lose", partition })),
  };
}
