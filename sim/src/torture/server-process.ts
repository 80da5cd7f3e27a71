// server-process.ts: the real server as a process: started on a free port, killed, stopped and continued; never left behind.
import { type ChildProcess, spawn } from "node:child_process";
import { type Clock, pause } from "../proxy/clock.ts";

export interface ServerCommand {
  /** Of the executable script of the server. */
  readonly script: string;
  readonly dataFolder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Flags after `serve --port 0 --data DIR`. */
  readonly flags: readonly string[];
}

export interface RunningServer {
  readonly port: number;
  readonly pid: number;
  /** How long it took until the address was printed. */
  readonly startMs: number;
}

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;
/** Of what the server said last, kept for the report of a failure. */
const OUTPUT_CHARACTERS_MAX = 8_000;
const ADDRESS = /(?:127\.0\.0\.1|localhost):(\d+)/;

export class ServerProcess {
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #output = "";
  /** How the last process ended by itself; undefined while it runs or when it was killed. */
  exit: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  get output(): string {
    return this.#output;
  }

  /** @throws when it ends, or does not print its address in time */
  async start({ script, dataFolder, environment, flags }: ServerCommand): Promise<RunningServer> {
    const startedMs = this.#clock.monotonicMs();
    const child = spawn(process.execPath, [script, "serve", "--port", "0", "--data", dataFolder, ...flags], {
      env: { ...process.env, NO_COLOR: "1", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#output = "";
    this.exit = undefined;
    child.on("exit", (code, signal) => {
      if (signal !== "SIGKILL" && this.#child === child) this.exit = `ended with ${signal ?? code}`;
    });
    child.on("error", (error) => this.#say(String(error)));
    child.stdout.on("data", (bytes: Buffer) => this.#say(bytes.toString()));
    child.stderr.on("data", (bytes: Buffer) => this.#say(bytes.toString()));
    for (;;) {
      const port = ADDRESS.exec(this.#output)?.[1];
      const startMs = this.#clock.monotonicMs() - startedMs;
      if (port !== undefined && child.pid !== undefined) return { port: Number(port), pid: child.pid, startMs };
      const hasEnded = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
      if (hasEnded || startMs > START_MS_MAX) {
        const why = hasEnded ? (this.exit ?? "it was killed") : `printed no address within ${START_MS_MAX} ms`;
        if (this.#child === child) await this.kill();
        throw new Error(`the server did not start: ${why}\n${this.#output}`);
      }
      await pause(this.#clock, 5);
    }
  }

  /** kill -9, also when it is stopped. Resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** As an operator stops it. @returns false when it had to be killed in the end */
  async stop(): Promise<boolean> {
    const isGraceful = await this.#end("SIGTERM");
    if (!isGraceful) await this.#end("SIGKILL");
    return isGraceful;
  }

  /** SIGSTOP: everything stands still, and sockets stay open. */
  freeze(): void {
    if (this.pid !== undefined) this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    if (this.pid !== undefined) this.#child?.kill("SIGCONT");
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<boolean> {
    const child = this.#child;
    if (child === undefined || this.pid === undefined) return true;
    const gone = new Promise<boolean>((resolve) => child.once("exit", () => resolve(true)));
    child.kill(signal);
    return Promise.race([gone, pause(this.#clock, STOP_MS_MAX).then(() => false)]);
  }

  #say(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS_MAX);
  }
}
