// real-server.ts: the real binary as child processes, for end-to-end tests: a server on a free port and a folder of its own, and
// commands against it. The binary is built anew first, so that no test passes on a stale build.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));
const BINARY = join(ROOT, "packages/server/bin/forelock.js");
const START_MS_MAX = 30_000;

/**
 * Compiles what changed of the server; nothing after `npm test`, which has built all. The client must have been bundled.
 * @throws with the compiler's words
 */
export async function build(): Promise<void> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  try {
    await promisify(execFile)(process.execPath, [tsc, "-b", "packages/server"], { cwd: ROOT });
  } catch (error) {
    throw new Error(`The build failed:\n${(error as { readonly stdout?: string }).stdout}`); // Cast: execFile's errors have it.
  }
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command that runs. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  out = "";
  err = "";

  constructor(child: ChildProcess) {
    this.process = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    this.ended = new Promise((resolve) => {
      child.on("close", (code) => resolve({ code, out: this.out, err: this.err }));
    });
  }

  /** Resolves once `find` finds something in what was printed. @throws when it ended, or never printed it */
  async until<Found>(find: (running: Running) => Found | undefined | false): Promise<Found> {
    const untilMs = Date.now() + START_MS_MAX;
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const found = find(this);
      if (found !== undefined && found !== false) return found;
      if (over || Date.now() > untilMs) throw new Error(`Not printed:\n${this.out}\n${this.err}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}

/** Runs `forelock ...argv` without an environment of our own that could change it. */
export function forelock(argv: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Running {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [BINARY, ...argv], { env: { PATH, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {}); // A command that reads nothing has closed it.
  child.stdin.end(input);
  return new Running(child);
}

export class RealServer {
  readonly folder: string;
  readonly address: string;
  readonly running: Running;

  constructor(folder: string, address: string, running: Running) {
    this.folder = folder;
    this.address = address;
    this.running = running;
  }

  static async start(...flags: readonly string[]): Promise<RealServer> {
    const folder = await mkdtemp(join(tmpdir(), "forelock-e2e-"));
    const running = forelock(["serve", "--port", "0", "--data", join(folder, "data"), ...flags]);
    const address = await running.until(({ out }) => /serving on (\S+)/.exec(out)?.[1]);
    await running.until(({ out }) => out.includes("Ctrl-C stops it."));
    return new RealServer(folder, address, running);
  }

  /** A command against this server. */
  run(argv: readonly string[], input = ""): Running {
    return forelock(argv, { FORELOCK_ENDPOINT: this.address }, input);
  }

  /** Gracefully; removes the folder. */
  async stop(): Promise<Ended> {
    this.running.kill("SIGTERM");
    const ended = await this.running.ended;
    await rm(this.folder, { recursive: true, force: true });
    return ended;
  }
}
