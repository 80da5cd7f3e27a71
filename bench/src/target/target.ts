// target/target.ts: what the benchmark asks of each lock service. The server side runs as its own process; the client side is
// opened in the process that drives it (driver/main.ts).

import type { ServerProcess } from "../server-process.ts";

export interface Target {
  readonly name: string;
  /** True when an acquire is answered only after it is on the disk. */
  readonly durable: boolean;
  /** For the footnote of the table: what a cycle of this target is. */
  readonly how: string;
  /** Why it cannot be measured here; undefined when it can. */
  absence(): string | undefined;
  start(folder: string): Promise<StartedTarget>;
}

export interface StartedTarget {
  /** What `openClient` takes: host and port, or a port. */
  readonly endpoint: string;
  readonly version: string;
  readonly server: ServerProcess;
}

/** One client as an application would open it. Any number of acquires may be under way at once. */
export interface LockClient {
  /** Settles when the lock is held. The value is what `release` wants. */
  acquire(name: string): Promise<unknown>;
  release(grant: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/** @param inFlight how many cycles this client will have under way, for those that need a pool */
export type OpenClient = (endpoint: string, inFlight: number) => Promise<LockClient>;
