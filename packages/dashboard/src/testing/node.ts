// node.ts: a real server for tests of the dashboard: the built binary, a folder of its own, a port that it keeps over restarts.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const START_MS_MAX = 30_000;

/** Brings all, or the dashboard only, up to date; quick when they are. @throws with the compiler's words */
export async function build(what: "build" | "pages"): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [join(ROOT, "scripts/run.mjs"), what], { cwd: ROOT });
  } catch (error) {
    throw new Error(`The build failed:\n${(error as { readonly stderr?: string }).stderr}`); // Cast: execFile's errors have it.
  }
}

export class RealNode implements AsyncDisposable {
  readonly #folder: string;
  readonly #flags: readonly string[];
  #child: ChildProcess | undefined;
  /** `host:port` */
  address = "";
  /** What it printed. */
  out = "";

  private constructor(folder: string, flags: readonly string[]) {
    this.#folder = folder;
    this.#flags = flags;
  }

  static async start(...flags: readonly string[]): Promise<RealNode> {
    const node = new RealNode(await mkdtemp(join(tmpdir(), "forelock-dashboard-")), flags);
    await node.start();
    return node;
  }

  get url(): string {
    return `http://${this.address}/`;
  }

  /** Again on the same port, with the same data. */
  async start(): Promise<void> {
    const port = this.address.split(":").at(-1) || "0";
    const argv = [
      "packages/server/bin/forelock.js",
      "serve",
      "--port",
      port,
      "--data",
      join(this.#folder, "data"),
      ...this.#flags,
    ];
    const { PATH = "" } = process.env;
    const child = spawn(process.execPath, argv, { cwd: ROOT, env: { PATH }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.out = "";
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`It did not start:\n${this.out}\n${err}`)), START_MS_MAX);
      child.stdout.on("data", (chunk: Buffer) => {
        this.out += chunk.toString();
        const found = /serving on (\S+)/.exec(this.out)?.[1];
        if (found === undefined || !this.out.includes("Ctrl-C stops it.")) return;
        this.address = found;
        clearTimeout(timer);
        resolve();
      });
      child.once("exit", () => reject(new Error(`It ended:\n${this.out}\n${err}`)));
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
