// testing/build.ts: builds what only runs as JavaScript: the bundle, its heartbeat thread, and a server in a process of its own.
import { type ChildProcess, fork } from "node:child_process";
import { build } from "rolldown";

const root = new URL("../../", import.meta.url).pathname;

/** From the sources, as `npm run bundle` does; types aside. */
export async function buildClient(): Promise<void> {
  await bundle("src/heartbeat-worker.ts", "dist/heartbeat-worker.js");
  await bundle("src/index.ts", "dist/index.js");
}

export async function startEchoProcess(): Promise<{ readonly process: ChildProcess; readonly endpoint: string }> {
  await bundle("src/testing/measure.ts", "dist/measure.js");
  const process = fork(`${root}dist/measure.js`, ["serve"]);
  const port = await new Promise((resolve) => process.once("message", resolve));
  return { process, endpoint: `127.0.0.1:${port}` };
}

async function bundle(input: string, file: string): Promise<void> {
  await build({
    input: root + input,
    output: { file: root + file, format: "esm" },
    platform: "node",
    transform: { target: "node20.19" },
    tsconfig: false,
    logLevel: "silent",
  });
}
