// target/live-mutex.ts: the live-mutex package, a lock broker in Node over TCP that keeps nothing on disk. It is not in
// package-lock.json: its install script downloads a file with curl.

import { fileURLToPath } from "node:url";
import { freePort, startServer } from "../server-process.ts";
import { loadPackage, packageAbsence, packageVersion } from "./package.ts";
import type { LockClient, Target } from "./target.ts";

const ADVICE = "npm install --prefix .tmp/peers --ignore-scripts live-mutex@0.2.25";
const TTL_MS = 30_000;

interface Client {
  readonly emitter: { on(event: "warning", heard: () => void): void };
  ensure(): Promise<Client>;
  acquire(name: string, options: object): Promise<Grant>;
  release(name: string, options: object): Promise<unknown>;
  close(): void;
}
interface Grant {
  readonly id: string;
  readonly key: string;
}
interface LiveMutex {
  readonly Client: new (options: object) => Client;
  readonly Broker: new (options: object) => { ensure(): Promise<unknown> };
}

export const liveMutex: Target = {
  name: "live-mutex",
  durable: false,
  how: "live-mutex, a broker in Node that keeps nothing on disk",
  absence: () => packageAbsence(["live-mutex"], ADVICE),
  async start(folder) {
    const port = await freePort();
    const server = await startServer({
      command: process.execPath,
      words: [fileURLToPath(new URL("./live-mutex-broker.js", import.meta.url)), String(port)],
      folder: process.cwd(), // Where the packages of peers are found from.
      environment: { FORELOCK_BENCH_FOLDER: folder },
      isUp: (printed) => printed.includes("listening on"),
      upMsMax: 30_000,
    });
    return { endpoint: `127.0.0.1:${port}`, version: `live-mutex ${packageVersion("live-mutex")}`, server };
  },
};

export async function openLiveMutexClient(endpoint: string): Promise<LockClient> {
  const { Client } = loadPackage("live-mutex") as LiveMutex; // As its page documents.
  const options = { host: "127.0.0.1", port: Number(endpoint.split(":")[1]), ttl: TTL_MS, lockRequestTimeout: TTL_MS };
  const client = new Client({ ...options, unlockRequestTimeout: TTL_MS });
  client.emitter.on("warning", () => {}); // It warns of its own closing, a page for every client; failures reject.
  await client.ensure();
  return {
    acquire: (name) => client.acquire(name, {}),
    release: (grant) => client.release((grant as Grant).key, { id: (grant as Grant).id }), // It came from acquire.
    close: async () => client.close(),
  };
}

/** Runs in the broker's own process. */
export async function serveLiveMutex(port: number): Promise<void> {
  const { Broker } = loadPackage("live-mutex") as LiveMutex; // As its page documents.
  await new Broker({ host: "127.0.0.1", port }).ensure();
}
