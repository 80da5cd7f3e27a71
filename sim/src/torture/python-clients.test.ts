// python-clients.test.ts: the schema and docs/protocol.md are enough to write a client: two Python programs against a real server.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../proxy/clock.ts";
import { ServerProcess } from "./server-process.ts";

const PYTHON = "/usr/bin/python3";
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const SERVER_SCRIPT = root("packages/server/bin/forelock.js");
const run = promisify(execFile);

/** Undefined when the programs can run here. */
function missing(): string | undefined {
  if (!existsSync(root("packages/server/dist/main.js"))) return "the server is not built";
  try {
    execFileSync(PYTHON, ["-c", "import grpc, grpc_tools.protoc"], { stdio: "pipe" });
    return undefined;
  } catch {
    return `${PYTHON} has no python3-grpcio and python3-grpc-tools`;
  }
}

const why = missing();
if (why !== undefined) console.log(`skipped: the Python clients: ${why}`);

const server = new ServerProcess(systemClock());
const folder = mkdtempSync(join(tmpdir(), "forelock-python-"));
let address = "";

beforeAll(async () => {
  if (why !== undefined) return;
  const { port } = await server.serve({
    script: SERVER_SCRIPT,
    dataFolder: join(folder, "data"),
    environment: {},
    flags: [],
  });
  address = `127.0.0.1:${port}`;
});

afterAll(async () => {
  await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

const STORY = [
  "opened a session",
  "granted",
  "appended, length 6",
  "released",
  "granted",
  "refused with stale_token",
  "closed the session",
];

test.skipIf(why !== undefined).each(["unary.py", "stream.py"])("%s does its round", async (program) => {
  const { stdout } = await run(PYTHON, [root(`clients/python/${program}`), address], { timeout: 30_000 });
  expect(stdout.trim().split("\n")).toEqual(STORY);
});

test.skipIf(why !== undefined)("warning.py is warned, acknowledges and releases in time", async () => {
  const { stdout } = await run(PYTHON, [root("clients/python/warning.py"), address], { timeout: 30_000 });
  expect(stdout.trim().split("\n")).toEqual([
    "granted",
    "warned: deploy, to release within 5 s",
    "acknowledged",
    "released",
    "nobody to warn: not_held",
  ]);
});
