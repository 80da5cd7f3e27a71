// fleet.ts: the nodes of a run on its etcd members, and where names are: started, killed and started again.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createPlacement } from "@forelock/protocol";
import type { Scratch } from "../scratch.ts";
import { freePort, pause, type ServerProcess, startServer } from "../server-process.ts";
import { type ClusterRecords, type Members, openRecords, startMembers } from "./members.ts";

const PROGRAM = fileURLToPath(new URL("../../../packages/server/dist/main.js", import.meta.url));
const UP_MS_MAX = 60_000;
const SETTLED_MS_MAX = 60_000;
const LOOK_MS = 200;
/** Owners have stayed as they are for this long. */
const QUIET_MS = 2_500;
/** What the goal of an owner's death is stated for: the default. */
export const LEASE_MS = 2_000;

export interface FleetNode {
  readonly id: string;
  readonly endpoint: string;
  server: ServerProcess;
}

export interface Fleet {
  readonly members: Members;
  readonly records: ClusterRecords;
  readonly nodes: readonly FleetNode[];
  /** A tag whose names are all in the partition. */
  tagIn(partition: number): string;
  partitionOf(name: string): number;
  restart(node: FleetNode): Promise<void>;
  /** Every partition has a live owner, evenly, and none has got another for a while. */
  settled(): Promise<ReadonlyMap<number, string>>;
  /** Processor time so far, of all its processes of the kind. */
  cpuMs(of: "nodes" | "members"): number;
  stop(): Promise<void>;
}

export async function startFleet(scratch: Scratch, count: number, flags: readonly string[] = []): Promise<Fleet> {
  const members = await startMembers(scratch.folder("etcd"));
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("hex");
  const start = (id: string, port: number, folder: string): Promise<ServerProcess> =>
    startServer({
      command: process.execPath,
      words: ["--max-semi-space-size=64", PROGRAM, ...wordsOf(members, id, port, `${folder}/data`), ...flags],
      folder,
      environment: { FORELOCK_CLUSTER_SECRET: secret },
      isUp: (printed) => printed.includes(`127.0.0.1:${port}`),
      upMsMax: UP_MS_MAX,
    });
  const places = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const folder = scratch.folder(`n${index + 1}`);
      mkdirSync(`${folder}/data`, { recursive: true });
      return { id: `n${index + 1}`, port: await freePort(), folder };
    }),
  );
  const nodes = await Promise.all(
    places.map(async ({ id, port, folder }): Promise<FleetNode> => {
      return { id, endpoint: `127.0.0.1:${port}`, server: await start(id, port, folder) };
    }),
  );
  const records = await openRecords(members.endpoints);
  const { hashKey, partitions } = await records.format();
  const partitionOf = createPlacement(Buffer.from(hashKey, "hex"), partitions);
  let changedAtMs = performance.now();
  records.onEpoch(({ seenAtMs }) => {
    changedAtMs = seenAtMs;
  });
  return {
    members,
    records,
    nodes,
    partitionOf,
    tagIn: (partition) => {
      for (let number = 0; ; number += 1)
        if (partitionOf(`{bench-${number}}`) === partition) return `{bench-${number}}`;
    },
    async restart(node) {
      const place = places.find(({ id }) => id === node.id)!; // A node of this fleet.
      node.server = await start(place.id, place.port, place.folder);
    },
    async settled() {
      const untilMs = performance.now() + SETTLED_MS_MAX;
      for (;;) {
        await pause(LOOK_MS);
        const owners = await records.owners();
        if (isEven(owners, nodes, partitions) && performance.now() - changedAtMs > QUIET_MS) return owners;
        if (performance.now() > untilMs) throw new Error(`The owners did not settle: ${JSON.stringify([...owners])}.`);
      }
    },
    cpuMs: (of) => {
      const servers = of === "nodes" ? nodes.map(({ server }) => server) : members.servers;
      return servers.reduce((sum, server) => sum + (server.usage()?.cpuMs ?? Number.NaN), 0);
    },
    async stop() {
      await records.close();
      await Promise.all(nodes.map(({ server }) => server.kill()));
      await members.stop();
    },
  };
}

function wordsOf(members: Members, id: string, port: number, data: string): readonly string[] {
  const words = ["serve", "--port", String(port), "--data", data, "--node-lease-ms", String(LEASE_MS)];
  return [...words, "--cluster-etcd", members.endpoints, "--cluster-node-id", id];
}

function isEven(owners: ReadonlyMap<number, string>, nodes: readonly FleetNode[], partitions: number): boolean {
  if (owners.size < partitions) return false;
  const owned = nodes.map(({ id }) => [...owners.values()].filter((owner) => owner === id).length);
  return owned.every((count) => count >= Math.floor(partitions / nodes.length) / 2);
}
