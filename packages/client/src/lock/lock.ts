// lock/lock.ts: a lock as its holder sees it. Not here: how it is got (../client.ts), how it is kept (held-lock.ts).
import type { OnWarning, Warning } from "../warning/warning.ts";

/** Everything that talks to the server takes a signal: it ends the waiting, with the signal's reason. */
export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export type LockMode = "exclusive" | "shared";

export interface WaitOptions extends RequestOptions {
  /** Gives up after this long, with `timeout`. 0: only if it can be had at once, else `busy`. Absent: waits without limit. */
  readonly waitMs?: number;
}

export interface WarningOptions {
  /**
   * Called when the lock, or the request while it waits, is in the way of others: save your work and let go. The client acknowledges
   * for you, and releases when what this returns, or gives to `warning.waitUntil`, has settled. Absent: warnings are not acknowledged,
   * which operators see, and where they are enforced `signal` is aborted shortly before the release is forced.
   */
  readonly onWarning?: OnWarning;
}

/** Called by the server when the grant is lost to expiry, force or pre-emption, until it was answered or the retries end. */
export interface Compensation {
  /** POSTed to. Its origin and path must be in the server's setting `compensation.allow`. At most 1,024 bytes. */
  readonly url: string;
  /** Handed back in the body as it is. At most 1,024 bytes. */
  readonly argument?: string;
  /** Nobody else is granted before the call was answered, or its retries ended. Default false. */
  readonly blocks?: boolean;
}

export interface PreemptionOptions extends WarningOptions {
  /** `never`: not to be pre-empted, where the policy of the name lets a request say so; `preemption_required` where not. */
  readonly preemptible?: "never";
  readonly compensation?: Compensation;
}

export interface LockOptions extends WaitOptions, PreemptionOptions {
  /** Default `exclusive`. */
  readonly mode?: LockMode;
  /** 0 (default) to 9: higher goes first, within a bound that keeps the others from starving. */
  readonly priority?: number;
  /**
   * What becomes of appends made under the lock when it is lost by expiry or force: they stay (`keep`, the default), or are
   * undone before the next grant (`rollback`).
   */
  readonly onLoss?: "keep" | "rollback";
  /** Who waits, for finding deadlocks, when one client serves several independent tasks. Default: the client as a whole. */
  readonly actor?: string;
}

export interface ReleaseOptions extends RequestOptions {
  /** Undo the appends made under the lock instead of committing them. Needs `onLoss: "rollback"`. */
  readonly undo?: boolean;
}

export interface Released {
  /** Appends that were undone: those made under the grant, when the release asked to undo them and was its last. */
  readonly undone: number;
}

export interface Lock extends AsyncDisposable {
  readonly name: string;
  readonly mode: LockMode | "permit";
  /** The fencing token: rises with every grant of this name. Pass it to whatever the lock guards. Changed by upgrade and downgrade. */
  readonly token: bigint;
  /** Names the operation that got the lock, as in `client.operation(reference)`. */
  readonly reference: string;
  /** Aborted, with a ForelockError as its reason, as soon as the lock cannot be relied on: lost, or its safe time has passed. */
  readonly signal: AbortSignal;
  /** False once it was released or lost. Only a hint for code that cannot take a signal: the token is what guards. */
  readonly held: boolean;
  /**
   * Milliseconds for which it can be relied on if no further heartbeat is answered, on a monotonic clock: 0 once it was released or
   * lost. Heartbeats put it back to nearly the session's ttl, so that it falls only while the server is not heard; and while a warning
   * that is enforced counts down.
   */
  readonly safeMs: number;
  /** The warning that counts down, if there is one: also of a lock that was warned while it was waited for. */
  readonly warning: Warning | undefined;
  /** False when the server answers before its disk has what it answers (`durability: relaxed`). */
  readonly durable: boolean;
  /**
   * Ends the grant, once; called again, gives the same promise. After the client released it for you, because the work of `onWarning`
   * was done, it says what that release did.
   * @throws ForelockError `lock_lost`, or `preempted` at the end of a countdown, when the lock had been lost before: what it guarded may
   *   have been touched by others.
   */
  release(options?: ReleaseOptions): Promise<Released>;
  /** From shared to exclusive, waiting for other holders to leave; shared meanwhile. Of two upgraders one gets `deadlock`. */
  upgrade(options?: WaitOptions): Promise<void>;
  /** From exclusive to shared, at once. Commits what was appended. */
  downgrade(options?: RequestOptions): Promise<void>;
  /** Enters the same grant again: same token, and a release of its own. The last release ends the grant. */
  reenter(options?: RequestOptions): Promise<Lock>;
  /** Releases. Rejects with `lock_lost` or `preempted` only if nobody asked for `signal`, which tells the same. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Several locks taken together. */
export interface LockSet extends AsyncDisposable {
  /** In the order asked for. */
  readonly locks: readonly Lock[];
  /** Aborted when any of them is lost. */
  readonly signal: AbortSignal;
  /** @throws ForelockError `lock_lost` when any of them had been lost; the others are released. */
  release(options?: ReleaseOptions): Promise<Released>;
}

/** One of several to take together: a name, or how to take it. */
export type LockTarget =
  | string
  | { readonly name: string; readonly mode?: LockMode }
  | { readonly name: string; readonly permits: number; readonly take?: number };

/** `onWarning` is called for each of the locks that is warned, and that one is released after it. */
export interface LockAllOptions extends WaitOptions, WarningOptions {
  readonly onLoss?: "keep" | "rollback";
  readonly actor?: string;
}

export interface SemaphoreOptions {
  /** How many permits there are, 1 to 1,000,000. All users of the semaphore must say the same. */
  readonly permits: number;
}

export interface PermitOptions extends WaitOptions, PreemptionOptions {
  /** How many permits to take. Default 1. */
  readonly take?: number;
  readonly priority?: number;
  readonly actor?: string;
}

/** At most `permits` are taken at once. */
export interface Semaphore {
  readonly name: string;
  readonly permits: number;
  acquire(options?: PermitOptions): Promise<Lock>;
  /** Undefined when there are not enough permits now. */
  tryAcquire(options?: Omit<PermitOptions, "waitMs">): Promise<Lock | undefined>;
}
