// scene.ts: a cluster on hosts of their own: three members of etcd, three nodes behind their gates, and who owns what of it.
//   H1. Cuts are healed by whoever made them; `settle` only waits.
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@forelock/client";
import { type Clock, pause } from "../../proxy/clock.ts";
import { choose, type Random } from "../../proxy/random.ts";
import { ELEMENTS } from "../elements.ts";
import type { Place } from "../play.ts";
import { readWire } from "../reader.ts";
import type { Way } from "../wire.ts";
import { ClusterNode } from "./cluster-node.ts";
import type { EtcdEntry } from "./etcd-gateway.ts";
import { EtcdMember, type MemberPlace } from "./etcd-member.ts";
import { type Host, type Hosts, loopbackHosts } from "./hosts.ts";
import { namespaceHosts } from "./namespaces.ts";
import { Owners } from "./owners.ts";

export interface ClusterSceneOptions {
  readonly seed: number;
  readonly clock: Clock;
  readonly nowNs: () => number;
  readonly serverScript: string;
  /** Everything on the loopback, also where there could be hosts. */
  readonly loopback: boolean;
  /** What each process prints goes to `<logs>.<name>.log`. */
  readonly logs: string;
  readonly log: (line: string) => void;
}

const MEMBERS = ["e1", "e2", "e3"] as const;
const NODES = ["n1", "n2", "n3"] as const;
export const LEASE_MS = 2_000;
/** Of the members, so that it can be reached soon; nodes are told the least that their setting allows. */
export const QUOTA_BYTES = 16 * 1_048_576;
const TOLD_QUOTA_BYTES = 64 * 1_048_576;
const PARTITIONS = 16;
/** So that snapshots are taken and the log is cut within a run. */
const SNAPSHOT_BYTES = 1_048_576;
const SERVED_MS_MAX = 90_000;
const SHARED_MEMORY = "/dev/shm";
/** Three members with their logs, when the quota is reached. */
const MEMORY_BYTES_MIN = 2 * 1_024 * 1_048_576;
const LOOK_MS = 200;
const ANSWER_MS_MAX = 2_000;
/** A standby that differs from its owner: never, whatever befalls them. */
const DIFFERS = /state differs from the owner's/;

export class ClusterScene implements Place {
  readonly members: readonly EtcdMember[];
  readonly nodes: readonly ClusterNode[];
  readonly hosts: Hosts;
  readonly owners: Owners;
  /** Why there are no hosts of their own; undefined: there are. */
  readonly lack: string | undefined;
  readonly #options: ClusterSceneOptions;
  readonly #folders: readonly string[];
  readonly #partitions = new Map<string, number>();
  readonly #trouble = new Set<string>();

