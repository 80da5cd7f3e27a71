// cluster.ts: this node as one of several: its membership, the wish, and what it does about its partitions. The wiring of this folder.
import { ForelockError } from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Clock } from "../clock.ts";
import type { Etcd } from "../etcd/etcd.ts";
import type { Node } from "../shard/node.ts";
import { Administration } from "./administration.ts";
import { BulkSource } from "./bulk-source.ts";
import { Changes } from "./changes.ts";
import { Contents, type MarkStore } from "./contents.ts";
import type { EtcdHealth } from "./etcd-health.ts";
import { type FetchBulk, Filler } from "./filler.ts";
import { Heartbeats, partnersOf } from "./heartbeats.ts";
import { type Address, Membership } from "./membership.ts";
import type { PeerAddress } from "./owners.ts";
import { Ownership } from "./ownership.ts";
import { Planner } from "./planner.ts";
import { MemberKeys, type NodeRecord, nodeOfOwner, ownerName } from "./records.ts";
import type { SharedLog } from "./shared-log.ts";

export interface ClusterOptions {
  /** Names the cluster within etcd. */
  readonly cluster: string;
  readonly etcd: Etcd;
  readonly log: SharedLog & { bytesKeptOf(partition: number): number };
  /** Of this node; closed by whoever opened it. */
  readonly bulk: BulkStore;
  /** Beside it, */
  readonly markStore: MarkStore;
  /** and what it held at the start. */
  readonly marks: readonly number[];
  /** How contents are had from peers. */
  readonly fetch: FetchBulk;
  /** Lets a peer hear of this node; resolves when it has answered. */
  readonly beat: (peer: PeerAddress) => Promise<void>;
  readonly fillBytesPerSecond: number;
  /** Bytes of log that this node's partitions may keep in etcd before appends to files are refused. */
  readonly keptBytesMax: number;
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
const REPLICAS_MAX = 5;

export class Cluster {
  readonly ownership: Ownership;
  readonly members: Membership;
  readonly planner: Planner;
  readonly #options: ClusterOptions;
  readonly contents: Contents;
  readonly source: BulkSource;
  readonly heartbeats: Heartbeats;
  readonly #filler: Filler;
  readonly #note: ClusterOptions["note"];
  readonly #files: readonly string[];
  #node: Node | undefined;

  constructor(options: ClusterOptions) {
    const { etcd, log, bulk, clock, partitions, replicas, leaseMs, self, note } = options;
    const keys = new MemberKeys(options.cluster);
    this.#options = options;
    this.#note = note;
    this.#files = options.files;
    this.contents = new Contents(
      {
        bulk,
        marks: options.markStore,
        clock,
        partitions,
        positions: () => this.ownership.positions(),
        others: () => this.#others(self.id).map(({ synced }) => synced),
        replicas: () => this.planner.replicas,
        keptBytes: () => (this.#node?.led ?? []).reduce((sum, partition) => sum + log.bytesKeptOf(partition), 0),
        keptBytesMax: options.keptBytesMax,
        note,
      },
      options.marks,
    );
    this.source = new BulkSource({
      bulk: this.contents,
      stateOf: (partition) => this.ownership.stateOf(partition),
    });
    this.#filler = new Filler({
      contents: this.contents,
      bulk,
      clock,
      sources: (partition) => this.ownership.sources(partition),
      fetch: options.fetch,
      bytesPerSecond: options.fillBytesPerSecond,
      note,
    });
    this.ownership = new Ownership({
      log,
      contents: this.contents,
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
      tell: () => ({
        positions: this.ownership.positions(),
        marks: this.ownership.marks(),
        synced: this.contents.marks,
        missing: this.contents.missing,
      }),
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
    this.heartbeats = new Heartbeats({
      clock,
      leaseMs,
      partners: () => this.#partners(),
      beat: (id) => this.#beat(id),
      changed: (node, isSuspected, ms) => {
        const kind = isSuspected ? "suspected" : "heard";
        this.ownership.timeline.add({ partition: 0, kind, node, epoch: 0, ms });
        note(isSuspected ? "node suspected" : "node heard again", { node, silentMs: Math.round(ms) });
      },
    });
  }

  /** Resolves when this node is a member and knows who owns what; it takes its part from then on. */
  async start(node: Node, address: Address): Promise<void> {
    this.#node = node;
    await this.members.start(address);
    await this.ownership.start(node);
    this.contents.start();
    this.#filler.start();
    await this.planner.start();
    this.heartbeats.start();
    node.open();
  }

  /** What operators see of it and change in it. */
  administration(etcd: EtcdHealth): Administration {
    const { members, ownership, planner } = this;
    const { cluster, partitions, replicas, leaseMs, clock } = this.#options;
    const suspects = (): readonly string[] => this.heartbeats.suspects;
    const view = { cluster, partitions, replicas, leaseMs, members, ownership, planner, suspects };
    const changes = new Changes({ partitions, members, planner, ownership, note: this.#note });
    return new Administration({ view, ownership, changes, etcd, clock });
  }

  /**
   * How many nodes must have file contents before the log forgets them, and how many follow each partition; for the whole cluster, until
   * said otherwise. Audited. @param replicas undefined: as the settings say. @throws ForelockError `bad_argument`
   */
  async setReplicas(replicas: number | undefined, by: { readonly principal: string; readonly remoteAddress: string }) {
    if (replicas !== undefined && !(Number.isInteger(replicas) && replicas >= 1 && replicas <= REPLICAS_MAX))
      throw new ForelockError("bad_argument", `replicas: ${replicas}; allowed 1 to ${REPLICAS_MAX}.`);
    const before = this.planner.replicas;
    await this.planner.setReplicas(replicas);
    const fields = { replicas: replicas ?? "as set", before, principal: by.principal, from: by.remoteAddress };
    this.#note("replicas changed", fields);
  }

  /** Gives away what it can, leaves, and answers nothing more. */
  async close(): Promise<void> {
    this.heartbeats.close();
    await this.members
      .announceLeave()
      .catch((error: unknown) => this.#note("leave not announced", { error: String(error) }));
    await this.#filler.close();
    await this.contents.sync().catch((error: unknown) => this.#note("contents not synced", { error: String(error) }));
    await this.ownership.close(LEAVE_MS);
    await this.contents.close();
    await this.planner.close();
    await this.members.close();
  }

  /** Those that live: who is silent in etcd is missed by all. */
  #partners(): ReadonlySet<string> {
    const { self, partitions } = this.#options;
    const wish = this.planner.map?.partitions ?? [];
    const places = Array.from({ length: partitions }, (_, partition) => {
      const owner = nodeOfOwner(this.ownership.epoch(partition)?.owner ?? "");
      return { owner, wished: wish[partition] ?? [] };
    });
    const partners = partnersOf(self.id, places);
    for (const id of partners) if (this.members.live(id) === undefined) partners.delete(id);
    return partners;
  }

  async #beat(id: string): Promise<void> {
    const record = this.members.live(id);
    if (record !== undefined) await this.#options.beat({ id, host: record.host, port: record.port });
  }

  #others(id: string): readonly NodeRecord[] {
    return this.members
      .all()
      .filter(({ isLive, record }) => isLive && record.id !== id)
      .map(({ record }) => record);
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
