// cluster.ts: this node as one of several: its membership, the wish, and what it does about its partitions. The wiring of this folder.
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Clock } from "../clock.ts";
import type { Etcd } from "../etcd/etcd.ts";
import type { Node } from "../shard/node.ts";
import { Administration } from "./administration.ts";
import { Changes } from "./changes.ts";
import type { EtcdHealth } from "./etcd-health.ts";
import { type Address, Membership } from "./membership.ts";
import { Ownership } from "./ownership.ts";
import { Planner } from "./planner.ts";
import { ClusterKeys, type NodeRecord, ownerName } from "./records.ts";
import type { SharedLog } from "./shared-log.ts";

export interface ClusterOptions {
  /** Names the cluster within etcd. */
  readonly cluster: string;
  readonly etcd: Etcd;
  readonly log: SharedLog;
  readonly bulk: BulkStore;
  readonly clock: Clock;
  readonly partitions: number;
  /** Copies of each partition in all. */
  readonly replicas: number;
  readonly leaseMs: number;
  readonly self: Pick<NodeRecord, "id" | "boot" | "version">;
  readonly growthRefused: () => string | undefined;
  /** Files to create where they are missing. */
  readonly files: readonly string[];
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

const LEAVE_MS = 5_000;

export class Cluster {
  readonly ownership: Ownership;
  readonly members: Membership;
  readonly planner: Planner;
  readonly #options: ClusterOptions;
  readonly #note: ClusterOptions["note"];
  readonly #files: readonly string[];
  #node: Node | undefined;

  constructor(options: ClusterOptions) {
    const { etcd, log, bulk, clock, partitions, replicas, leaseMs, self, note } = options;
    const keys = new ClusterKeys(options.cluster);
    this.#options = options;
    this.#note = note;
    this.#files = options.files;
    this.ownership = new Ownership({
      log,
      bulk,
      clock,
      partitions,
      nodeId: self.id,
      self: ownerName(self),
      leaseMs,
      members: () => this.members,
      growthRefused: options.growthRefused,
      led: (partition) => this.#createFiles(partition),
      note,
    });
    this.members = new Membership({
      etcd,
      keys,
      clock,
      self,
      leaseMs,
      positions: () => this.ownership.positions(),
      marks: () => this.ownership.marks(),
      saw: (record) => this.ownership.compare(record),
      changed: () => this.#changed(),
      note,
    });
    this.planner = new Planner({
      etcd,
      keys,
      clock,
      nodeId: self.id,
      partitions,
      replicas,
      members: () => this.members,
      epoch: (partition) => this.ownership.epoch(partition),
      wished: (map) => this.ownership.wish(map),
      note,
    });
    this.ownership.onChange(() => this.planner.changed());
  }

  /** Resolves when this node is a member and knows who owns what; it takes its part from then on. */
  async start(node: Node, address: Address): Promise<void> {
    this.#node = node;
    await this.members.start(address);
    await this.ownership.start(node);
    await this.planner.start();
    node.open();
  }

  /** What operators see of it and change in it. */
  administration(etcd: EtcdHealth): Administration {
    const { members, ownership, planner } = this;
    const { cluster, partitions, replicas, leaseMs, clock } = this.#options;
    const view = { cluster, partitions, replicas, leaseMs, members, ownership, planner };
    const changes = new Changes({ partitions, members, planner, ownership, note: this.#note });
    return new Administration({ view, ownership, changes, etcd, clock });
  }

  /** Gives away what it can, leaves, and answers nothing more. */
  async close(): Promise<void> {
    await this.members
      .announceLeave()
      .catch((error: unknown) => this.#note("leave not announced", { error: String(error) }));
    await this.ownership.close(LEAVE_MS);
    await this.planner.close();
    await this.members.close();
  }

  #createFiles(partition: number): void {
    const node = this.#node;
    for (const name of this.#files) {
      if (node?.partitionOf(name) !== partition) continue;
      node.createFile(name).catch((error: unknown) => this.#note("file not created", { name, error: String(error) }));
    }
  }

  #changed(): void {
    this.ownership.reconcile();
    this.planner.changed();
  }
}
