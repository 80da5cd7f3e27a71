// running.ts: holds that have begun and not ended, a bounded number. Not here: what is concluded from their ages (forecaster.ts).
//   H1. A handle names one hold: when that has ended, its handle answers to nothing, also after its slot was reused.
//   H2. Running holds are never given up for new ones: they are the long ones, and forgetting them would bias every tail short.
import { DURATION_QUANTILES } from "./forecast.ts";

declare const brand: unique symbol;
/** A running hold, as `begin` named it. */
export type HoldHandle = number & { readonly [brand]: "HoldHandle" };

const NONE = -1;
const LEVELS = DURATION_QUANTILES.length;

/** Running holds of one client, in order of beginning. */
interface ClientHolds {
  oldest: number;
  newest: number;
  holds: number;
}

export class RunningHolds {
  readonly #runningMax: number;
  readonly #clients: string[] = [];
  readonly #elements: string[] = [];
  readonly #startsMs: Float64Array;
  readonly #generations: Float64Array;
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  /**
   * By slot, `DURATION_QUANTILES.length` positions of the quantiles that were first forecast for the hold; the first NaN: none
   * were. Stays until the slot is begun anew.
   */
  readonly forecasts: Float64Array;
  /** By slot, with the forecast: the end of the pair's series when it was made; NaN when there was none. */
  readonly seriesEnds: Float64Array;
  readonly #holdsByClient = new Map<string, ClientHolds>();
  readonly #spare: ClientHolds[] = [];
  #free = NONE;
  #used = 0;
  #holds = 0;

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
    this.#startsMs = new Float64Array(runningMax);
    this.#generations = new Float64Array(runningMax);
    this.#older = new Int32Array(runningMax);
    this.#newer = new Int32Array(runningMax);
    this.seriesEnds = new Float64Array(runningMax);
    this.forecasts = new Float64Array(runningMax * LEVELS);
  }

  get size(): number {
    return this.#holds;
  }

  /** `undefined` when the table is full (H2). */
  begin(client: string, element: string, startMs: number): HoldHandle | undefined {
    if (this.#holds >= this.#runningMax) return undefined;
    let slot = this.#free;
    if (slot === NONE) {
      slot = this.#used;
      this.#used += 1;
    } else this.#free = this.#newer[slot]!; // In range.
    this.#holds += 1;
    this.#clients[slot] = client;
    this.#elements[slot] = element;
    this.#startsMs[slot] = startMs;
    this.forecasts[slot * LEVELS] = Number.NaN;
    this.seriesEnds[slot] = Number.NaN;
    this.#link(slot, client);
    const handle = this.#generations[slot]! * this.#runningMax + slot; // In range.
    return handle as HoldHandle; // The only place where one is made.
  }

  /** The slot of a running hold, or -1 (H1). */
  find(handle: HoldHandle): number {
    const slot = handle % this.#runningMax;
    const isRunning = slot >= 0 && slot < this.#used && this.#generations[slot]! * this.#runningMax + slot === handle; // In range.
    return isRunning ? slot : NONE;
  }

  /** Frees the slot that `find` gave; its client, element and start can be read until the next `begin`. */
  remove(slot: number): void {
    this.#unlink(slot, this.clientOf(slot));
    this.#generations[slot]! += 1; // In range. H1
    this.#newer[slot] = this.#free;
    this.#free = slot;
    this.#holds -= 1;
  }

  clientOf(slot: number): string {
    return this.#clients[slot]!; // A slot that was begun has both names.
  }

  elementOf(slot: number): string {
    return this.#elements[slot]!; // A slot that was begun has both names.
  }

  startMsOf(slot: number): number {
    return this.#startsMs[slot]!; // In range.
  }

  hasForecast(slot: number): boolean {
    return !Number.isNaN(this.forecasts[slot * LEVELS]);
  }

  holdsOf(client: string): number {
    return this.#holdsByClient.get(client)?.holds ?? 0;
  }

  /**
   * Slots of a client's running holds: all, or the `max / 2` oldest and as many of the newest.
   * @returns how many were written to `into`
   */
  sample(client: string, into: Int32Array): number {
    const list = this.#holdsByClient.get(client);
    if (list === undefined) return 0;
    const max = into.length;
    const fromOldest = list.holds <= max ? list.holds : max >> 1;
    const fromNewest = list.holds <= max ? 0 : max - fromOldest;
    let slot = list.oldest;
    for (let index = 0; index < fromOldest; index += 1) {
      into[index] = slot;
      slot = this.#newer[slot]!; // In range.
    }
    slot = list.newest;
    for (let index = 0; index < fromNewest; index += 1) {
      into[fromOldest + index] = slot;
      slot = this.#older[slot]!; // In range.
    }
    return fromOldest + fromNewest;
  }

  #link(slot: number, client: string): void {
    let list = this.#holdsByClient.get(client);
    if (list === undefined) {
      list = this.#spare.pop() ?? { oldest: NONE, newest: NONE, holds: 0 };
      list.oldest = slot;
      list.newest = NONE;
      list.holds = 0;
      this.#holdsByClient.set(client, list);
    }
    this.#older[slot] = list.newest;
    this.#newer[slot] = NONE;
    if (list.newest !== NONE) this.#newer[list.newest] = slot;
    list.newest = slot;
    list.holds += 1;
  }

  #unlink(slot: number, client: string): void {
    const list = this.#holdsByClient.get(client)!; // A running hold is in its client's list.
    const older = this.#older[slot]!; // In range.
    const newer = this.#newer[slot]!; // In range.
    if (older === NONE) list.oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) list.newest = older;
    else this.#older[newer] = older;
    list.holds -= 1;
    if (list.holds > 0) return;
    this.#holdsByClient.delete(client);
    this.#spare.push(list);
  }
}
