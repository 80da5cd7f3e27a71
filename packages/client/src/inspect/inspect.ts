// inspect/inspect.ts: what operators and curious programs see. Not here: asking for it (reads.ts).
import type { Lock, RequestOptions } from "../lock/lock.ts";
import type { Holder } from "../lock/operation.ts";
import type { Eta, Risk } from "./prediction.ts";

export interface Waiter {
  readonly reference: string;
  readonly session: string;
  readonly principal: string;
  readonly mode: Lock["mode"];
  readonly waitedMs: number;
  readonly position: number;
  readonly priority: number;
  readonly silent: boolean;
  readonly client: string;
  /** Absent without a forecast. */
  readonly eta: Eta | undefined;
  readonly risk: Risk | undefined;
}

export interface Why {
  readonly name: string;
  readonly holders: readonly Holder[];
  /** The first 100. */
  readonly waiters: readonly Waiter[];
  readonly waiting: number;
  readonly partition: number;
  /** Of a semaphore; else 0. */
  readonly limit: number;
  /** The same in plain words. */
  readonly sentence: string;
  /** Elements above or below it in its tree that block it. */
  readonly related: readonly string[];
  /** What will happen next and when, in sentences. */
  readonly next: readonly string[];
}

export interface LockInfo {
  readonly name: string;
  readonly holders: readonly Holder[];
  readonly waiting: number;
  readonly limit: number;
  /** How long the first waiter has waited. */
  readonly waitedMs: number;
  /** Waiting done so far by those who wait now, all together. */
  readonly painMs: number;
}

export interface LockList extends RequestOptions {
  readonly prefix?: string;
  readonly after?: string;
  readonly limit?: number;
  /** Only those with waiters whose holder is silent, or that are held longer than `heldMsMin`. */
  readonly stuck?: boolean;
  readonly heldMsMin?: number;
  /** Those with the most waiting first, then the rest by name; `after` is not used then. */
  readonly byPain?: boolean;
}

export interface SessionInfo {
  readonly session: string;
  readonly principal: string;
  readonly client: string;
  readonly ttlMs: number;
  readonly grants: number;
  readonly waits: number;
  readonly silentMs: number;
  readonly partitions: readonly number[];
  readonly waiting: boolean;
  /** How late the client's main loop was at its last heartbeat. */
  readonly lagMs: number;
  /** What kind of work it says it does. */
  readonly application: string;
  /** How it says it is. */
  readonly health: "ok" | "degraded" | "failing";
  /** Standard deviation of the time between heartbeats. */
  readonly jitterMs: number;
  /** 0 to 1: how likely it is that the client is gone, by its silence so far. */
  readonly suspicion: number;
  /** The highest of its contended grants. */
  readonly risk: Risk | undefined;
}

export interface SessionList extends RequestOptions {
  readonly after?: string;
  readonly limit?: number;
}

export interface ServerStatus {
  readonly version: string;
  readonly partitions: number;
  readonly uptimeMs: number;
  readonly sessions: number;
  readonly grants: number;
  readonly waiting: number;
  readonly files: number;
  readonly operations: number;
  readonly durable: boolean;
  /** Why nothing new is accepted; empty while healthy. */
  readonly stopped: string;
  readonly epoch: number;
  readonly connections: number;
  readonly stateHash: string;
  readonly logBytes: number;
}
