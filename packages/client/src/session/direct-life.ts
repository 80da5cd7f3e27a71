// session/direct-life.ts: what keeps the locks of a session alive that has direct connections: a heartbeat at each of those nodes and at home, and a
// safe-until for each partition. Not here: connections for operations (routes.ts), what is lost when a bound passes (session.ts).
//   V1. The bound of a partition is moved by answers that speak for it: a heartbeat that lists it, a Welcome of its owner, a resume, and
//       a grant, whose request its owner took in after it was issued.
//   V2. Heartbeats at a node go on when its operations connection is lost, until a resume has found all that lives there.
import type { MapNode } from "@forelock/protocol";
import type { Heartbeats } from "./heartbeats.ts";
import type { PartitionLeases } from "./lease.ts";

export interface DirectLifeParts {
  readonly leases: PartitionLeases;
  readonly ttlMs: number;
  /** Begins heartbeats at a node. */
  readonly start: (node: MapNode) => Heartbeats | undefined;
}

export class DirectLife {
  readonly leases: PartitionLeases;
  /** Partitions that some node has listed: the session lives there, whether or not it has anything. */
  readonly registered = new Set<number>();
  readonly #parts: DirectLifeParts;
  readonly #beats = new Map<string, { readonly node: MapNode; readonly heartbeats: Heartbeats }>();

  constructor(parts: DirectLifeParts) {
    this.#parts = parts;
    this.leases = parts.leases;
  }

  remainingMs(partition: number): number {
    return this.leases.remainingMs(partition);
  }

  hasPassed(partition: number): boolean {
    return this.leases.hasPassed(partition);
  }

  register(partitions: readonly number[]): void {
    for (const partition of partitions) this.registered.add(partition);
  }

  /** V1 */
  granted(grants: readonly { readonly partition: number }[], issuedAtMs: number): void {
    for (const { partition } of grants) {
      this.leases.extend([partition], issuedAtMs, this.#parts.ttlMs);
      this.registered.add(partition);
    }
  }

  /** Every owner was asked; home knows of all that lives anywhere, and its heartbeat speaks for it (V2). */
  resumed(helloSentAtMs: number): void {
    this.leases.extendAll(helloSentAtMs, this.#parts.ttlMs);
    this.stop();
  }

  /** A direct connection to the node stands, or home. */
  welcomed(node: MapNode, ledPartitions: readonly number[], helloSentAtMs: number): void {
    this.leases.extend(ledPartitions, helloSentAtMs, this.#parts.ttlMs);
    const beating = this.#beats.get(node.id);
    if (beating?.node.host === node.host && beating.node.port === node.port) return;
    beating?.heartbeats.stop();
    const heartbeats = this.#parts.start(node);
    if (heartbeats !== undefined) this.#beats.set(node.id, { node, heartbeats });
  }

  /** Nodes that are gone get no heartbeats. */
  mapped(nodes: readonly MapNode[]): void {
    for (const [id, { heartbeats }] of this.#beats) {
      if (nodes.some((node) => node.id === id)) continue;
      heartbeats.stop();
      this.#beats.delete(id);
    }
  }

  /** They ended by themselves. */
  ended(id: string): void {
    this.#beats.delete(id);
  }

  stop(): void {
    for (const { heartbeats } of this.#beats.values()) heartbeats.stop();
    this.#beats.clear();
  }
}