  private constructor(
    options: ClusterSceneOptions,
    parts: {
      readonly folders: readonly string[];
      readonly hosts: Hosts;
      readonly lack: string | undefined;
      readonly members: readonly EtcdMember[];
      readonly nodes: readonly ClusterNode[];
    },
  ) {
    const { clock, nowNs } = options;
    this.#options = options;
    this.#folders = parts.folders;
    this.hosts = parts.hosts;
    this.lack = parts.lack;
    this.members = parts.members;
    this.nodes = parts.nodes;
    this.owners = new Owners({ clock, nowNs, list: (prefix) => this.#list(prefix) });
    for (const node of this.nodes) node.onSaid = (text) => this.#said(node.name, text);
    for (const member of this.members) member.onSaid = (text) => this.#said(member.place.name, text);
  }

  static async open(options: ClusterSceneOptions): Promise<ClusterScene> {
    const { seed, clock, serverScript: script, loopback, log } = options;
    const own = loopback ? "not asked for" : await namespaceHosts([...MEMBERS, ...NODES]);
    const hosts = typeof own === "string" ? loopbackHosts() : own;
    const lack = typeof own === "string" ? own : undefined;
    const folder = mkdtempSync(join(tmpdir(), "forelock-torture-"));
    log(lack === undefined ? `${MEMBERS.length + NODES.length} hosts of their own` : `all on loopback: ${lack}`);
    const ports = lack === undefined ? [] : await freePorts(2 * MEMBERS.length);
    const places = MEMBERS.map((name, index): MemberPlace => {
      const host = hosts.host(name);
      const client = { host: host.ip, port: ports[2 * index] ?? 2_379 };
      return { name, host, client, peer: { host: host.ip, port: ports[2 * index + 1] ?? 2_380 } };
    });
    const memory = mkdtempSync(join(memoryFolder(), "forelock-torture-etcd-"));
    const each = { folder: memory, quotaBytes: QUOTA_BYTES, clock };
    const members = places.map((place) => new EtcdMember(place, places, each));
    const secret = randomBytes(24).toString("base64url");
    const flags = ["--partitions", PARTITIONS, "--node-lease-ms", LEASE_MS, "--cluster-snapshot-bytes", SNAPSHOT_BYTES];
    flags.push("--cluster-etcd-quota-bytes", TOLD_QUOTA_BYTES);
    const nodes: ClusterNode[] = [];
    for (const [index, name] of NODES.entries()) {
      const clients = places.map(({ client }) => client);
      const turned = [...clients.slice(index), ...clients.slice(0, index)]; // Each begins with another member.
      const node = { name, host: hosts.host(name), folder, script, secret, flags: flags.map(String), clock };
      nodes.push(await ClusterNode.open({ ...node, members: turned, seed: seed + index }));
    }
    return new ClusterScene(options, { folders: [folder, memory], hosts, lack, members, nodes });
  }

  async start(): Promise<void> {
    const { log, clock } = this.#options;
    for (const member of this.members) member.up();
    await Promise.all(this.members.map((member) => member.healthy()));
    log("three members of etcd answer");
    await Promise.all(this.nodes.map((node) => node.up()));
    const late = await this.#untilServed();
    if (late !== undefined) throw new Error(late);
    log("three nodes serve every partition, with standbys");
    for (const name of ELEMENTS) {
      const why = await readWire(this.way(), { $case: "why", value: { name } }, clock);
      if (why?.$case === "why") this.#partitions.set(name, why.value.partition);
    }
    this.owners.start();
  }

  async settle(): Promise<readonly string[]> {
    const late = await this.#untilServed();
    return [...(late === undefined ? [] : [late]), ...this.#trouble, ...this.exits()];
  }

  async close(): Promise<void> {
    await this.owners.close();
    await Promise.all(this.nodes.map((node) => node.close()));
    await Promise.all(this.members.map((member) => member.kill()));
    this.hosts.close();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  wayOf(index: number, random: Random): Way {
    let node = this.nodes[index % this.nodes.length];
    return () => {
      const { inbound } = (node ?? choose(random, this.nodes)).gate;
      node = undefined; // Whoever connects again tries any.
      return inbound;
    };
  }

  endpointsOf(index: number): readonly string[] {
    const turned = [...this.nodes.slice(index % this.nodes.length), ...this.nodes.slice(0, index % this.nodes.length)];
    return turned.map(({ gate: { inbound } }) => `${inbound.host}:${inbound.port}`);
  }

  #turn = 0;
  readonly way: Way = () => {
    this.#turn += 1;
    return this.node(NODES[this.#turn % NODES.length] ?? "n1").gate.inbound;
  };

  get starts(): readonly number[] {
    return this.nodes.flatMap(({ starts }) => starts);
  }

  get lastWords(): string {
    return `see ${this.#options.logs}.*.log`;
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`not a node of this run: ${name}`);
    return node;
  }

  member(name: string): EtcdMember {
    const member = this.members.find(({ place }) => place.name === name);
    if (member === undefined) throw new Error(`not a member of this run: ${name}`);
    return member;
  }

  host(name: string): Host {
    return name === this.hosts.here.name ? this.hosts.here : this.hosts.host(name);
  }

  partitionOf(element: string): number | undefined {
    return this.#partitions.get(element);
  }

  /** Servers that ended although nobody ended them. */
  exits(): readonly string[] {
    const nodes = this.nodes.flatMap(({ name, exit }) => (exit === undefined ? [] : [`${name} ${exit}`]));
    return nodes.map((line) => `${line} although nobody stopped it`);
  }

  async #list(prefix: string): Promise<readonly EtcdEntry[]> {
    let failure: unknown;
    for (const { gateway, pid } of this.members) {
      if (pid === undefined) continue;
      try {
        return await gateway.list(prefix);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** @returns what is not served in the end */
  async #untilServed(): Promise<string | undefined> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + SERVED_MS_MAX;
    for (;;) {
      const why = await this.#unserved().catch((error: unknown) => String(error));
      if (why === undefined) return undefined;
      if (clock.monotonicMs() > untilMs)
        return `not whole ${SERVED_MS_MAX / 1_000} s after everything was healed: ${why}`;
      await pause(clock, LOOK_MS);
    }
  }

  async #unserved(): Promise<string | undefined> {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const [endpoints] = this.endpointsOf(0);
    await using client = await connect({ endpoints: endpoints ?? "", session: "none", signal });
    const report = await client.cluster({ movesMax: 1, signal });
    const away = report.nodes.filter(({ live, answered }) => !live || !answered).map(({ id }) => id);
    if (report.nodes.length < NODES.length || away.length > 0) return `nodes away: ${away.join(", ")}`;
    const open = report.partitions.filter(
      ({ owner, wishedOwner, standbys }) => owner === "" || owner !== wishedOwner || standbys.length === 0,
    );
    return open.length === 0 ? undefined : `partitions without owner or standby: ${JSON.stringify(open)}`;
  }

  #said(name: string, text: string): void {
    appendFileSync(`${this.#options.logs}.${name}.log`, text);
    if (DIFFERS.test(text)) this.#trouble.add(`${name}: a standby differs from its owner`);
  }
}

/** Nobody loses power here, so etcd's data may be in memory: how slow the disk is must not decide what a run gets to see. */
function memoryFolder(): string {
  if (!existsSync(SHARED_MEMORY)) return tmpdir();
  const { bavail, bsize } = statfsSync(SHARED_MEMORY);
  return bavail * bsize > MEMORY_BYTES_MIN ? SHARED_MEMORY : tmpdir();
}

/** On loopback; taken again at once, as members cannot be told to choose. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}
