// member.ts: one simulated node over all its lives: the real Node, Cluster, Router and native carrier on a log in etcd, started, paused,
// drained, killed and started again. Its bulk store is its disk, and survives. Not here: when what befalls it (faults.ts).
//   M1. What its log calls durable, etcd has (ledger.ts).
//   M2. Nothing of a dead process acts any more; a paused one acts on what came meanwhile when it goes on.
import type { Socket } from "node:net";
import {
  acceptNative,
  Cluster,
  createState,
  type EdgeOptions,
  type EtcdEventLog,
  type EventLog,
  MemoryBulkStore,
  MemoryEtcd,
  type MemoryEtcdStore,
  Node,
  type NodeLimits,
  openEtcdEventLog,
  ownerName,
  type PeerAddress,
  Router,
  Upkeep,
} from "forelock/internal";
import type { Random } from "../proxy/random.ts";
import { withAppend } from "../simulator/log-around.ts";
import { Process, type SimulatedTime } from "../simulator/time.ts";
import type { Trace } from "../simulator/trace.ts";
import { Violation } from "../simulator/violation.ts";
import type { WireServer } from "../simulator/wire.ts";
import { EDGE_OPTIONS, SECRET } from "./edge-options.ts";
import { etcdFrom } from "./etcd-way.ts";
import { EtcdWeather } from "./etcd-weather.ts";
import type { ClusterLedger } from "./ledger.ts";
import type { PeerNetwork, SocketEnd } from "./network.ts";

export const CLUSTER = "sim";
export const LEASE_MS = 2_000;
const HOLD_LEASES = 4;
const LINKS_MAX = 1_000;
const REPLICAS = 2;
const FILL_BYTES_PER_SECOND = 1_048_576;
const KEPT_BYTES_MAX = 64 * 1_048_576;
const PLACEMENT_KEY = Uint8Array.from({ length: 16 }, (_, index) => index * 11 + 3);

export interface MemberOptions {
  readonly id: string;
  /** In milliseconds of its clock for one of the world's. */
  readonly rate: number;
  readonly time: SimulatedTime;
  readonly trace: Trace;
  readonly random: Random;
  readonly store: MemoryEtcdStore;
  readonly ledger: ClusterLedger;
  readonly network: PeerNetwork;
  readonly limits: NodeLimits;
  readonly partitions: number;
  readonly snapshotBytes: number;
  readonly files: readonly string[];
  readonly others: () => readonly Member[];
  /** The run cannot go on. */
  readonly broken: (cause: unknown) => void;
  /** Clients lose their connections to it. */
  readonly down: (member: Member) => void;
}

export class Member implements WireServer {
  readonly id: string;
  process: Process;
  /** Where clients and nodes come in; undefined while it is down or starting. */
  node: Router | undefined;
  core: Node | undefined;
  cluster: Cluster | undefined;
  log: EtcdEventLog | undefined;
  readonly weather: EtcdWeather;
  starts = 0;
  compared = 0;
  readonly #options: MemberOptions;
  readonly #bulk = new MemoryBulkStore();
  /** On its disk, beside the contents. */
  #marks: readonly number[] = [];
  #accept: ((socket: SocketEnd) => void) | undefined;
  #upkeep: Upkeep | undefined;
  #isLeaving = false;
  #told = "";

  constructor(options: MemberOptions) {
    this.#options = options;
    this.id = options.id;
    this.weather = new EtcdWeather(options.random);
    this.process = new Process(`${options.id} 1`);
  }

  get isRunning(): boolean {
    return this.process.pausedUntilMs <= this.#options.time.nowMs;
  }

