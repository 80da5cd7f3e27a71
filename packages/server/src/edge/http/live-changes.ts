// live-changes.ts: what of a screen has changed since it was last sent. Pure. Not here: reading the screen, sending (live.ts).
//   C1. An age that only grew is no change: whoever shows it lets it grow by himself.
//   C2. What moves a little with every look is told when it has moved enough to be seen, and with the next whole answer.
//   C3. A part that cannot be told row by row is sent whole, or not at all.

/** A message as JSON. */
export type Json = Readonly<Record<string, unknown>>;

/** How a part is compared: as one, or as a list of rows that are named by a key. */
export interface PartShape {
  /** Field of the message that holds the rows; undefined: the message is compared as one. */
  readonly rows?: string;
  /** Field of a row that names it. */
  readonly key?: string;
}

/** A list as it goes out: rows by key, and the keys in order where the order or the set has changed. */
export interface SentList {
  readonly order?: readonly string[];
  readonly rows: Readonly<Record<string, unknown>>;
  readonly more?: boolean;
}

export type SentPart = { readonly list: SentList } | { readonly value: unknown } | { readonly error: unknown };

/** Milliseconds that grow with the clock: compared as the moment they count from. */
const AGES = new Set(["heldMs", "waitedMs", "silentMs", "uptimeMs", "agoMs", "countdownMs"]);
/** Grows with every waiter; the rows of the waiters tell its changes. */
const SUMS = new Set(["painMs"]);
const FALLING = new Set(["countdownMs"]);
/** Moments closer than this are one: reading takes time. */
const MOMENT_MS = 1_000;
/** C2: ratios in [0, 1] move a little with every look: compared in so many steps. */
const STEPS: Readonly<Record<string, number>> = { score: 50, threshold: 100, value: 10, suspicion: 20 };
/** And so do forecasts: compared as powers of this. */
const FACTOR = 1.1;
/** Sentences that name an age: compared without their numbers. */
const SENTENCES = new Set(["reason"]);

/** Remembers what one reader was sent. One for each stream. */
export class Changes {
  readonly #prints = new Map<string, string>();
  readonly #rows = new Map<string, Map<string, string>>();
  readonly #orders = new Map<string, string>();

  /** Forgets what was sent: the next answer is whole. */
  reset(): void {
    this.#prints.clear();
    this.#rows.clear();
    this.#orders.clear();
  }

  /** @returns undefined when there is nothing to tell */
  ofValue(part: string, value: Json, nowMs: number): SentPart | undefined {
    return this.#isNew(part, printOf(value, nowMs)) ? { value } : undefined; // C3
  }

  ofError(part: string, error: Json): SentPart | undefined {
    this.#rows.delete(part);
    this.#orders.delete(part);
    return this.#isNew(part, JSON.stringify(error)) ? { error } : undefined;
  }

  ofList(part: string, rows: ReadonlyMap<string, unknown>, more: boolean, nowMs: number): SentPart | undefined {
    const before = this.#rows.get(part) ?? new Map<string, string>();
    const after = new Map<string, string>();
    const changed: [string, unknown][] = [];
    for (const [key, row] of rows) {
      const print = printOf(row, nowMs);
      after.set(key, print);
      if (before.get(key) !== print) changed.push([key, row]);
    }
    this.#rows.set(part, after);
    const order = [...rows.keys()];
    const orderPrint = JSON.stringify([order, more]);
    const isReordered = this.#orders.get(part) !== orderPrint;
    this.#orders.set(part, orderPrint);
    this.#prints.delete(part);
    if (changed.length === 0 && !isReordered) return undefined;
    // No prototype is reached by a key, however a lock is called.
    const list = { rows: Object.assign(Object.create(null), Object.fromEntries(changed)) as Record<string, unknown> };
    return { list: isReordered ? { ...list, order, more } : list };
  }

  #isNew(part: string, print: string): boolean {
    if (this.#prints.get(part) === print) return false;
    this.#prints.set(part, print);
    return true;
  }
}

/** Equal for two states between which nothing happened but time. */
export function printOf(value: unknown, nowMs: number): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (SUMS.has(key)) return undefined;
    if (typeof inner === "string" && SENTENCES.has(key)) return inner.replace(/[\d.]+/g, "#");
    if (typeof inner !== "number") return inner;
    if (AGES.has(key)) {
      const moment = FALLING.has(key) ? nowMs + inner : nowMs - inner;
      return inner < 0 ? inner : Math.round(moment / MOMENT_MS); // C1
    }
    const steps = STEPS[key];
    if (steps !== undefined) return Math.round(inner * steps);
    return Number.isInteger(inner) || inner <= 0 ? inner : Math.round(Math.log(inner) / Math.log(FACTOR));
  });
}
