// client.ts: what `connect` gives: everything a program does with Forelock. The contract; open-client.ts keeps it.

import type { Election, ElectOptions } from "./elect/election.ts";
import type { FileInfo, FileList, GuardedFile } from "./file/file.ts";
import type { ChangeClusterOptions, ClusterChange, ClusterOptions, ClusterReport } from "./inspect/cluster.ts";
import type { LockInfo, LockList, ServerStatus, SessionInfo, SessionList, Why } from "./inspect/inspect.ts";
import type {
  History,
  HistoryOptions,
  Policies,
  PolicyInfo,
  Prediction,
  PredictionOptions,
  Profile,
  SetPolicyOptions,
  WarnOptions,
} from "./inspect/prediction.ts";
import type {
  Lock,
  LockAllOptions,
  LockOptions,
  LockSet,
  LockTarget,
  RequestOptions,
  Semaphore,
  SemaphoreOptions,
  WarningOptions,
} from "./lock/lock.ts";
import type { EnqueueOptions, Operation, RemoteOperation } from "./lock/operation.ts";
import type { SavedSession } from "./options.ts";
import type { WatchEvent } from "./watch/watch.ts";
import type { WebLocks } from "./web-locks/web-locks.ts";

export interface ForceReleaseOptions extends RequestOptions {
  /** 1 to 256 bytes; kept in the log and told to the holder. */
  readonly reason: string;
  /** Only the grant with this token; absent: whoever holds it. */
  readonly token?: bigint;
}

export interface EndSessionOptions extends RequestOptions {
  readonly reason: string;
}

/** What a resumed session had: grants to go on with, and waits still in their queues. */
export interface Held {
  readonly locks: readonly Lock[];
  readonly operations: readonly Operation[];
}

/** Keeps the process alive until it is closed. */
export interface ForelockClient extends AsyncDisposable {
  /**
   * Waits for the lock and gives it.
   * @throws ForelockError `busy` or `timeout` by waitMs, `deadlock`, `unavailable`, `session_expired`, or the signal's reason
   */
  lock(name: string, options?: LockOptions): Promise<Lock>;
  /** The lock if it can be had at once, else undefined. */
  tryLock(name: string, options?: Omit<LockOptions, "waitMs">): Promise<Lock | undefined>;
  /**
   * Runs `work` under the lock. When `work` throws, under `onLoss: "rollback"`, what it appended is undone. After the work of
   * `onWarning` the lock's signal is aborted with `preempted`, and the lock is released when `work` has settled.
   * @throws what `work` throws, or `lock_lost` or `preempted` when the lock was lost while it ran
   */
  withLock<Result>(name: string, work: (lock: Lock) => Promise<Result> | Result): Promise<Result>;
  withLock<Result>(name: string, options: LockOptions, work: (lock: Lock) => Promise<Result> | Result): Promise<Result>;
  /** All of them or none: takes nothing until it can take all. Cannot deadlock with other uses of `lockAll`. */
  lockAll(targets: readonly LockTarget[], options?: LockAllOptions): Promise<LockSet>;
  /** Says nothing to the server yet. */
  semaphore(name: string, options: SemaphoreOptions): Semaphore;
  /** Takes a place in the queue and answers at once. The outcome is remembered for a while, also past this process. */
  enqueue(name: string, options?: EnqueueOptions): Promise<Operation>;
  /** An operation by its reference, whoever started it. Says nothing to the server yet. */
  operation(reference: string): RemoteOperation;
  /** Leader election over a lock. */
  elect(name: string, options?: ElectOptions): Election;
  /** Locks with the interface of the browser's `navigator.locks`. */
  readonly locks: WebLocks;

  /** An append-only file, guarded by the lock of the same name unless said otherwise. Says nothing to the server yet. */
  file(name: string): GuardedFile;
  /** All files whose names begin with `prefix`, in byte order. */
  files(options?: { readonly prefix?: string } & RequestOptions): AsyncIterable<FileInfo>;
  /** One page of them. */
  listFiles(options?: FileList): Promise<{ readonly files: readonly FileInfo[]; readonly more: boolean }>;

  /** Who holds it, who waits, and why. */
  why(name: string, options?: RequestOptions): Promise<Why>;
  status(options?: RequestOptions): Promise<ServerStatus>;
  listLocks(options?: LockList): Promise<{ readonly locks: readonly LockInfo[]; readonly more: boolean }>;
  listSessions(options?: SessionList): Promise<{ readonly sessions: readonly SessionInfo[]; readonly more: boolean }>;
  /** For operators: ends a grant without its holder. */
  forceRelease(
    name: string,
    options: ForceReleaseOptions,
  ): Promise<{ readonly released: readonly bigint[]; readonly undone: number }>;
  /** For operators: ends a session with everything it holds. */
  endSession(session: string, options: EndSessionOptions): Promise<{ readonly grants: number }>;
  /** What the log still remembers of a name; of all names that may be read when it is empty. */
  history(name: string, options?: HistoryOptions): Promise<History>;
  /** For operators: asks the holders to release in time, as a forecast would. Names one warning for each. */
  warn(name: string, options: WarnOptions): Promise<{ readonly warnings: readonly string[] }>;
  /**
   * For operators: changes what is done about forecasts below a prefix, from now on. Empty is the prefix of everything.
   * @param set texts by field, as `policies()` describes them; an empty one takes the field back to the shorter prefix
   */
  setPolicy(prefix: string, set: Readonly<Record<string, string>>, options: SetPolicyOptions): Promise<PolicyInfo>;
  policies(options?: RequestOptions): Promise<Policies>;
  /** What has been seen of one element and of its clients. */
  profile(name: string, options?: RequestOptions): Promise<Profile>;
  /** How good the forecasts are, and what was done on them of late. */
  prediction(options?: PredictionOptions): Promise<Prediction>;
  /** Nodes, partitions, etcd, and what moved of late. A server that runs alone is its one node. */
  cluster(options?: ClusterOptions): Promise<ClusterReport>;
  /**
   * For operators: drains a node, moves a partition. Resolves when the wish is written; `cluster()` tells what follows from it.
   * @returns how many partitions it concerns: those that a drained node owns, 1 for a move unless it is there already, those that
   *   had been moved by hand for a rebalance
   */
  changeCluster(change: ClusterChange, options: ChangeClusterOptions): Promise<{ readonly partitions: number }>;
  /** What happens to a name, or to all names with a prefix (`orders/*`), from now on. Ends when the loop over it ends. */
  watch(pattern: string, options?: RequestOptions): AsyncIterable<WatchEvent>;

  /** To save for `connect({ session })`. Undefined without a session. Another one after the session was lost and replaced. */
  readonly session: SavedSession | undefined;
  /**
   * After `connect({ session: saved })`: what it still holds and waits for. Gives the same locks each time.
   * @param options heeded at the first call
   */
  held(options?: WarningOptions): Held;
  /** Ends the session, releasing all locks, and the connections. Idempotent. */
  close(): Promise<void>;
  /** Ends the connections, and leaves the session, which lives for its ttl, to be resumed by another process. */
  detach(): Promise<SavedSession | undefined>;
}
