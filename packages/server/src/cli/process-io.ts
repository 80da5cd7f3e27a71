// process-io.ts: CliIo of a real process. Not here: connecting (client-remote.ts), serving (../serve.ts); main.ts adds both.
import { spawn as spawnProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Clock } from "../clock.ts";
import type { Child, CliIo, SpawnWish, StopSignal } from "./io.ts";

export const processClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(delayMs, TIMEOUT_MS_MAX));
    return { dispose: () => clearTimeout(timer) };
  },
};

/** Node fires at once when a delay does not fit 31 bits. */
const TIMEOUT_MS_MAX = 2_147_483_647;

/** The parts that need nothing but Node. */
export function processIo(): Omit<CliIo, "connect" | "serve" | "version"> {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    clock: processClock,
    host: hostname(),
    readFile: (path) => readFile(path, "utf8"),
    spawn,
    onStop,
  };
}

function spawn({ command, args, env }: SpawnWish): Child {
  // No shell: the arguments reach the command as they are. No detached group: Ctrl-C at the terminal reaches it as well.
  const child = spawnProcess(command, args, { stdio: "inherit", env });
  return {
    ended: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
    }),
    kill: (signal) => {
      child.kill(signal); // False when it has ended meanwhile: `ended` tells.
    },
  };
}

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

function onStop(listener: (signal: StopSignal) => void): () => void {
  const listeners = STOP_SIGNALS.map((signal) => ({ signal, listen: () => listener(signal) }));
  for (const { signal, listen } of listeners) process.on(signal, listen);
  return () => {
    for (const { signal, listen } of listeners) process.off(signal, listen);
  };
}
