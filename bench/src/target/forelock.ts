// target/forelock.ts: Forelock itself: its server as installed, durable as by default, and its own client.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Lock } from "@forelock/client";
import { startServer } from "../server-process.ts";
import { packageVersion } from "./package.ts";
import type { LockClient, StartedTarget, Target } from "./target.ts";

const PROGRAM = fileURLToPath(new URL("../../../packages/server/bin/forelock.js", import.meta.url));

export const forelock: Target = {
  name: "forelock",
  durable: true,
  how: "one node with its embedded log, durable before each answer, and @forelock/client",
  absence: () => (existsSync(PROGRAM) ? undefined : "it is not built: npm run build"),
  start: (folder) => startForelock({ folder }),
};

/** What prediction costs shows beside it. */
export const forelockBlind: Target = {
  ...forelock,
  name: "forelock-blind",
  how: "the same with `--prediction off`: nothing is learned or forecast",
  start: (folder) => startForelock({ folder, flags: ["--prediction", "off"] }),
};

export interface ForelockStart {
  readonly folder: string;
  /** For node itself, such as the profiler's. */
  readonly nodeFlags?: readonly string[];
  readonly flags?: readonly string[];
}

/** Starts on `<folder>/data`, which may hold the log of an earlier start. */
export async function startForelock({ folder, nodeFlags = [], flags = [] }: ForelockStart): Promise<StartedTarget> {
  const data = join(folder, "data");
  mkdirSync(data, { recursive: true });
  const server = await startServer({
    command: process.execPath,
    // As the program's first line runs it; `process.execPath` passes that line over.
    words: ["--max-semi-space-size=64", ...nodeFlags, PROGRAM, "serve", "--port", "0", "--data", data, ...flags],
    folder,
    isUp: (printed) => addressIn(printed) !== undefined,
    upMsMax: 300_000,
  });
  return {
    endpoint: addressIn(server.printed()) ?? "",
    version: `forelock ${packageVersion("forelock") ?? "0.1.0"}`,
    server,
  };
}

export async function openForelockClient(endpoint: string): Promise<LockClient> {
  const client = await connect(endpoint);
  return {
    acquire: (name) => client.lock(name),
    release: (grant) => (grant as Lock).release(), // It came from acquire.
    close: () => client.close(),
  };
}

function addressIn(printed: string): string | undefined {
  return /\b127\.0\.0\.1:[1-9]\d*/.exec(printed)?.[0];
}
