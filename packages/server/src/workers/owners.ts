// owners.ts: which worker decides for each partition, as one thread knows it, for its router. Not here: how that changes (mover.ts).
//   O1. A worker says of itself that it decides only while its node leads the partition.
import type { Owner, Owners, PeerAddress } from "../cluster/owners.ts";
import type { Ownership } from "../shard/ownership.ts";

/** Of the thread that has the port. */
export const FRONT = "front";

/** How threads know one another: a channel leads to a thread of this process and to nobody else. */
export const WORKER_SAN = "worker";

/** How long a request waits while its partition is between two workers. */
export const HOLD_MS = 6_000;

export const workerId = (worker: number): string => `worker-${worker}`;

export class WorkerOwners implements Owners {
  readonly nodeId: string;
  readonly #self: number | undefined;
  readonly #peers: readonly PeerAddress[];
  readonly #owners: readonly Owner[];
  readonly #holders: (number | undefined)[];
  readonly #listeners = new Set<() => void>();

  /** @param self undefined: the thread that has the port, and decides for nothing */
  constructor(workers: number, partitions: number, self: number | undefined) {
    this.nodeId = self === undefined ? FRONT : workerId(self);
    this.#self = self;
    const addresses = Array.from({ length: workers }, (_, port) => ({ id: workerId(port), host: "", port }));
    this.#peers = addresses.filter(({ port }) => port !== self);
    this.#owners = addresses.map((peer) => (peer.port === self ? { kind: "here" } : { kind: "peer", peer }));
    this.#holders = new Array<number | undefined>(partitions).fill(undefined);
  }

  of(partition: number): Owner {
    const holder = this.#holders[partition];
    return (holder === undefined ? undefined : this.#owners[holder]) ?? NOBODY;
  }

  holder(partition: number): number | undefined {
    return this.#holders[partition];
  }

  holders(): readonly (number | undefined)[] {
    return this.#holders;
  }

  peers(): readonly PeerAddress[] {
    return this.#peers;
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  /** What another thread says: of itself this one knows better. O1 */
  told(partition: number, worker: number | undefined): void {
    if (this.#self !== undefined && (worker === this.#self || this.#holders[partition] === this.#self)) return;
    this.set(partition, worker);
  }

  set(partition: number, worker: number | undefined): void {
    if (this.#holders[partition] === worker) return;
    this.#holders[partition] = worker;
    for (const run of [...this.#listeners]) run();
  }

  /** All of them, in one change. */
  setAll(holders: readonly (number | undefined)[]): void {
    for (const [partition, worker] of holders.entries()) this.#holders[partition] = worker;
    for (const run of [...this.#listeners]) run();
  }
}

const NOBODY: Owner = { kind: "nobody" };

/** For the node of a thread: nobody but the workers of this process can own what it leads, and none does without being given it. */
export const WORKER_OWNERSHIP: Ownership = {
  mayAnswer: () => true,
  holds: () => false,
  growthRefused: () => undefined,
  appendRefused: () => undefined,
  fenced: () => {},
};
