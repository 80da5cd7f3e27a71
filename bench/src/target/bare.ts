// target/bare.ts: the bare loops of bare/ as targets: the limit for a server in Node on this machine and disk.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BareClient, type BareGrant } from "../bare/client.ts";
import { startServer } from "../server-process.ts";
import type { LockClient, Target } from "./target.ts";

export const bareMap: Target = {
  name: "bare-map",
  durable: false,
  how: "TCP echo with a Map: no disk, no sessions",
  absence: () => undefined,
  start: (folder) => start(folder, []),
};

export const bareDurable: Target = {
  name: "bare-durable",
  durable: true,
  how: "the same with a group-committed O_DSYNC write before each answer, from node's thread pool",
  absence: () => undefined,
  start: (folder) => start(folder, [join(folder, "journal"), "pool"]),
};

export const bareDurableSync: Target = {
  name: "bare-durable-sync",
  durable: true,
  how: "the same with the write from the event loop's own thread",
  absence: () => undefined,
  start: (folder) => start(folder, [join(folder, "journal"), "loop"]),
};

async function start(folder: string, words: readonly string[]): ReturnType<Target["start"]> {
  const entry = fileURLToPath(new URL("../bare/main.js", import.meta.url));
  const server = await startServer({
    command: process.execPath,
    words: [entry, ...words],
    folder,
    isUp: (printed) => printed.includes("listening on"),
    upMsMax: 30_000,
  });
  const endpoint = /listening on (\S+)/.exec(server.printed())?.[1] ?? "";
  return { endpoint, version: process.version, server };
}

export async function openBareClient(endpoint: string): Promise<LockClient> {
  const client = await BareClient.open(Number(endpoint.split(":")[1]));
  return {
    acquire: (name) => client.acquire(name),
    release: (grant) => client.release(grant as BareGrant), // It came from acquire.
    close: async () => client.close(),
  };
}
