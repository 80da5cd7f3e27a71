// fake-io.ts: CliIo for tests: streams in memory, a manual clock, children and signals on demand.
import { PassThrough } from "node:stream";
import type { Clock } from "../../clock.ts";
import { runCli } from "../cli.ts";
import type { Child, ChildEnd, CliIo, SpawnWish, StopSignal } from "../io.ts";
import type { Serve } from "../serve.ts";
import { FakeServer } from "./fake-server.ts";

export interface FakeChild {
  readonly wish: SpawnWish;
  readonly signals: NodeJS.Signals[];
  exit(code: number): void;
  die(signal: NodeJS.Signals): void;
  fail(code: string): void;
}

/** One command line against one server. */
export class FakeTerminal {
  readonly server = new FakeServer();
  readonly stdin = new PassThrough();
  readonly children: FakeChild[] = [];
  readonly env: Record<string, string | undefined> = {};
  readonly texts = new Map<string, string>();
  /** Decides how a child behaves as soon as it runs. */
  onChild: (child: FakeChild) => void = () => {};
  onServe: Serve = () => Promise.reject(new Error("no server in this test"));
  /** Whether output goes to a terminal. */
  isTerminal = false;
  /** Of that terminal. */
  columns = 80;
  out = "";
  err = "";
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  readonly #stops = new Set<(signal: StopSignal) => void>();

  /** Runs `forelock ...argv`. */
  run(...argv: readonly string[]): Promise<number> {
    return runCli(argv, this.io());
  }

  /** Runs it with this on stdin. */
  feed(input: string | Uint8Array, ...argv: readonly string[]): Promise<number> {
    this.stdin.end(input);
    return this.run(...argv);
  }

  io(): CliIo {
    return {
      stdin: this.stdin,
      stdout: this.#stream((text) => {
        this.out += text;
      }),
      stderr: this.#stream((text) => {
        this.err += text;
      }),
      env: this.env,
      clock: this.clock,
      host: "test",
      version: "0.1.0",
      connect: this.server.connect,
      serve: (settings, io) => this.onServe(settings, io),
      spawn: (wish) => this.#spawn(wish),
      readFile: async (path) => {
        const text = this.texts.get(path);
        if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
        return text;
      },
      onStop: (listener) => {
        this.#stops.add(listener);
        return () => this.#stops.delete(listener);
      },
    };
  }

  /** Sends a signal to the command. */
  stop(signal: StopSignal): void {
    for (const listener of [...this.#stops]) listener(signal);
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#nowMs = next.atMs;
      this.#timers.delete(next);
      next.fire();
    }
    this.#nowMs = endMs;
  }

  /** Lets everything that waits for nothing but promises and streams go on. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  readonly clock: Clock = {
    wallMs: () => Date.UTC(2026, 0, 1) + this.#nowMs,
    monotonicMs: () => this.#nowMs,
    after: (delayMs, fire) => {
      const timer = { atMs: this.#nowMs + delayMs, fire };
      this.#timers.add(timer);
      return { dispose: () => this.#timers.delete(timer) };
    },
  };

  #stream(append: (text: string) => void): PassThrough {
    const stream = Object.assign(new PassThrough(), { isTTY: this.isTerminal, columns: this.columns });
    stream.on("data", (chunk: Buffer) => append(chunk.toString()));
    return stream;
  }

  #spawn(wish: SpawnWish): Child {
    let resolve: (end: ChildEnd) => void = () => {};
    let reject: (error: Error) => void = () => {};
    const ended = new Promise<ChildEnd>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    const signals: NodeJS.Signals[] = [];
    const child: FakeChild = {
      wish,
      signals,
      exit: (code) => resolve({ code, signal: undefined }),
      die: (signal) => resolve({ code: undefined, signal }),
      fail: (code) => reject(Object.assign(new Error(code), { code })),
    };
    this.children.push(child);
    queueMicrotask(() => this.onChild(child));
    return { ended, kill: (signal) => signals.push(signal) };
  }
}
