// fleet.ts: several nodes of one cluster in one process, on an etcd and a shared log in memory and a clock that tests move.
import { MemoryBulkStore } from "../../bulk/memory.ts";
import type { RequestFault, RequestKind, WatchFault } from "../../etcd/faults.ts";
import { MemoryEtcd, MemoryEtcdStore } from "../../etcd/memory.ts";
import { type EtcdEventLog, openEtcdEventLog } from "../../log/etcd/etcd-event-log.ts";
import type { LogRecord } from "../../log/event-log.ts";
import { createState } from "../../partition/state.ts";
import { Node } from "../../shard/node.ts";
import { CALLER, Client, ManualClock, NODE_LIMITS, type World } from "../../shard/testing/world.ts";
import { Cluster } from "../cluster.ts";
import type { BulkRequest, FetchedRecord } from "../filler.ts";
import { type NodeRecord, ownerName } from "../records.ts";
import type { EpochRecord } from "../shared-log.ts";

export const LEASE_MS = 2_000;
const CLUSTER = "test";
const HOP_MS = 2;
const SLOW = { kind: "slow", delayMs: HOP_MS } as const;
const FILE_BYTES_MAX = 2 ** 30;
const STEPS_MAX = 10_000;

/** What a node keeps over a restart. */
export interface FleetDisk {
  readonly bulk: MemoryBulkStore;
  marks: readonly number[];
}

export interface FleetNode {
  readonly disk: FleetDisk;
  readonly id: string;
  readonly node: Node;
  readonly cluster: Cluster;
  readonly etcd: MemoryEtcd;
  readonly log: EtcdEventLog;
}

export class Fleet {
  readonly clock = new ManualClock();
  readonly store = new MemoryEtcdStore({ clock: this.clock });
  readonly notes: string[] = [];
  readonly nodes = new Map<string, FleetNode>();
  /** What becomes of a request of a node; undefined: it takes a little. */
  fault: ((id: string, kind: RequestKind) => RequestFault | undefined) | undefined;
  /** Of nodes that join from now on. */
  isPredicting = false;
  /** Why a peer is not reached for contents. */
  unreachable: ((to: string, request: BulkRequest) => string | undefined) | undefined;
  readonly fetched: { readonly to: string; readonly request: BulkRequest }[] = [];
  keptBytesMax = 256 * 1024 * 1024;
  /** Whether heartbeats of one node reach another. */
  hears: (from: string, to: string) => boolean = () => true;
  readonly #isolated = new Set<string>();
  /** How late a node hears of changes that it watches; undefined: at once. */
  late: ((id: string) => number) | undefined;
  readonly #partitions: number;
  #boots = 0;
  #drawn = 0;

  constructor(partitions = 8) {
    this.#partitions = partitions;
  }

  static async of(ids: readonly string[], partitions?: number): Promise<Fleet> {
    const fleet = new Fleet(partitions);
    for (const id of ids) await fleet.join(id);
    await fleet.settle();
    return fleet;
  }

