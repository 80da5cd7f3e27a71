// server-process.ts: one server under measurement as a child process. Not here: which server (target/).
//   P1. A child that is started is ended, by its own id, also when the benchmark fails.
//   P2. Every wait has an end: a server that does not come up in time is an error with what it printed.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect as connectSocket, createServer } from "node:net";

const PRINTED_BYTES_MAX = 64 * 1024;
const LAST_WORDS = 1_000;
const TICKS_PER_SECOND = 100; // USER_HZ of Linux, the unit of /proc/<pid>/stat.
const running = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL"); // P1
});

export interface StartOptions {
  readonly command: string;
  readonly words: readonly string[];
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Up once this says so about everything printed so far. */
  readonly isUp: (printed: string) => boolean | Promise<boolean>;
  readonly upMsMax: number;
}

export interface ServerProcess {
  readonly pid: number;
  printed(): string;
  /** How it ended by itself, with the last it printed; undefined while it runs. */
  ended(): string | undefined;
  /** Ends it: first kindly, then not. */
  stop(): Promise<void>;
  /** As a power cut would. */
  kill(): Promise<void>;
  /** Processor time so far and memory now; undefined where /proc does not tell. */
  usage(): ProcessUsage | undefined;
}

export interface ProcessUsage {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

export async function startServer(options: StartOptions): Promise<ServerProcess> {
  let printed = "";
  const child = spawn(options.command, options.words, {
    cwd: options.folder,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
    ...options.user,
  });
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", (error) => {
      printed += error.message;
      resolve();
    });
  });
  void ended.then(() => running.delete(child));
  const keep = (text: string): void => {
    printed = (printed + text).slice(-PRINTED_BYTES_MAX);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);

  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    child.kill(signal);
    const hard = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(hard);
  };
  const deadline = Date.now() + options.upMsMax;
  while (!(await options.isUp(printed))) {
    const hasEnded = !running.has(child);
    if (hasEnded || Date.now() > deadline) {
      await end("SIGKILL");
      const why = hasEnded
        ? `ended with ${child.exitCode ?? child.signalCode}`
        : `was not up within ${options.upMsMax} ms`;
      throw new Error(`${options.command} ${options.words.join(" ")} ${why}:\n${printed.slice(-2_000)}`); // P2
    }
    await pause(2);
  }
  return {
    pid: child.pid!, // It has come up.
    printed: () => printed,
    ended: () =>
      running.has(child)
        ? undefined
        : `ended with ${child.exitCode ?? child.signalCode}: ${printed.slice(-LAST_WORDS)}`,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    usage: () => usageOf(child.pid!),
  };
}

/** A loopback port that was free a moment ago, for servers that cannot choose one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("No port.")),
      );
    });
    server.once("error", reject);
  });
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Of a process and what it started: PostgreSQL works in children. */
function usageOf(pid: number): ProcessUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // After the name, which may hold spaces.
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .trim()
      .split(" ")
      .filter((id) => id !== "");
    const below = children.map((id) => usageOf(Number(id)) ?? { cpuMs: 0, residentBytes: 0 });
    const sum = (field: keyof ProcessUsage, own: number): number =>
      below.reduce((total, one) => total + one[field], own);
    return {
      cpuMs: sum("cpuMs", ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND),
      residentBytes: sum("residentBytes", Number(resident?.[1] ?? Number.NaN) * 1_024),
    };
  } catch {
    return undefined; // Not Linux, or just ended: these columns stay empty.
  }
}
