// routed-session.ts: a session as the node that its client is connected to knows it beyond its own partitions: what proves it to peers,
// and where it lives. In memory only: after a restart of this node the client resumes, and it is known again.
import type { Caller, NoticeSink } from "../shard/service.ts";
import type { Link } from "./link.ts";

export interface RoutedSession {
  readonly id: string;
  readonly caller: Caller;
  readonly secret: Buffer;
  readonly ttlMs: number;
  readonly client: string;
  application: string;
  /** By node. */
  readonly links: Map<string, Link>;
  /** Where it is registered, at this node or at peers, as far as was told. A partition too many costs a heartbeat; one too few, a lock. */
  partitions: Set<number>;
  /** Where batches of it may register it at any time, while other nodes drive them. Kept as long as it is known here. */
  readonly batched: Set<number>;
  /** Nodes that told that nothing is left of it there, and the partitions that it had with them. */
  readonly expiredAt: Set<string>;
  readonly expired: Set<number>;
  /** The client's operations connection to this node. */
  sink: NoticeSink | undefined;
  /** From a resume until its Welcome: what the client still asks about. */
  open: readonly number[] | undefined;
  lowest: number;
  /** Version of the map that the client was told last; 0: none. */
  mapVersion: number;
  usedAtMs: number;
  /** Nothing is opened for it any more. */
  isGone: boolean;
}

/** Partitions whose owners hear its heartbeats and tell its notices. */
export function* partitionsOf({ partitions, batched }: RoutedSession): IterableIterator<number> {
  yield* partitions;
  for (const partition of batched) if (!partitions.has(partition)) yield partition;
}
