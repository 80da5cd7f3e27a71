// cluster-world.ts: several nodes in one process behind real ports on loopback, who owns which partition as tests say, and clients that
// speak the native protocol. Time stands still until told; sockets take the time that they take.
import type { Socket } from "node:net";
import { ForelockError, type Hello } from "@forelock/protocol";
import { MemoryBulkStore } from "../../bulk/memory.ts";
import type { Clock } from "../../clock.ts";
import { type Edge, startEdge } from "../../edge/edge.ts";
import type { EdgeOptions } from "../../edge/options.ts";
import { NativeClient, realClock, TEST_OPTIONS } from "../../edge/testing/edge-scene.ts";
import { MemoryEventLog, MemoryLogDisk } from "../../log/memory.ts";
import { decodeSnapshot, encodeSnapshot } from "../../partition/snapshot.ts";
import { createState } from "../../partition/state.ts";
import { Node } from "../../shard/node.ts";
import { ManualClock, NODE_LIMITS, settle } from "../../shard/testing/world.ts";
import { BulkSource } from "../bulk-source.ts";
import { type DialTls, dialer } from "../dial.ts";
import type { Owner, Owners, PeerAddress } from "../owners.ts";
import { Router } from "../router.ts";

export const PARTITIONS = 12;
export const HOLD_MS = 6_000;
export const SECRET = "the secret of this test's cluster";

/** For what must come; most of it comes at once. */
const WAIT_MS = 10_000;
const AHEAD_MS = 500;

/** Who owns what, the same to all nodes. */
class Table {
  readonly addresses = new Map<string, PeerAddress>();
  readonly dead = new Set<string>();
  /** They do not know yet what they own. */
  readonly unaware = new Set<string>();
  readonly ownerIds: (string | undefined)[];
  readonly #runs = new Set<() => void>();

  constructor(ids: readonly string[]) {
    this.ownerIds = Array.from({ length: PARTITIONS }, (_, partition) => ids[partition % ids.length]);
  }

  ownersFor(nodeId: string): Owners {
    return {
      nodeId,
      of: (partition): Owner => {
        const id = this.ownerIds[partition];
        if (id === nodeId) return { kind: this.unaware.has(nodeId) ? "nobody" : "here" };
        const peer = id === undefined ? undefined : this.addresses.get(id);
        return peer === undefined ? { kind: "nobody" } : { kind: "peer", peer };
      },
      peers: () => [...this.addresses.values()].filter(({ id }) => id !== nodeId && !this.dead.has(id)),
      onChange: (run) => {
        this.#runs.add(run);
        return () => this.#runs.delete(run);
      },
    };
  }

