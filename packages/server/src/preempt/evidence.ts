// evidence.ts: what is gathered for the controller until it moves a threshold: waits, and warnings of which it is known whether they
// were wrong, by whose threshold it is. Not here: when a threshold moves (controller.ts), who keeps it where it is.
//   V1. A wait speaks once: an hour ago is not the load of now. A judged warning speaks until it has moved something.
//   V2. What one node gives another it has no more, so that nothing speaks twice.
import { type Move, moveThreshold } from "./controller.ts";
import type { Policy } from "./policy.ts";

const P99 = 0.99;
const WAITS_JUDGED_MIN = 20;
/** Of one threshold, while they are gathered: by one node, and of all together. */
const WAITS_JUDGED_MAX = 4_096;
const WAITS_JOINED_MAX = 65_536;
/** Of one answer to a node that asks for them; what does not fit is given next time. */
export const WAITS_GIVEN_MAX = 65_536;

/** What was gathered for one threshold. */
export interface Gathered<Key> {
  readonly key: Key;
  readonly waitsMs: readonly number[];
  readonly judged: number;
  readonly wrong: number;
}

/** How often the controller is asked. */
export const CONTROL_MS = 10_000;

export class Evidence<Key> {
  readonly #waits = new Map<Key, number[]>();
  readonly #judged = new Map<Key, { judged: number; wrong: number }>();

  waited(key: Key, waitMs: number): void {
    const waits = this.#waits.get(key);
    if (waits === undefined) this.#waits.set(key, [waitMs]);
    else if (waits.length < WAITS_JUDGED_MAX) waits.push(waitMs);
  }

  judged(key: Key, isWrong: boolean): void {
    const counts = this.#judged.get(key) ?? { judged: 0, wrong: 0 };
    counts.judged += 1;
    counts.wrong += isWrong ? 1 : 0;
    this.#judged.set(key, counts);
  }

  /** V2. Gives away what was gathered, as much as fits. */
  take(waitsMax: number = WAITS_GIVEN_MAX): readonly Gathered<Key>[] {
    const taken: Gathered<Key>[] = [];
    let left = waitsMax;
    for (const key of this.keys()) {
      const waitsMs = this.#waits.get(key) ?? [];
      if (waitsMs.length > left) break; // It is among the first next time: what is gathered from now on comes behind.
      left -= waitsMs.length;
      taken.push({ key, waitsMs, ...(this.#judged.get(key) ?? { judged: 0, wrong: 0 }) });
      this.#waits.delete(key);
      this.#judged.delete(key);
    }
    return taken;
  }

  /** Joins what another node has given. */
  join({ key, waitsMs, judged, wrong }: Gathered<Key>): void {
    const waits = this.#waits.get(key) ?? [];
    if (waitsMs.length > 0) this.#waits.set(key, [...waits, ...waitsMs].slice(0, WAITS_JOINED_MAX));
    if (judged === 0) return;
    const counts = this.#judged.get(key) ?? { judged: 0, wrong: 0 };
    this.#judged.set(key, { judged: counts.judged + judged, wrong: counts.wrong + wrong });
  }

  /** V1. Nobody has asked for these for so long that they are of another time. */
  forgetWaits(): void {
    this.#waits.clear();
  }

  /** Those of whom anything was gathered. */
  keys(): ReadonlySet<Key> {
    return new Set([...this.#waits.keys(), ...this.#judged.keys()]);
  }

  /** Forgets what was gathered for any other. */
  keepOnly(keys: ReadonlySet<Key>): void {
    for (const known of [this.#waits, this.#judged])
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
  }

  /** @returns undefined when the threshold stays */
  move(key: Key, threshold: number, policy: Policy): Move | undefined {
    const waits = this.#waits.get(key) ?? [];
    if (waits.length >= WAITS_JUDGED_MIN) this.#waits.delete(key); // V1
    const judged = this.#judged.get(key) ?? { judged: 0, wrong: 0 };
    const move = moveThreshold(threshold, { ...judged, waitMsP99: p99Of(waits) }, policy);
    if (move !== undefined) this.#judged.delete(key);
    return move;
  }
}

function p99Of(values: readonly number[]): number {
  if (values.length < WAITS_JUDGED_MIN) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * P99))] ?? Number.NaN;
}
