// children.ts: the processes of a cluster on one machine: started, their lines shown with a name before each, stopped.
//   C1. They are groups of their own: Ctrl-C in the terminal reaches this process alone, which stops them in order.
//   C2. None outlives this process, but for a SIGKILL of it.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { ROOT } from "../workspace.ts";

const COLOURS = [36, 32, 35, 33, 34, 31];
/** Shown when a child ends while all are being started. */
const LAST_LINES = 5;

export class Children {
  readonly #running = new Map<string, ChildProcess>();
  readonly #failing = new AbortController();
  readonly #colours = new Map<string, number>();
  #isStarting = true;
  #isStopping = false;
  /** What to say of the child that ended while all were being started. */
  failure: string | undefined;

  constructor() {
    process.on("exit", () => {
      for (const child of this.#running.values()) child.kill("SIGKILL"); // C2
    });
  }

  /** Aborts when a child ends before `settled` was called. */
  get failed(): AbortSignal {
    return this.#failing.signal;
  }

  /** Everything serves: whoever ends now is told, and nothing else follows from it. */
  settled(): void {
    this.#isStarting = false;
  }

  start(name: string, command: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    // C1
    const child = spawn(command, argv, {
      ...{ cwd: ROOT, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "ignore", "pipe"] },
    });
    const last: string[] = [];
    this.#running.set(name, child);
    createInterface({ input: child.stderr }).on("line", (line) => {
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
      this.#show(name, line);
    });
    child.once("error", (error) => this.#ended(name, child, error.message, last));
    child.once("exit", (code, signal) => this.#ended(name, child, String(signal ?? code), last));
    if (!this.#isStarting) this.#show(name, "starts again");
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  pidOf(name: string): number | undefined {
    return this.#running.get(name)?.pid;
  }

  /** Resolves when they have ended: by themselves, or killed after `boundMs`. */
  async stop(names: readonly string[], boundMs: number): Promise<void> {
    this.#isStopping = true;
    const children = names.flatMap((name) => this.#running.get(name) ?? []);
    const ends = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of children) child.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const child of children) child.kill("SIGKILL");
    }, boundMs);
    await Promise.all(ends);
    clearTimeout(timer);
  }

  #ended(name: string, child: ChildProcess, how: string, last: readonly string[]): void {
    if (this.#running.get(name) !== child) return;
    this.#running.delete(name);
    if (this.#isStopping) return;
    if (!this.#isStarting) return this.#show(name, `ended (${how})`);
    this.failure ??= [`${name} ended (${how}) before the cluster served; its last lines:`, ...last].join("\n  ");
    this.#failing.abort();
  }

  #show(name: string, line: string): void {
    const colour = this.#colours.get(name) ?? COLOURS[this.#colours.size % COLOURS.length] ?? 0;
    this.#colours.set(name, colour);
    const prefix = `[${name}]`.padEnd(8);
    process.stderr.write(
      process.stderr.isTTY ? `\u001b[${colour}m${prefix}\u001b[0m ${line}\n` : `${prefix} ${line}\n`,
    );
  }
}
