// etcd.ts: what Forelock needs of etcd, behind an interface of our own. Implementations: grpc.ts (real members), memory.ts (an
// in-process store with the same rules, for tests and the simulator). Both run the one suite in contract.ts. Not here: keys and
// what they mean (log/etcd/, cluster/).
//   T1. A transaction happens at one revision, whole or not at all; revisions only rise, by one per transaction that changes something.
//   T2. A range without `stale` is linearizable: it sees everything that was acknowledged to anyone before it was asked for.
//   T3. A watch delivers every change from its first revision on, in order of revisions, each once, all changes of one revision
//       in one batch; or it ends with an error. It never skips.
//   T4. An error says whether the request can have happened: only `outcome_unknown` leaves that open.

export interface Etcd {
  /** One range at one revision. Rejects with `unavailable`, never with `outcome_unknown`: a read has no outcome. */
  range(request: RangeRequest, options?: CallOptions): Promise<RangeAnswer>;

  /** All compares hold: `success`, else `failure`. No key may be put or deleted twice in one branch. */
  txn(request: TxnRequest, options?: CallOptions): Promise<TxnAnswer>;

  /**
   * Changes from a revision on, in batches, until the signal is aborted (the iteration then simply ends). Ends with an EtcdError
   * otherwise: `compacted` when the revision is gone (read anew, then watch from there), `unavailable` when the connection broke,
   * the member lost its leader or the consumer was too slow (watch again after the last revision seen).
   */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch>;

  /** A lease ends by itself `ttlSeconds` after its last keep-alive; keys put under it are then deleted. */
  leaseGrant(request: LeaseRequest, options?: CallOptions): Promise<LeaseAnswer>;

  /** `ttlSeconds` is 0 when the lease is gone. */
  leaseKeepAlive(id: LeaseId, options?: CallOptions): Promise<LeaseAnswer>;

  /** Deletes the lease and its keys. Resolves also when it is gone already. */
  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void>;

  /** Forgets the values that were replaced before `revision`. `compacted` when that was done already, `refused` for a future one. */
  compact(revision: number, options?: CallOptions): Promise<void>;

  /** Of each endpoint that answers, in the order of `endpoints`. `unavailable` when none does. */
  status(options?: CallOptions): Promise<readonly MemberStatus[]>;

  /** Empty when all is well. */
  alarms(options?: CallOptions): Promise<readonly MemberAlarm[]>;

  /** Ends watches and refuses everything from now on with `closed`; a transaction in flight ends as `outcome_unknown`. Idempotent. */
  close(): Promise<void>;
}

/** 64 bits: etcd draws them at random, past what a number holds. */
export type LeaseId = bigint;
export const NO_LEASE: LeaseId = 0n;

export interface CallOptions {
  /** How long to wait for the answer, all retries on other endpoints included. Default: that of the client. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the first put since the key was absent. */
  readonly createRevision: number;
  /** Revision of the last put. */
  readonly modRevision: number;
  /** Puts since the key was absent; 1 after the first. */
  readonly version: number;
  /** `NO_LEASE` without one. */
  readonly lease: LeaseId;
}

export interface RangeRequest {
  readonly key: string;
  /** Exclusive end of the range; without it just `key`. `prefixEnd(key)` for all keys that begin with `key`. */
  readonly end?: string;
  /** Entries at most; `more` then tells whether there were others. */
  readonly limit?: number;
  /** As it was at this revision; default: the newest. Rejects with `compacted` when that is forgotten. */
  readonly revision?: number;
  readonly keysOnly?: boolean;
  /** Only `count`, no entries. */
  readonly countOnly?: boolean;
  /** Highest key first. The member sorts the whole range for it, whatever the limit. */
  readonly isDescending?: boolean;
  /** What the member that is asked has, which may be old. Cheaper, and answered without a leader. */
  readonly stale?: boolean;
}

export interface RangeAnswer {
  /** Of the store when it answered. */
  readonly revision: number;
  /** In order of the keys' bytes. */
  readonly entries: readonly KeyValue[];
  readonly more: boolean;
  /** Keys in the range, whatever the limit. */
  readonly count: number;
}

