// members.ts: three etcd members for a run, with ports and folders of their own, and what stands in them of a cluster: who owns what,
// and what operators want. Not here: the nodes (fleet.ts).

import { statSync } from "node:fs";
import { accepts, freePort, type ServerProcess, startServer } from "../server-process.ts";
import { loadPackage } from "../target/package.ts";
import { findProgram } from "../target/program.ts";

const MEMBERS = 3;
const UP_MS_MAX = 60_000;

export interface Members {
  /** With commas between. */
  readonly endpoints: string;
  readonly servers: readonly ServerProcess[];
  /** The largest of their files now. */
  fileBytes(): number;
  stop(): Promise<void>;
}

export async function startMembers(folder: string): Promise<Members> {
  const program = findProgram("etcd")!; // Its absence was told before.
  const members = await Promise.all(
    Array.from({ length: MEMBERS }, async (_, index) => ({
      name: `m${index}`,
      port: await freePort(),
      peer: `http://127.0.0.1:${await freePort()}`,
      data: `${folder}/m${index}`,
    })),
  );
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  // All at once: a member is not up before most of them are.
  const servers = await Promise.all(
    members.map(({ name, port, peer, data }) => {
      const client = `http://127.0.0.1:${port}`;
      const words = ["--data-dir", data, "--name", name, "--initial-cluster", cluster];
      words.push("--listen-client-urls", client, "--advertise-client-urls", client);
      words.push("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer);
      words.push("--logger", "zap", "--log-level", "error");
      return startServer({ command: program, words, folder, isUp: () => accepts(port), upMsMax: UP_MS_MAX });
    }),
  );
  return {
    endpoints: members.map(({ port }) => `127.0.0.1:${port}`).join(","),
    servers,
    fileBytes: () => Math.max(...members.map(({ data }) => statSync(`${data}/member/snap/db`).size)),
    stop: async () => {
      await Promise.all(servers.map((server) => server.kill()));
    },
  };
}

export interface EpochChange {
  readonly partition: number;
  /** Id of the node. */
  readonly owner: string;
  /** Of performance.now(). */
  readonly seenAtMs: number;
}

/** What the nodes keep in etcd, read and written as an operator's tool would. */
export interface ClusterRecords {
  format(): Promise<{ readonly hashKey: string; readonly partitions: number }>;
  /** Ids of the owners, by partition. */
  owners(): Promise<ReadonlyMap<number, string>>;
  onEpoch(run: (change: EpochChange) => void): void;
  pin(partition: number, node: string): Promise<void>;
  unpin(): Promise<void>;
  close(): Promise<void>;
}

interface Etcd3 {
  get(key: string): { string(): Promise<string | null> };
  getAll(): { prefix(prefix: string): { strings(): Promise<Readonly<Record<string, string>>> } };
  put(key: string): { value(text: string): { exec(): Promise<unknown> } };
  delete(): { prefix(prefix: string): { exec(): Promise<unknown> } };
  watch(): { prefix(prefix: string): { create(): Promise<Watcher> } };
  close(): void;
}
interface Watcher {
  on(event: "put", run: (entry: { readonly key: Buffer; readonly value: Buffer }) => void): void;
  cancel(): Promise<void>;
}

const PREFIX = "/forelock/";
const EPOCHS = `${PREFIX}epoch/`;
const PINS = `${PREFIX}wish/pin/`;

export async function openRecords(endpoints: string): Promise<ClusterRecords> {
  const { Etcd3 } = loadPackage("etcd3") as { Etcd3: new (options: { hosts: readonly string[] }) => Etcd3 }; // As its page documents.
  const client = new Etcd3({ hosts: endpoints.split(",").map((member) => `http://${member}`) });
  const listeners: ((change: EpochChange) => void)[] = [];
  const watcher = await client.watch().prefix(EPOCHS).create();
  watcher.on("put", ({ key, value }) => {
    const change = { partition: partitionIn(key.toString()), owner: ownerIn(value.toString()) };
    for (const run of listeners) run({ ...change, seenAtMs: performance.now() });
  });
  return {
    async format() {
      const text = await client.get(`${PREFIX}format`).string();
      return JSON.parse(text ?? "{}") as { hashKey: string; partitions: number }; // Written by the nodes, which are up.
    },
    async owners() {
      const values = await client.getAll().prefix(EPOCHS).strings();
      return new Map(Object.entries(values).map(([key, value]) => [partitionIn(key), ownerIn(value)]));
    },
    onEpoch: (run) => listeners.push(run),
    async pin(partition, node) {
      await client.put(`${PINS}${partition}`).value(node).exec();
    },
    async unpin() {
      await client.delete().prefix(PINS).exec();
    },
    async close() {
      await watcher.cancel();
      client.close();
    },
  };
}

function partitionIn(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

/** The record names one process of a node: `<id>#<boot>`. */
function ownerIn(record: string): string {
  const { owner } = JSON.parse(record) as { owner: string };
  return owner.slice(0, owner.lastIndexOf("#"));
}
