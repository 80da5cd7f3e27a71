// io.ts: everything a command touches outside its own memory, so that tests can hand it fakes. main.ts makes the real one.
import type { Readable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { TextStream } from "./output.ts";
import type { ConnectRemote } from "./remote.ts";
import type { Serve } from "./serve.ts";

export interface InputStream extends Readable {
  readonly isTTY?: boolean | undefined;
}

/** A child process that shares our terminal. */
export interface Child {
  /** Resolves once when it has ended. @throws NodeJS.ErrnoException, ENOENT or EACCES, when it could not be started */
  readonly ended: Promise<ChildEnd>;
  kill(signal: NodeJS.Signals): void;
}

export interface ChildEnd {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface SpawnWish {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What stops a command from outside. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** For people who list sessions. */
  readonly host: string;
  /** Of this package. */
  readonly version: string;
  readonly connect: ConnectRemote;
  readonly serve: Serve;
  spawn(wish: SpawnWish): Child;
  /** @throws NodeJS.ErrnoException */
  readFile(path: string): Promise<string>;
  /** While listened to, the process does not end by these signals. Returns a function that ends it. */
  onStop(listener: (signal: StopSignal) => void): () => void;
}

export const STOP_SIGNAL_NUMBERS: Readonly<Record<StopSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