/** An absent key has version, create, mod and lease 0; it fails every compare of `value`. */
export type Compare =
  | { readonly key: string; readonly target: "version" | "create" | "mod"; readonly is: Relation; readonly to: number }
  | { readonly key: string; readonly target: "lease"; readonly is: Relation; readonly to: LeaseId }
  | { readonly key: string; readonly target: "value"; readonly is: Relation; readonly to: Uint8Array };

export type Relation = "equal" | "not_equal" | "greater" | "less";

export type TxnOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array; readonly lease?: LeaseId }
  | { readonly kind: "delete"; readonly key: string; readonly end?: string }
  | ({ readonly kind: "range" } & RangeRequest);

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly TxnOperation[];
  readonly failure?: readonly TxnOperation[];
}

export interface TxnAnswer {
  readonly succeeded: boolean;
  /** Of the transaction when it changed something, else of the store when it answered. */
  readonly revision: number;
  /** One for each operation of the branch taken. */
  readonly answers: readonly OperationAnswer[];
}

export type OperationAnswer =
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number }
  | ({ readonly kind: "range" } & RangeAnswer);

export interface WatchRequest {
  readonly key: string;
  readonly end?: string;
  /** The first revision to deliver: one above what the caller has. */
  readonly from: number;
}

export interface WatchBatch {
  /** Everything up to and including this revision has been delivered with this batch. */
  readonly revision: number;
  /** In order; empty when the batch only tells how far the watch is. */
  readonly events: readonly WatchEvent[];
}

export type WatchEvent =
  | { readonly kind: "put"; readonly entry: KeyValue }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: number };

export interface LeaseRequest {
  /** 1 or more. Members may raise it: at least one and a half election timeouts. */
  readonly ttlSeconds: number;
}

export interface LeaseAnswer {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

export interface MemberStatus {
  readonly endpoint: string;
  readonly memberId: string;
  /** Such as "3.5.21". */
  readonly version: string;
  readonly dbBytes: number;
  /** What would be left of `dbBytes` after a defragmentation. */
  readonly dbInUseBytes: number;
  /** Its quota as it tells it; 0 where it does not (before 3.6). */
  readonly quotaBytes: number;
  readonly isLeader: boolean;
  readonly hasLeader: boolean;
  readonly isLearner: boolean;
  readonly raftTerm: number;
  readonly raftIndex: number;
  /** What the member itself complains of. */
  readonly errors: readonly string[];
}

export interface MemberAlarm {
  readonly memberId: string;
  readonly kind: "no_space" | "corrupt";
}

/**
 * `unavailable`: certainly not done; try again. `outcome_unknown`: done, not done, or done later yet: read before anything else.
 * `no_space`: the quota is reached, not done. `compacted`: the revision is forgotten. `refused`: the request itself is wrong or not
 * allowed, not done. `closed`: this client was closed, not done.
 */
export type EtcdErrorKind = "unavailable" | "outcome_unknown" | "no_space" | "compacted" | "refused" | "closed";

export class EtcdError extends Error {
  override readonly name = "EtcdError";
  readonly kind: EtcdErrorKind;
  /** With `compacted`: the lowest revision that is still known, where the member told it. */
  readonly compactRevision: number | undefined;

  constructor(
    kind: EtcdErrorKind,
    message: string,
    options: ErrorOptions & { readonly compactRevision?: number } = {},
  ) {
    super(`etcd: ${message}`, options);
    this.kind = kind;
    this.compactRevision = options.compactRevision;
  }
}

export function isEtcdError(error: unknown, kind?: EtcdErrorKind): error is EtcdError {
  return error instanceof EtcdError && (kind === undefined || error.kind === kind);
}

/** Limits of a member with default settings. A request past them is `refused`. */
export const TXN_OPERATIONS_MAX = 128;
export const REQUEST_BYTES_MAX = 1_572_864;

/** The end of the range of all keys that begin with `prefix`. */
export function prefixEnd(prefix: string): string {
  const last = prefix.codePointAt(prefix.length - 1);
  if (last === undefined || last >= 0x7f) throw new RangeError("a prefix ends with an ASCII character");
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** A revision as a number; etcd counts in 64 bits, and past 2^53 numbers would silently be others. */
export function safeRevision(revision: bigint): number {
  const number = Number(revision);
  if (!Number.isSafeInteger(number)) throw new RangeError(`revision ${revision} is past 2^53`);
  return number;
}
