// child.ts: a process of the run: started, killed, stopped and continued; never left behind. Not here: when it is ready
// (server-process.ts, cluster/member.ts).
import { type ChildProcess, spawn } from "node:child_process";
import { type Clock, pause } from "../proxy/clock.ts";

export interface ChildCommand {
  readonly program: string;
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const STOP_MS_MAX = 10_000;
/** Of what it said last, kept for the report of a failure. */
const OUTPUT_CHARACTERS_MAX = 8_000;

/** Whoever ends this process otherwise than by a SIGKILL ends them all. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Child {
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #output = "";
  /** How the last process ended by itself; undefined while it runs or when it was killed. */
  exit: string | undefined;
  /** Told of all that it prints. */
  onSaid: ((text: string) => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  /** Since it was started last. */
  get output(): string {
    return this.#output;
  }

  start({ program, words, environment = {} }: ChildCommand): void {
    const child = spawn(program, words, {
      env: { ...process.env, NO_COLOR: "1", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // Ctrl-C in a terminal reaches this process alone, which ends them in order.
    });
    this.#child = child;
    this.#output = "";
    this.exit = undefined;
    running.add(child);
    child.on("exit", (code, signal) => {
      running.delete(child);
      if (signal !== "SIGKILL" && this.#child === child) this.exit = `ended with ${signal ?? code}`;
    });
    child.on("error", (error) => this.#say(String(error)));
    child.stdout.on("data", (bytes: Buffer) => this.#say(bytes.toString()));
    child.stderr.on("data", (bytes: Buffer) => this.#say(bytes.toString()));
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
    this.onSaid?.(text);
    this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS_MAX);
  }
}
