// target/redlock.ts: the redlock package on one Redis through ioredis, as its own page sets it up: one connection, one server.

import { freePort, startServer } from "../server-process.ts";
import { loadPackage, packageAbsence, packageVersion } from "./package.ts";
import { findProgram, programAbsence, programVersion } from "./program.ts";
import type { LockClient, Target } from "./target.ts";

const TTL_MS = 30_000;

interface Redis {
  disconnect(): void;
  once(event: "ready", heard: () => void): void;
}
interface Redlock {
  lock(name: string, ttlMs: number): Promise<RedlockGrant>;
}
interface RedlockGrant {
  unlock(): Promise<unknown>;
}

export const redlockAlways = redlockOn("redlock-always", ["--appendonly", "yes", "--appendfsync", "always"]);
export const redlockOff = redlockOn("redlock-off", ["--appendonly", "no"]);

function redlockOn(name: string, flags: readonly string[]): Target {
  return {
    name,
    durable: name === "redlock-always",
    how: `redlock with ioredis on one Redis (${flags.join(" ").replaceAll("--", "")})`,
    absence: () => programAbsence("redis-server") ?? packageAbsence(["redlock", "ioredis"]),
    async start(folder) {
      const program = findProgram("redis-server")!; // Not absent.
      const port = await freePort();
      const server = await startServer({
        command: program,
        words: ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...flags],
        folder,
        isUp: (printed) => printed.includes("Ready to accept connections"),
        upMsMax: 30_000,
      });
      const version = `redlock ${packageVersion("redlock")}, ioredis ${packageVersion("ioredis")}, Redis ${programVersion(program)}`;
      return { endpoint: `127.0.0.1:${port}`, version, server };
    },
  };
}

export async function openRedlockClient(endpoint: string): Promise<LockClient> {
  const { default: IoRedis } = loadPackage("ioredis") as { default: new (options: object) => Redis }; // As its page documents.
  const Package = loadPackage("redlock") as new (clients: readonly Redis[], options: object) => Redlock; // Likewise.
  const redis = new IoRedis({ host: "127.0.0.1", port: Number(endpoint.split(":")[1]) });
  await new Promise<void>((resolve) => redis.once("ready", resolve));
  const redlock = new Package([redis], { retryCount: 0 });
  return {
    acquire: (name) => redlock.lock(name, TTL_MS),
    release: (grant) => (grant as RedlockGrant).unlock(), // It came from acquire.
    close: async () => redis.disconnect(),
  };
}
