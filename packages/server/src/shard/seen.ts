// seen.ts: what was seen of each element of late: how often it is asked for, by whom, how long it is held and waited for. Every
// release passes here, so that all of it hangs on one record, found once. Bounded. Not here: forecasts (profiles.ts).
import { Histogram, type HistogramView } from "./histogram.ts";

const ELEMENTS_MAX = 10_000;
const SIGHTS_MAX = 2_000;
const CLIENTS_OF_ELEMENT_MAX = 64;
/** Requests after which half of what was counted is forgotten. */
const KEEP = 0.5 ** (1 / 200);

export interface ElementCounts {
  /** Requests granted, forgetting. */
  grants: number;
  /** Those of them that had to wait. */
  waits: number;
  /** Mean time between two grants, forgetting; 0 before the second. */
  intervalMs: number;
  lastMs: number;
  /** Requests since they were last taken. */
  requests: number;
}

/** Of one element, while the node runs. */
class Sight {
  readonly hold = new Histogram();
  readonly wait = new Histogram();
  /** Holds by client, those of `#last` apart. */
  readonly #clients = new Map<string, number>();
  /** Who held it last: mostly the same one again. */
  #last = "";
  #lastHolds = 0;

  held(client: string, heldMs: number): void {
    this.hold.add(heldMs);
    if (client !== this.#last) {
      this.#settle();
      this.#last = client;
    }
    this.#lastHolds += 1;
  }

  clients(): ReadonlyMap<string, number> {
    this.#settle();
    return this.#clients;
  }

  #settle(): void {
    if (this.#lastHolds === 0) return;
    const holds = this.#clients.get(this.#last);
    if (holds !== undefined || this.#clients.size < CLIENTS_OF_ELEMENT_MAX)
      this.#clients.set(this.#last, (holds ?? 0) + this.#lastHolds);
    this.#lastHolds = 0;
  }
}

class ElementSeen implements ElementCounts {
  readonly name: string;
  grants: number;
  waits: number;
  intervalMs: number;
  lastMs: number;
  requests: number;
  sight: Sight | undefined = undefined;

  constructor(name: string, counts: ElementCounts) {
    this.name = name;
    this.grants = counts.grants;
    this.waits = counts.waits;
    this.intervalMs = counts.intervalMs;
    this.lastMs = counts.lastMs;
    this.requests = counts.requests;
  }
}

const UNSEEN: ElementCounts = { grants: 0, waits: 0, intervalMs: 0, lastMs: 0, requests: 0 };

export class Seen {
  readonly #byName = new Map<string, ElementSeen>();
  /** In order of arrival. The first key of a map would do, but for the remains of all before it, which a search for it passes. */
  readonly #ring: ElementSeen[] = [];
  #ringNext = 0;
  readonly #sighted: ElementSeen[] = [];
  #sightedNext = 0;

  /** A grant ended by its release. @param standsFor as many that were not looked at, and itself */
  held(name: string, client: string, heldMs: number, nowMs: number, standsFor = 1): void {
    const seen = this.#count(name, nowMs);
    seen.requests += standsFor - 1;
    (seen.sight ?? this.#look(seen)).held(client, heldMs);
  }

  /** A grant ended otherwise. */
  lost(name: string, nowMs: number): void {
    this.#count(name, nowMs);
  }

  /** @param share of one wait that counts, when only a share of the grants is looked at */
  waited(name: string, waitMs: number, share = 1): void {
    const seen = this.#byName.get(name);
    if (seen === undefined) return;
    seen.waits += share;
    seen.sight?.wait.add(waitMs);
  }

  counts(name: string): ElementCounts | undefined {
    return this.#byName.get(name);
  }

  /** Holds by client, while the node runs. */
  clientsOf(name: string): ReadonlyMap<string, number> {
    return this.#byName.get(name)?.sight?.clients() ?? new Map();
  }

  histogram(of: "hold" | "wait", name: string): HistogramView {
    return this.#byName.get(name)?.sight?.[of].view() ?? { edgesMs: [], counts: [] };
  }

  *all(): IterableIterator<readonly [string, ElementCounts]> {
    yield* this.#byName;
  }

  save(): readonly (readonly [string, ElementCounts])[] {
    return [...this.#byName].map(([name, { grants, waits, intervalMs, lastMs, requests }]) => [
      name,
      { grants, waits, intervalMs, lastMs, requests },
    ]);
  }

  /** Of `save`, by another run: moments are of a clock that has started anew. */
  restore(saved: readonly (readonly [string, ElementCounts])[]): void {
    for (const [name, counts] of saved) {
      const known = this.#byName.get(name);
      if (known === undefined) this.#insert(name, { ...counts, lastMs: 0, requests: 0 });
      else Object.assign(known, counts, { lastMs: 0, requests: 0 });
    }
  }

  #count(name: string, nowMs: number): ElementSeen {
    const seen = this.#byName.get(name) ?? this.#insert(name, UNSEEN);
    seen.requests += 1;
    seen.grants = seen.grants * KEEP + 1;
    seen.waits *= KEEP;
    if (seen.lastMs > 0) {
      const intervalMs = Math.max(0, nowMs - seen.lastMs);
      seen.intervalMs = seen.intervalMs === 0 ? intervalMs : seen.intervalMs * KEEP + intervalMs * (1 - KEEP);
    }
    seen.lastMs = nowMs;
    return seen;
  }

  #insert(name: string, counts: ElementCounts): ElementSeen {
    const seen = new ElementSeen(name, counts);
    const oldest = this.#ring[this.#ringNext];
    if (oldest !== undefined) this.#byName.delete(oldest.name);
    this.#ring[this.#ringNext] = seen;
    this.#ringNext = (this.#ringNext + 1) % ELEMENTS_MAX;
    this.#byName.set(name, seen);
    return seen;
  }

  #look(seen: ElementSeen): Sight {
    const oldest = this.#sighted[this.#sightedNext];
    if (oldest !== undefined) oldest.sight = undefined;
    this.#sighted[this.#sightedNext] = seen;
    this.#sightedNext = (this.#sightedNext + 1) % SIGHTS_MAX;
    seen.sight = new Sight();
    return seen.sight;
  }
}
