// watches.ts: a watch at one node, of events of all. Not here: which events match and may be seen (shard/watches.ts at each node).
//   E1. When a node could not be heard for a while the watcher is told that events are missed, as one that was too slow itself.
import type { Clock, Timer } from "../clock.ts";
import type { Caller, NoticeSink, Service } from "../shard/service.ts";
import type { Asks, SharedWatch } from "./asks.ts";
import type { Owners, PeerAddress } from "./owners.ts";

export interface ClusterWatchesParts {
  readonly node: Pick<Service, "watch">;
  readonly owners: Owners;
  readonly asks: Asks;
  readonly clock: Clock;
}

const RETRY_MS = 500;

export class ClusterWatches {
  readonly #parts: ClusterWatchesParts;
  readonly #watches = new Set<ClusterWatch>();

  constructor(parts: ClusterWatchesParts) {
    this.#parts = parts;
  }

  /** Owners or nodes have changed. */
  changed(): void {
    for (const watch of this.#watches) watch.join();
  }

  add(caller: Caller, pattern: string, number: number, sink: NoticeSink): () => void {
    const endOwn = this.#parts.node.watch(caller, pattern, number, sink);
    const watch = new ClusterWatch(this.#parts, { caller, pattern, number, sink });
    this.#watches.add(watch);
    watch.join();
    return () => {
      this.#watches.delete(watch);
      watch.end();
      endOwn();
    };
  }
}

interface Wanted {
  readonly caller: Caller;
  readonly pattern: string;
  /** The client's own number of it. */
  readonly number: number;
  readonly sink: NoticeSink;
}

class ClusterWatch {
  readonly #parts: ClusterWatchesParts;
  readonly #wanted: Wanted;
  readonly #byPeer = new Map<string, SharedWatch>();
  /** Peers of which was told that events are missed. */
  readonly #missing = new Set<string>();
  #retry: Timer | undefined;
  #isEnded = false;

  constructor(parts: ClusterWatchesParts, wanted: Wanted) {
    this.#parts = parts;
    this.#wanted = wanted;
  }

  /** Watches at every peer where it does not yet. */
  join(): void {
    for (const peer of this.#parts.owners.peers()) {
      if (this.#isEnded || this.#byPeer.has(peer.id)) continue;
      try {
        this.#watchAt(peer);
      } catch {
        this.#lost(peer); // Tried again after a pause.
      }
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#retry?.dispose();
    for (const watch of this.#byPeer.values()) watch.end();
    this.#byPeer.clear();
  }

  #watchAt(peer: PeerAddress): void {
    const { caller, pattern, number } = this.#wanted;
    const watch = this.#parts.asks.watch(peer, caller, pattern, {
      event: (event) => this.#wanted.sink.notify({ body: { $case: "event", value: { ...event, watch: number } } }),
      ended: () => this.#lost(peer),
    });
    this.#byPeer.set(peer.id, watch);
    this.#missing.delete(peer.id);
  }

  #lost(peer: PeerAddress): void {
    if (this.#isEnded) return;
    this.#byPeer.delete(peer.id);
    const { number: watch, sink } = this.#wanted;
    const nothing = { name: "", session: "", token: 0n, partition: 0, reason: "", revision: 0 };
    if (!this.#missing.has(peer.id))
      sink.notify({ body: { $case: "event", value: { watch, kind: "missed", ...nothing, missed: 1 } } }); // E1
    this.#missing.add(peer.id);
    this.#retry?.dispose();
    this.#retry = this.#parts.clock.after(RETRY_MS, () => this.join());
  }
}