  changed(): void {
    for (const run of [...this.#runs]) run();
  }
}

interface Member {
  readonly id: string;
  readonly node: Node;
  readonly router: Router;
  readonly edge: Edge;
  readonly notes: string[];
}

export interface ClusterOptions {
  readonly ids?: readonly string[];
  readonly principals?: EdgeOptions["principals"];
  /** By node; the common one where there is none. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly linksMax?: number;
  /** Of the nodes: then they know one another by `san`, and have no secret. */
  readonly tls?: DialTls;
  readonly san?: readonly string[];
}

export class ClusterWorld implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly table: Table;
  /** Heartbeats of nodes that came: by whom, from whom. */
  readonly heard: { readonly by: string; readonly from: string }[] = [];
  readonly #members = new Map<string, Member>();
  readonly #dialled: { readonly to: string; readonly socket: Socket }[] = [];
  readonly #cut = new Set<string>();
  readonly #clients: NativeClient[] = [];
  #epoch = 1;
  #drawn = 0;

  private constructor(ids: readonly string[]) {
    this.table = new Table(ids);
  }

  static async open(options: ClusterOptions = {}): Promise<ClusterWorld> {
    const ids = options.ids ?? ["a", "b", "c"];
    const world = new ClusterWorld(ids);
    for (const id of ids) world.table.addresses.set(id, { id, host: "127.0.0.1", port: 0 });
    for (const id of ids) await world.#start(id, options);
    world.table.changed();
    return world;
  }

  member(id: string): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`there is no node ${id}`);
    return member;
  }

  /** The n-th name whose partition `id` owns. */
  nameAt(id: string, index = 0, prefix = "n"): string {
    const { partitionOf } = this.member(id).node;
    let found = -1;
    for (let number = 0; ; number += 1) {
      const name = `${prefix}${number}`;
      if (this.table.ownerIds[partitionOf(name)] === id && ++found === index) return name;
    }
  }

  partitionOf(name: string): number {
    return this.member("a").node.partitionOf(name);
  }

  async client(id: string, hello: Partial<Hello> = {}): Promise<NativeClient> {
    const client = await NativeClient.connect(this.member(id).edge.port);
    this.#clients.push(client);
    client.socket.setNoDelay(true);
    await this.until(client.hello(hello));
    return client;
  }

  /** Waits for what sockets bring, while time goes on a little. */
  async until<Value>(wanted: Promise<Value> | (() => boolean)): Promise<Value | undefined> {
    let value: Value | undefined;
    let isDone = false;
    let failure: unknown;
    if (typeof wanted !== "function")
      wanted.then(
        (got) => {
          value = got;
          isDone = true;
        },
        (cause: unknown) => {
          failure = cause;
          isDone = true;
        },
      );
    const beganMs = performance.now();
    let passedMs = 0;
    while (performance.now() - beganMs < WAIT_MS) {
      if (typeof wanted === "function" ? wanted() : isDone) break;
      // A little ahead of real time, which the sockets and the client live in, and never far.
      const isDue = passedMs < AHEAD_MS || passedMs < performance.now() - beganMs;
      if (isDue) passedMs += 1;
      await this.clock.advance(isDue ? 1 : 0);
    }
    if (failure !== undefined) throw failure;
    if (typeof wanted === "function" ? !wanted() : !isDone) throw new Error("it did not come");
    return value;
  }

  /** The partition has no owner from now on; its state is kept for the next. */
  release(partition: number): string {
    const from = this.table.ownerIds[partition] ?? "";
    const { node } = this.member(from);
    node.leaving?.(partition);
    node.shardAt(partition).stop(new ForelockError("not_owner", `Node ${from} gives partition ${partition} up.`));
    for (const known of node.directory) known.partitions.delete(partition);
    node.awaits.abandon(partition);
    node.batches.left(partition);
    this.table.ownerIds[partition] = undefined;
    this.table.changed();
    return from;
  }

  /** A node takes over what `from` had decided. */
  take(partition: number, from: string, to: string): void {
    const { node } = this.member(to);
    const shard = node.shardAt(partition);
    // As a standby that has followed the log to its end.
    const state = decodeSnapshot(partition, encodeSnapshot(this.member(from).node.shardAt(partition).state));
    Object.assign(shard.state, state);
    node.directory.restore(shard.state, this.clock.monotonicMs());
    for (const { id } of state.sessions.values()) {
      const known = node.directory.get(id);
      if (known !== undefined) known.isSilent = true; // The log has not heard of it since the take-over.
    }
    this.#epoch += 1;
    shard.submit(
      { kind: "start", epoch: this.#epoch },
      () => () => node.batches.resume(shard),
      () => {},
    );
    this.table.ownerIds[partition] = to;
    this.table.changed();
  }

  move(partition: number, to: string): void {
    this.take(partition, this.release(partition), to);
  }

  /** Nobody reaches the node any more. Others notice by their sockets. */
  cut(id: string): void {
    this.#cut.add(id);
    for (const { to, socket } of this.#dialled) if (to === id) socket.destroy();
  }

  /** What it says to other nodes is on its way until `flow`. */
  stall(id: string): void {
    for (const { to, socket } of this.#dialled) if (to === id) socket.pause();
  }

  flow(id: string): void {
    for (const { to, socket } of this.#dialled) if (to === id) socket.resume();
  }

  /** It can be reached again. */
  mend(id: string): void {
    this.#cut.delete(id);
  }

  /** As `cut`, and the cluster knows. */
  die(id: string): void {
    this.cut(id);
    this.table.dead.add(id);
    for (const [partition, owner] of this.table.ownerIds.entries())
      if (owner === id) this.table.ownerIds[partition] = undefined;
    this.table.changed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#clients) socket.destroy();
    for (const { router } of this.#members.values()) router.close();
    await Promise.all([...this.#members.values()].map(({ edge }) => edge.close()));
    for (const { socket } of this.#dialled) socket.destroy();
  }

  async #start(id: string, options: ClusterOptions): Promise<void> {
    const { principals = [], secrets = {}, linksMax = 100, tls, san = [] } = options;
    const notes: string[] = [];
    const node = new Node({
      states: Array.from({ length: PARTITIONS }, (_, partition) => createState(partition)),
      log: new MemoryEventLog({ disk: new MemoryLogDisk() }),
      bulk: new MemoryBulkStore(),
      clock: this.clock,
      random: (bytes) => {
        this.#drawn += 1;
        const drawn = Buffer.alloc(bytes, this.#drawn);
        drawn.writeUInt32BE(this.#drawn);
        return drawn;
      },
      defer: (run) => setImmediate(run),
      limits: { ...NODE_LIMITS, awaitsMax: 100 },
      placementKey: new Uint8Array(16),
      isDurable: true,
      version: "test",
      isPredicting: false,
      note: (line, fields) => notes.push(`${line} ${JSON.stringify(fields)}`),
    });
    await node.start(this.#epoch, []);
    const secret = tls === undefined ? (secrets[id] ?? SECRET) : "";
    const dial = dialer(tls);
    const bulk = new BulkSource({ bulk: node.options.bulk, stateOf: (partition) => node.shards[partition]?.state });
    const router = new Router({
      ...{ bulk, node, secret, linksMax, holdMs: HOLD_MS, owners: this.table.ownersFor(id) },
      dial: (peer) => this.#dial(peer, dial),
      heard: (from) => this.heard.push({ by: id, from }),
    });
    const edgeClock: Clock = { ...realClock, wallMs: () => this.clock.wallMs() };
    const listening = tls === undefined ? undefined : { ...tls, clientCa: tls.ca, clientRequired: false };
    const edgeOptions = { ...TEST_OPTIONS, principals, tls: listening, cluster: { nodeId: id, secret, san } };
    const quiet = { info: () => {}, warn: () => {}, error: (fields: unknown) => notes.push(`edge ${String(fields)}`) };
    const edge = await startEdge(edgeOptions, router, edgeClock, node.options.random, quiet);
    this.table.addresses.set(id, { id, host: "127.0.0.1", port: edge.port });
    this.#members.set(id, { id, node, router, edge, notes });
    await settle();
  }

  #dial(peer: PeerAddress, dial: (peer: PeerAddress) => Socket): Socket {
    const socket = dial(this.#cut.has(peer.id) ? { ...peer, port: 1 } : peer);
    this.#dialled.push({ to: peer.id, socket });
    return socket;
  }
}
