// window.ts: proof that this node still owns what it leads: a linearizable read of all epochs, again and again. What needs no record
// of the log is answered only within WINDOW_MS of sending such a read.
//   Q1. Who takes over unplanned is silent for SILENCE_MS, longer than the window: by then the old owner answers nothing any more.
//   Q2. An answer that finds the window closed waits for it to open, one for each key. What waits is forgotten when a partition is given up:
//       it would leave out what the next owner has.
import type { Clock, Timer } from "../clock.ts";
import type { EpochRecord } from "./shared-log.ts";

export const WINDOW_MS = 200;
/** Q1: with a margin for two monotonic clocks that differ by up to 4 %. */
export const SILENCE_MS = 210;
const EVERY_MS = 60;
const IN_FLIGHT_MAX = 3;

export interface WindowOptions {
  readonly clock: Clock;
  /** @param deadlineMs undefined: as long as any request may take */
  readonly read: (deadlineMs: number | undefined) => Promise<ReadonlyMap<number, EpochRecord>>;
  /** What was read. Called before the window is open for it. */
  readonly saw: (epochs: ReadonlyMap<number, EpochRecord>) => void;
}

export class Window {
  readonly #options: WindowOptions;
  #provenAtMs = Number.NEGATIVE_INFINITY;
  #inFlight = 0;
  /** Q2. By session: there are no more than sessions. */
  readonly #held = new Map<string, () => void>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** Resolves after the first read, which a slow etcd may take its time for: it tells who owns what. Rejects when it fails. */
  async start(): Promise<void> {
    await this.#prove(undefined);
    this.#arm();
  }

  get isOpen(): boolean {
    return this.#options.clock.monotonicMs() - this.#provenAtMs < WINDOW_MS;
  }

  /** Q2. @returns whether `run` waits; false while the window is open */
  holds(key: string, run: () => void): boolean {
    if (this.isOpen) return false;
    if (!this.#isClosed) this.#held.set(key, run);
    return true;
  }

  forget(): void {
    this.#held.clear();
  }

  close(): void {
    this.#isClosed = true;
    this.forget();
    this.#timer?.dispose();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(EVERY_MS, () => {
      this.#arm();
      if (this.#inFlight >= IN_FLIGHT_MAX) return;
      // An answer that is lost must not keep the next reads from being sent: what comes later proves nothing any more.
      this.#prove(WINDOW_MS).catch(() => {}); // The window closes by itself; what needs it takes the way through the log.
    });
  }

  async #prove(deadlineMs: number | undefined): Promise<void> {
    const sentAtMs = this.#options.clock.monotonicMs();
    this.#inFlight += 1;
    try {
      const epochs = await this.#options.read(deadlineMs);
      if (this.#isClosed) return;
      this.#options.saw(epochs);
      this.#provenAtMs = Math.max(this.#provenAtMs, sentAtMs);
      this.#release();
    } finally {
      this.#inFlight -= 1;
    }
  }

  #release(): void {
    if (!this.isOpen) return; // The read took longer than the window: it proves nothing about now.
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const run of held) run();
  }
}
