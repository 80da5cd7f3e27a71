// heartbeats.ts: owners and standbys let each other hear of them directly, so that it is seen, and shown, that one is missed before its lease
// ends. Not here: who lives and who owns what (membership.ts, ownership.ts): the lease in etcd alone decides that.
//   B1. Nothing follows from a suspicion but that it is told: a node may be cut off from its peers and serve everybody else.
//   B2. One heartbeat to a node at a time, whatever the number of partitions shared with it.
//   B3. Whoever was stopped itself for a while suspects nobody for that: it heard nothing because it did not listen.
import type { Clock, Timer } from "../clock.ts";

export interface HeartbeatsOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  /** Live nodes that share a partition with this one as owner or standby. */
  readonly partners: () => ReadonlySet<string>;
  /** Resolves when the node has answered. */
  readonly beat: (id: string) => Promise<void>;
  /** @param silentMs since it was heard last */
  readonly changed: (id: string, isSuspected: boolean, silentMs: number) => void;
}

/** Of leaseMs: how often, and after how long a silence. Three heartbeats are missed, and more than half of the lease is left. */
const BEAT_LEASE_RATIO = 1 / 10;
const SUSPECT_LEASE_RATIO = 2 / 5;

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #heardAtMs = new Map<string, number>();
  readonly #asked = new Set<string>();
  readonly #suspects = new Set<string>();
  #timer: Timer | undefined;
  #tickAtMs = 0;
  #isClosed = false;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tickAtMs = this.#options.clock.monotonicMs();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.dispose();
  }

  /** A heartbeat of the node came, or its answer to one. */
  heard(id: string): void {
    if (!this.#heardAtMs.has(id)) return; // None of those that are listened for.
    const silentMs = this.#silentMs(id);
    this.#heardAtMs.set(id, this.#options.clock.monotonicMs());
    if (this.#suspects.delete(id)) this.#options.changed(id, false, silentMs);
  }

  /** By id. */
  get suspects(): readonly string[] {
    return [...this.#suspects].sort();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(this.#options.leaseMs * BEAT_LEASE_RATIO, () => {
      this.#arm();
      this.#tick();
    });
  }

  #tick(): void {
    const { clock, leaseMs, partners, changed } = this.#options;
    const nowMs = clock.monotonicMs();
    const isLate = nowMs - this.#tickAtMs > 2 * leaseMs * BEAT_LEASE_RATIO;
    this.#tickAtMs = nowMs;
    const ids = partners();
    for (const id of this.#heardAtMs.keys()) {
      if (ids.has(id)) continue;
      this.#heardAtMs.delete(id);
      this.#suspects.delete(id); // It shares nothing any more, or its lease is over and it counts as silent.
    }
    for (const id of ids) {
      if (isLate || !this.#heardAtMs.has(id)) this.#heardAtMs.set(id, nowMs); // B3
      const silentMs = this.#silentMs(id);
      if (silentMs > leaseMs * SUSPECT_LEASE_RATIO && !this.#suspects.has(id)) {
        this.#suspects.add(id);
        changed(id, true, silentMs);
      }
      this.#beat(id);
    }
  }

  /** B2 */
  #beat(id: string): void {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    this.#options
      .beat(id)
      .then(
        () => this.heard(id),
        () => {}, // It was not heard: that is all there is to it.
      )
      .finally(() => this.#asked.delete(id));
  }

  #silentMs(id: string): number {
    return this.#options.clock.monotonicMs() - (this.#heardAtMs.get(id) ?? 0);
  }
}

/**
 * Who shares a partition with `nodeId` as owner or standby.
 * @param places of each partition, the owner, and all that the wish names
 */
export function partnersOf(
  nodeId: string,
  places: Iterable<{ readonly owner: string; readonly wished: readonly string[] }>,
): Set<string> {
  const partners = new Set<string>();
  for (const { owner, wished } of places) {
    if (owner === nodeId) for (const id of wished) partners.add(id);
    else if (wished.includes(nodeId)) partners.add(owner);
  }
  partners.delete(nodeId);
  return partners;
}