  /** A new process under this id. */
  async join(id: string, disk: FleetDisk = { bulk: new MemoryBulkStore(), marks: [] }): Promise<FleetNode> {
    this.#boots += 1;
    const self = { id, boot: String(this.#boots), version: "test" };
    // Each request takes a little, as over a network: what may happen in between does.
    const watch = (): WatchFault | undefined =>
      this.late === undefined ? undefined : { kind: "stalled", delayMs: this.late(id) };
    const request = (kind: RequestKind): RequestFault => this.fault?.(id, kind) ?? SLOW;
    const etcd = new MemoryEtcd({ store: this.store, faults: { request, watch } });
    const log = await this.passing(
      openEtcdEventLog({
        etcd,
        clock: this.clock,
        cluster: CLUSTER,
        owner: ownerName(self),
        partitions: this.#partitions,
        floor: (partition) => cluster.contents.floor(partition),
      }),
    );
    const { bulk } = disk;
    const note = (line: string, fields: Readonly<Record<string, unknown>>): void => {
      this.notes.push(`${id}: ${line} ${JSON.stringify(fields)}`);
    };
    const cluster: Cluster = new Cluster({
      cluster: CLUSTER,
      etcd,
      log,
      bulk,
      markStore: {
        load: async () => disk.marks,
        save: async (marks) => {
          disk.marks = marks;
        },
      },
      marks: disk.marks,
      fetch: (peer, request) => this.fetch(id, peer.id, request),
      beat: (peer) => this.#beat(id, peer.id),
      fillBytesPerSecond: 1024 * 1024,
      keptBytesMax: this.keptBytesMax,
      clock: this.clock,
      partitions: this.#partitions,
      replicas: 2,
      leaseMs: LEASE_MS,
      self,
      growthRefused: () => undefined,
      files: [],
      note,
    });
    const node = new Node({
      states: Array.from({ length: this.#partitions }, (_, partition) => createState(partition)),
      ownership: cluster.ownership,
      log,
      bulk: cluster.contents,
      clock: this.clock,
      random: (bytes) => {
        this.#drawn += 1;
        const drawn = Buffer.alloc(bytes, this.#drawn);
        drawn.writeUInt32BE(this.#drawn);
        return drawn;
      },
      defer: (run) => setImmediate(run),
      limits: { ...NODE_LIMITS, fileBytesMax: FILE_BYTES_MAX },
      placementKey: new Uint8Array(16),
      isDurable: true,
      version: "test",
      isPredicting: this.isPredicting,
      note,
    });
    const joined = { id, node, cluster, etcd, log, disk };
    this.nodes.set(id, joined);
    this.#isolated.delete(id);
    await this.passing(cluster.start(node, { host: "127.0.0.1", port: 7420 }));
    return joined;
  }

  /** As a node asks a peer, over connections that tests cut. */
  async fetch(_from: string, to: string, request: BulkRequest): Promise<readonly FetchedRecord[]> {
    this.fetched.push({ to, request });
    const why = this.#isolated.has(to) ? "isolated" : this.unreachable?.(to, request);
    if (why !== undefined) throw new Error(why);
    return this.get(to).cluster.source.read(request);
  }

  /** As over a link that carries both ways or none. */
  async #beat(from: string, to: string): Promise<void> {
    if (this.#isolated.has(from) || this.#isolated.has(to) || !this.hears(from, to)) throw new Error("not reached");
    this.get(to).cluster.heartbeats.heard(from);
  }

  /** Lets time pass until the promise has settled: everything takes some. */
  async passing<Result>(promise: Promise<Result>): Promise<Result> {
    let isDone = false;
    const settled = promise.finally(() => {
      isDone = true;
    });
    settled.catch(() => {}); // Its caller is told.
    for (let step = 0; step < STEPS_MAX && !isDone; step += 1) await this.clock.advance(1);
    return settled;
  }

  get(id: string): FleetNode {
    const found = this.nodes.get(id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  /** What etcd has, read by nobody of the cluster. */
  async records(): Promise<readonly LogRecord[]> {
    const log = await this.#reader();
    const records: LogRecord[] = [];
    for await (const batch of log.read(() => 0)) records.push(...batch);
    return records;
  }

  async epochs(): Promise<ReadonlyMap<number, EpochRecord>> {
    return (await this.#reader()).ownEpochs();
  }

  #reader(): Promise<EtcdEventLog> {
    const etcd = new MemoryEtcd({ store: this.store });
    return openEtcdEventLog({ etcd, clock: this.clock, cluster: CLUSTER, owner: "", partitions: this.#partitions });
  }

  /** Long enough for a plan and what follows from it. */
  async settle(): Promise<void> {
    await this.clock.advance(LEASE_MS * 2);
  }

  /** Nothing of the node reaches etcd any more, as if it were dead or cut off; it goes on by itself. */
  cut(id: string): void {
    this.#isolated.add(id);
    this.get(id).etcd.cut();
  }

  mend(id: string): void {
    this.#isolated.delete(id);
    this.get(id).etcd.mend();
  }

  /** What the node last wrote of itself. */
  record(id: string): NodeRecord {
    const found = this.get(id).cluster.members.live(id);
    if (found === undefined) throw new Error(`no record of ${id}`);
    return found;
  }

  /** Who leads a partition: exactly one node, by id; undefined when none does. */
  leaderOf(partition: number): string | undefined {
    const leaders = [...this.nodes.values()].filter(({ node }) => node.leads(partition)).map(({ id }) => id);
    if (leaders.length > 1) throw new Error(`partition ${partition} is led by ${leaders.join(" and ")}`);
    return leaders[0];
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.nodes.values()].map(({ id, node }) => [id, node.led.length]));
  }

  /** A client at one node. It is not forwarded: that is the router's work. */
  client(id: string): Client {
    const { node } = this.get(id);
    const opened = node.openSession(CALLER, { ttlMs: undefined, client: "test" });
    return new Client({ node } as unknown as World, CALLER, opened);
  }

  /** A name whose partition the node leads. */
  nameAt(id: string): string {
    const { node } = this.get(id);
    for (let index = 0; ; index += 1) if (node.leads(node.partitionOf(`n${index}`))) return `n${index}`;
  }
}
