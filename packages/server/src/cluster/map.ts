// map.ts: what this node tells clients of who owns what, so that they can ask owners directly. Not here: the truth of it (owners.ts).
//   M1. However often owners change, the map is told at most once in MAP_MS, and then as it is at that moment.
import type { ClusterMap } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Owners } from "./owners.ts";

/** A client that asks the wrong owner meanwhile loses a round trip; each change told costs a message for each client. */
const MAP_MS = 100;
const NOBODY = 0;

export class MapTeller {
  readonly #owners: Owners;
  readonly #partitions: number;
  readonly #clock: Clock;
  #version = 1;
  #isDue = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(owners: Owners, partitions: number, clock: Clock) {
    this.#owners = owners;
    this.#partitions = partitions;
    this.#clock = clock;
  }

  get now(): ClusterMap {
    const { nodeId } = this.#owners;
    const peers = [...this.#owners.peers()];
    const index = new Map([nodeId, ...peers.map(({ id }) => id)].map((id, at) => [id, at + 1]));
    const owners: number[] = [];
    for (let partition = 0; partition < this.#partitions; partition += 1) {
      const owner = this.#owners.of(partition);
      const id = owner.kind === "here" ? nodeId : owner.kind === "peer" ? owner.peer.id : undefined;
      owners.push(id === undefined ? NOBODY : (index.get(id) ?? NOBODY)); // One that is no peer any more cannot be asked.
    }
    const nodes = [{ id: nodeId, host: "", port: 0 }, ...peers.map(({ id, host, port }) => ({ id, host, port }))];
    return { version: this.#version, node: nodeId, nodes, owners };
  }

  /** Owners have changed. */
  changed(): void {
    this.#version += 1;
    this.#isDue = true;
  }

  /** M1. Call some times a second. @returns what to tell now; undefined when nothing is */
  due(): ClusterMap | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#isDue || nowMs - this.#toldAtMs < MAP_MS) return undefined;
    this.#isDue = false;
    this.#toldAtMs = nowMs;
    return this.now;
  }
}