  start(): void {
    const { process } = this;
    this.starts += 1;
    this.#isLeaving = false;
    this.#options.time.after(process, 0, () => {
      this.#boot(process).catch((cause: unknown) => {
        if (!process.isAlive) return;
        if (cause instanceof Violation) return this.#options.broken(cause);
        this.#note("does not start", { error: String(cause) }); // Etcd does not answer it: whoever runs it starts it again.
        this.crash(500);
      });
    });
  }

  /** Ends the process where it stands, and starts another after `downMs`. */
  crash(downMs: number): void {
    const { time, network, trace, down } = this.#options;
    trace.add(time.nowMs, `${this.id} is killed, down for ${downMs.toFixed(0)} ms`);
    this.compared += this.cluster?.ownership.compared ?? 0;
    this.process.isAlive = false; // M2
    this.weather.ended();
    network.ended(this);
    this.node = undefined;
    this.core = undefined;
    this.cluster = undefined;
    this.log = undefined;
    this.#accept = undefined;
    this.process = new Process(`${this.id} ${this.starts + 1}`);
    this.process.pausedUntilMs = time.nowMs + downMs;
    down(this);
    this.start();
  }

  pause(ms: number): void {
    this.process.pausedUntilMs = Math.max(this.process.pausedUntilMs, this.#options.time.nowMs + ms);
  }

  /** Gives away what it has, leaves, and is started again later, as for an update. */
  leave(downMs: number): void {
    const { process, cluster, node } = this;
    if (cluster === undefined || node === undefined || this.#isLeaving) return;
    this.#isLeaving = true;
    const left = async (): Promise<void> => {
      await this.#upkeep?.close();
      await cluster.close();
      node.close();
    };
    this.#options.time.after(process, 0, () => {
      left().then(
        () => process.isAlive && this.crash(downMs),
        (cause: unknown) => process.isAlive && this.#options.broken(cause),
      );
    });
  }

  /** An operator's word, said here. */
  wish(say: (cluster: Cluster) => Promise<void>): void {
    const { process, cluster } = this;
    if (cluster === undefined) return;
    this.#options.time.after(process, 0, () => {
      say(cluster).catch((cause: unknown) => this.#note("wish not written", { error: String(cause) }));
    });
  }

  async #boot(process: Process): Promise<void> {
    const { id, time, rate, random, store, partitions, limits, snapshotBytes, files } = this.#options;
    const self = { id, boot: String(this.starts), version: "simulated" };
    const etcd = new MemoryEtcd({ store, faults: this.weather });
    const way = etcdFrom(etcd, time, process);
    const clock = time.clockOf(process, random() * 1e6, rate, () => 1_700_000_000_000 + time.nowMs * rate);
    const note = (line: string, fields: Readonly<Record<string, unknown>>): void => {
      if (process.isAlive) this.#note(line, fields);
    };
    const drawn = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256));
    const log = await openEtcdEventLog({
      ...{ etcd: way, clock, cluster: CLUSTER, owner: ownerName(self), partitions },
      floor: (partition) => cluster.contents.floor(partition),
    });
    const cluster: Cluster = new Cluster({
      markStore: {
        load: async () => this.#marks,
        save: async (marks) => {
          if (process.isAlive) this.#marks = marks;
        },
      },
      marks: this.#marks,
      fetch: (peer, request) => {
        if (this.node === undefined) throw new Error("the node is starting");
        return this.node.fetchBulk(peer, request);
      },
      beat: async (peer) => this.node?.beat(peer),
      fillBytesPerSecond: FILL_BYTES_PER_SECOND,
      keptBytesMax: KEPT_BYTES_MAX,
      ...{ cluster: CLUSTER, etcd: way, log, bulk: this.#bulk, clock, partitions, replicas: REPLICAS },
      ...{ leaseMs: LEASE_MS, self, growthRefused: () => undefined, files, note },
    });
    const core = new Node({
      states: Array.from({ length: partitions }, (_, partition) => createState(partition)),
      ownership: cluster.ownership,
      log: this.#judged(log, process),
      bulk: cluster.contents,
      clock,
      random: drawn,
      defer: (run) => {
        time.after(process, 0, run);
      },
      limits,
      placementKey: PLACEMENT_KEY,
      isDurable: true,
      version: "simulated",
      isPredicting: false,
      note,
    });
    const router = new Router({
      ...{
        node: core,
        owners: cluster.ownership,
        bulk: cluster.source,
        secret: SECRET,
        linksMax: LINKS_MAX,
        holdMs: LEASE_MS * HOLD_LEASES,
        heard: (from: string) => cluster.heartbeats.heard(from),
      },
      dial: (peer) => this.#dial(peer),
    });
    const quiet = { info: () => {}, warn: () => {}, error: note as never };
    const edge: EdgeOptions = { ...EDGE_OPTIONS, cluster: { nodeId: id, secret: SECRET, san: [] } };
    const accept = acceptNative(edge, router, clock, quiet);
    // Cast: the part of a socket that the carrier uses.
    this.#accept = (socket) => accept(socket as unknown as Socket, { address: "simulated", san: [], bearer: "" });
    cluster.ownership.onChange(() => process.isAlive && this.#tellMoves(cluster));
    this.core = core;
    this.cluster = cluster;
    this.log = log;
    await cluster.start(core, { host: id, port: 7420 });
    this.node = router;
    this.#upkeep = new Upkeep({
      ...{
        log,
        bulk: cluster.contents,
        admission: { refresh: async () => {} },
        clock,
        led: () => core.led,
        snapshotBytes,
      },
      ...{ isCompacting: () => cluster.planner.isPlanning, note },
    });
    this.#note("is up", { start: this.starts });
  }

  /** M1 */
  #judged(log: EtcdEventLog, process: Process): EventLog {
    const { ledger, broken } = this.#options;
    return withAppend(log, async (record) => {
      const copy = { ...record, events: record.events.slice() };
      await log.append(record);
      try {
        if (process.isAlive) ledger.judgeDurable(copy, this.id);
      } catch (cause) {
        broken(cause);
      }
    });
  }

  #dial(peer: PeerAddress): Socket {
    const to = this.#options.others().find(({ id }) => id === peer.host);
    if (to === undefined) throw new Error(`there is no node ${peer.host}`);
    const from = { id: this.id, process: this.process };
    const place = { id: to.id, process: to.process };
    const end = this.#options.network.dial(from, place, () => (to.process === place.process ? to.#accept : undefined));
    return end as unknown as Socket; // Cast: the part of a socket that a link uses.
  }

  /** What it says that became of its partitions, in the trace. */
  #tellMoves(cluster: Cluster): void {
    const { time, trace, ledger } = this.#options;
    const roles = ledger.shadows.map(({ partition }) => cluster.ownership.role(partition));
    const text = `${this.id} is ${roles.join()}`;
    if (text === this.#told) return;
    this.#told = text;
    trace.add(time.nowMs, text);
  }

  #note(line: string, fields: Readonly<Record<string, unknown>>): void {
    const { time, trace, broken } = this.#options;
    const text = `${this.id} notes ${line} ${JSON.stringify(fields)}`;
    trace.add(time.nowMs, text);
    // O5: nothing here loses a record of a state, so none may ever differ.
    if (line === "state differs from the owner's" || line === "replica broke" || line === "log stopped")
      broken(new Violation("standby-differs", text));
  }
}
