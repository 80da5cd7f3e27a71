// warning/warning.ts: a warning of pre-emption as a holder sees it, and what it can do about it. Not here: how it comes and what
// follows from it (received-warning.ts).
import type { RiskPart } from "../inspect/prediction.ts";
import type { Released } from "../lock/lock.ts";

/** What became of a request for more time. */
export interface Extension {
  readonly granted: boolean;
  /** What is left of the countdown now. */
  readonly countdownMs: number;
  /** Why it was refused; empty when it was granted. */
  readonly reason: string;
}

/**
 * A lock, or a request that still waits for one, is in the way of others. The client has acknowledged it: the lock will be given back
 * before the countdown ends. What it tells of time, token and state is as it is when it is read.
 */
export interface Warning {
  /** The same in the server's log and history. */
  readonly id: string;
  readonly name: string;
  /** Of the operation that asked for the lock. */
  readonly reference: string;
  /** 0n while it waits. */
  readonly token: bigint;
  /** It still waits: its countdown begins, in full, when it is granted. */
  readonly isPending: boolean;
  /** In a sentence. */
  readonly reason: string;
  /** 0 to 1. */
  readonly score: number;
  /** What the score is made of. */
  readonly parts: readonly RiskPart[];
  /** Milliseconds until the release is forced, on a monotonic clock; 0 when it is over. While it waits: what it will have. */
  readonly countdownMs: number;
  /** The same by this machine's wall clock, for people. */
  readonly releaseAt: Date;
  /** False where the policy only warns: nothing is forced at the end of the countdown, and the signal is not aborted. */
  readonly enforced: boolean;
  /**
   * Work to be done before the lock is given back. When all of it has settled, and what the callback returned too, the client aborts
   * the lock's signal with `preempted` and releases: undoing, under `onLoss: "rollback"`, when some of it failed. May be called again
   * until then, and has no effect afterwards.
   */
  waitUntil(work: PromiseLike<unknown>): void;
  /**
   * Asks for more time, which the server judges by its forecast and a budget. When it is granted the client does not release when the
   * callback's work is done: that is the holder's affair again.
   * @param ms 1 to 86,400,000, beyond the end of the countdown
   * @param reason 1 to 256 bytes; kept in the log
   * @throws ForelockError `bad_argument`, or what a request can meet
   */
  extend(ms: number, reason: string): Promise<Extension>;
  /** Gives the lock back now, as the end of the callback's work does; a request that waits leaves its queue with `preempted`. */
  release(): Promise<Released>;
}

/**
 * Called once for each warning, however often it is repeated. What it returns counts as given to `waitUntil`. One that returns no
 * promise, and gives none, is told and no more: the lock stays with its holder, who has the countdown to release it. What it throws
 * is reported as an uncaught exception.
 */
export type OnWarning = (warning: Warning) => unknown;
