// owners.ts: who owns what, as etcd tells it, looked at all the time: so that faults find their target, and to say who took over.
import { type Clock, pause } from "../../proxy/clock.ts";
import type { EtcdEntry } from "./etcd-gateway.ts";

export interface OwnerChange {
  readonly atNs: number;
  readonly partition: number;
  readonly epoch: number;
  readonly from: string;
  /** Name of the node. */
  readonly to: string;
}

export interface OwnersOptions {
  readonly clock: Clock;
  readonly nowNs: () => number;
  /** @throws when no member answers */
  readonly list: (prefix: string) => Promise<readonly EtcdEntry[]>;
}

const LOOK_MS = 150;
const PREFIX = "/forelock/";

interface Owned {
  readonly epoch: number;
  readonly node: string;
}

export class Owners {
  readonly changes: OwnerChange[] = [];
  readonly #options: OwnersOptions;
  readonly #stop = new AbortController();
  readonly #byPartition = new Map<number, Owned>();
  #wishes: readonly (readonly string[])[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(options: OwnersOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  of(partition: number): string | undefined {
    return this.#byPartition.get(partition)?.node;
  }

  /** As wished: who stands by for the partition, besides its owner. */
  standbysOf(partition: number): readonly string[] {
    return (this.#wishes[partition] ?? []).filter((node) => node !== this.of(partition));
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      await this.#look().catch(() => {}); // Etcd is away: nothing changes meanwhile.
      await pause(clock, LOOK_MS, this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    const { list, nowNs } = this.#options;
    for (const { key, value } of await list(`${PREFIX}epoch/`)) {
      const partition = Number(key.slice(key.lastIndexOf("/") + 1));
      const { epoch, owner } = JSON.parse(value) as { readonly epoch: number; readonly owner: string }; // As nodes write it.
      const node = owner.slice(0, owner.lastIndexOf("#"));
      const before = this.#byPartition.get(partition);
      if (before !== undefined && before.epoch >= epoch) continue; // A member may be behind the one before.
      this.#byPartition.set(partition, { epoch, node });
      if (before !== undefined) this.changes.push({ atNs: nowNs(), partition, epoch, from: before.node, to: node });
    }
    const [map] = await list(`${PREFIX}map`);
    if (map !== undefined) this.#wishes = (JSON.parse(map.value) as { partitions: string[][] }).partitions; // The same.
  }
}
