// time.ts: the one time line of a simulation: a queue of events, each belonging to a process that can be paused or killed.
//   T1. Events run in order of (moment, creation); nothing else decides what comes next, so one seed gives one run.
//   T2. After each event every promise job that it made due has run before the next one starts.
//   T3. Events of a dead process never run; those of a paused one run when it goes on, in their old order.
import type { Clock, Timer } from "forelock/internal";

/** One machine's worth of running code: a server between two crashes, or a client. */
export class Process {
  readonly name: string;
  isAlive = true;
  pausedUntilMs = 0;

  constructor(name: string) {
    this.name = name;
  }
}

interface Entry {
  atMs: number;
  readonly order: number;
  readonly process: Process;
  readonly run: () => void;
  isCancelled: boolean;
}

export class SimulatedTime {
  nowMs = 0;
  events = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Runs `run` in `process`, `delayMs` from now. */
  after(process: Process, delayMs: number, run: () => void): Timer {
    this.#order += 1;
    const entry: Entry = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: this.#order,
      process,
      run,
      isCancelled: false,
    };
    this.#push(entry);
    return {
      dispose: () => {
        entry.isCancelled = true;
      },
    };
  }

  /** The clocks of one process: monotonic from `originMs` at `rate`, wall as `wallMs` says. */
  clockOf(process: Process, originMs: number, rate: number, wallMs: () => number): Clock {
    return {
      wallMs,
      monotonicMs: () => originMs + this.nowMs * rate,
      after: (delayMs, fire) => this.after(process, delayMs / rate, fire),
    };
  }

  /** Runs everything up to `untilMs`, which is now afterwards. `checked` runs after each event and its promise jobs. */
  async runUntil(untilMs: number, checked: () => void): Promise<void> {
    for (let entry = this.#heap[0]; entry !== undefined && entry.atMs <= untilMs; entry = this.#heap[0]) {
      this.#pop();
      if (entry.isCancelled || !entry.process.isAlive) continue; // T3
      if (entry.process.pausedUntilMs > entry.atMs) {
        entry.atMs = entry.process.pausedUntilMs;
        this.#push(entry);
        continue;
      }
      this.nowMs = Math.max(this.nowMs, entry.atMs);
      this.events += 1;
      entry.run();
      await settled();
      checked();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Whether `process` has something to do at this very moment. */
  isDue(process: Process): boolean {
    return this.#heap.some((entry) => entry.atMs <= this.nowMs && entry.process === process && !entry.isCancelled);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      const left = heap[child];
      const right = heap[child + 1];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child += 1;
      const smaller = heap[child];
      if (smaller === undefined || !isBefore(smaller, last)) break;
      heap[index] = smaller;
      index = child;
    }
    heap[index] = last;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => (a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order);

/**
 * T2. The event loop reaches its check phase only when no promise job and no tick is left, and nothing in a simulation waits for
 * the outside: so this resolves when all that can run has run, in an order that depends on the program alone.
 */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
