// store.ts: MemoryEtcdStore, what the members of a cluster agree on, in one process: keys with their history, revisions, leases,
// compaction, quota. Everything happens at once and in order; MemoryEtcd (memory.ts) puts the network in between.
//   S1. One revision per transaction that puts or deletes anything; the first is 2, as with etcd.
//   S2. A failed request changes nothing.
import type { Clock, Timer } from "../clock.ts";
import {
  type Compare,
  EtcdError,
  type KeyValue,
  type LeaseAnswer,
  type LeaseId,
  type MemberAlarm,
  NO_LEASE,
  type OperationAnswer,
  type RangeAnswer,
  type RangeRequest,
  REQUEST_BYTES_MAX,
  TXN_OPERATIONS_MAX,
  type TxnAnswer,
  type TxnOperation,
  type TxnRequest,
  type WatchEvent,
} from "./etcd.ts";
import { compareKeys, isInRange, KeyIndex } from "./key-index.ts";

export interface MemoryEtcdStoreOptions {
  readonly clock: Clock;
  /** As a member's `--quota-backend-bytes`. Default: 2 GiB, as etcd has. */
  readonly quotaBytes?: number;
  /** What members say they run. Default: "3.5.21". */
  readonly version?: string;
}

/** Changes of one revision, in order of their keys' operations. */
export interface Change {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

/** One put or delete of a key; `value` is undefined for a delete. */
interface Version {
  readonly revision: number;
  readonly entry: KeyValue | undefined;
}

interface Lease {
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  timer: Timer;
}

/** What a page of etcd's file holds beside key and value. */
const VERSION_OVERHEAD_BYTES = 64;

export class MemoryEtcdStore {
  readonly clock: Clock;
  readonly version: string;
  readonly quotaBytes: number;
  readonly #index = new KeyIndex();
  readonly #versionsByKey = new Map<string, Version[]>();
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #listeners = new Set<() => void>();
  /** Of all revisions above `#compactRevision`, in order and without a gap. */
  #changes: Change[] = [];
  #changesFrom = 2;
  #revision = 1;
  #compactRevision = 0;
  #nextLease = 0x7587_0000_0000_0001n;
  #inUseBytes = 0;
  #fileBytes = 0;
  #isFull = false;

  constructor(options: MemoryEtcdStoreOptions) {
    this.clock = options.clock;
    this.version = options.version ?? "3.5.21";
    this.quotaBytes = options.quotaBytes ?? 2 * 1024 ** 3;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactRevision(): number {
    return this.#compactRevision;
  }

  /** The file never shrinks but by `defragment`. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  get inUseBytes(): number {
    return this.#inUseBytes;
  }

  get alarms(): readonly MemberAlarm[] {
    return this.#isFull ? [{ memberId: "1", kind: "no_space" }] : [];
  }

  /** Called after every revision. */
  onChange(listener: () => void): Timer {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  range(request: RangeRequest): RangeAnswer {
    const revision = request.revision ?? this.#revision;
    if (revision > this.#revision) throw new EtcdError("refused", "the required revision is a future revision");
    if (revision < this.#compactRevision) throw this.#compacted();
    const found = this.#index
      .range(request.key, request.end)
      .map((key) => this.#at(key, revision))
      .filter((entry) => entry !== undefined);
    if (request.isDescending) found.reverse();
    const limit = request.countOnly ? 0 : (request.limit ?? 0) || found.length;
    const entries = found.slice(0, limit);
    return {
      revision: this.#revision,
      entries: request.keysOnly ? entries.map((entry) => ({ ...entry, value: new Uint8Array(0) })) : entries,
      more: !request.countOnly && found.length > entries.length,
      count: found.length,
    };
  }

  txn(request: TxnRequest): TxnAnswer {
    const { compare, success, failure = [] } = request;
    this.#validate(request);
    const succeeded = compare.every((one) => this.#holds(one));
    const operations = succeeded ? success : failure;
    for (const operation of operations) this.#refuseBadOperation(operation);
    const events = new Map<string, WatchEvent>();
    const next = this.#revision + 1;
    const answers = operations.map((operation) => this.#run(operation, next, events));
    if (events.size > 0) this.#commit(next, [...events.values()]);
    return { succeeded, revision: this.#revision, answers };
  }

  /** Every change from `revision` on; throws `compacted` when some are forgotten. */
  changesFrom(revision: number): readonly Change[] {
    if (revision < this.#compactRevision) throw this.#compacted();
    return this.#changes.slice(Math.max(0, revision - this.#changesFrom));
  }

  leaseGrant(ttlSeconds: number): LeaseAnswer {
    if (this.#isFull) throw noSpace();
    if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1)
      throw new EtcdError("refused", "a lease lasts 1 s or more");
    const id = this.#nextLease++;
    this.#leases.set(id, { ttlSeconds, keys: new Set(), timer: this.#expiry(id, ttlSeconds) });
    return { id, ttlSeconds };
  }

  leaseKeepAlive(id: LeaseId): LeaseAnswer {
    const lease = this.#leases.get(id);
    if (lease === undefined) return { id, ttlSeconds: 0 };
    lease.timer.dispose();
    lease.timer = this.#expiry(id, lease.ttlSeconds);
    return { id, ttlSeconds: lease.ttlSeconds };
  }

  leaseRevoke(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.timer.dispose();
    const keys = [...lease.keys].sort(compareKeys);
    const events = new Map<string, WatchEvent>();
    for (const key of keys) this.#deleteOne(key, this.#revision + 1, events);
    this.#leases.delete(id);
    if (events.size > 0) this.#commit(this.#revision + 1, [...events.values()]);
  }

  compact(revision: number): void {
    if (revision > this.#revision) throw new EtcdError("refused", "the required revision is a future revision");
    if (revision <= this.#compactRevision) throw this.#compacted();
    this.#compactRevision = revision;
    for (const [key, versions] of this.#versionsByKey) this.#forget(key, versions);
    // Of the revision itself the puts stay, as etcd has it; its deletes are gone.
    this.#changes = this.#changes.slice(Math.max(0, revision - this.#changesFrom));
    this.#changesFrom = Math.max(this.#changesFrom, revision);
    const first = this.#changes[0];
    if (first?.revision === revision)
      this.#changes[0] = { revision, events: first.events.filter(({ kind }) => kind === "put") };
  }

  /** What an operator does with etcdctl: gives the free space of the file back, and ends the alarm. */
  defragment(): void {
    this.#fileBytes = this.#inUseBytes;
    this.#isFull = this.#fileBytes > this.quotaBytes;
  }

  #validate({ compare, success, failure = [] }: TxnRequest): void {
    const most = Math.max(compare.length, success.length, failure.length);
    if (most > TXN_OPERATIONS_MAX) throw new EtcdError("refused", "too many operations in txn request");
    const bytes = [...success, ...failure].reduce((sum, operation) => sum + operationBytes(operation), 0);
    if (bytes > REQUEST_BYTES_MAX) throw new EtcdError("refused", "request is too large");
    refuseDuplicates(success);
    refuseDuplicates(failure);
    const cost = Math.max(putBytes(success), putBytes(failure));
    if (cost === 0) return;
    if (this.#fileBytes + cost > this.quotaBytes) this.#isFull = true;
    if (this.#isFull) throw noSpace();
  }

  /** Before anything is done, so that S2 holds. */
  #refuseBadOperation(operation: TxnOperation): void {
    if (operation.key === "") throw new EtcdError("refused", "key is not provided");
    if (operation.kind !== "put") return;
    const lease = operation.lease ?? NO_LEASE;
    if (lease !== NO_LEASE && !this.#leases.has(lease)) throw new EtcdError("refused", "requested lease not found");
  }

  #holds(compare: Compare): boolean {
    const entry = this.#at(compare.key, Number.MAX_SAFE_INTEGER);
    switch (compare.target) {
      case "version":
        return relates(Math.sign((entry?.version ?? 0) - compare.to), compare.is);
      case "create":
        return relates(Math.sign((entry?.createRevision ?? 0) - compare.to), compare.is);
      case "mod":
        return relates(Math.sign((entry?.modRevision ?? 0) - compare.to), compare.is);
      case "lease": {
        const lease = entry?.lease ?? NO_LEASE;
        return relates(lease < compare.to ? -1 : lease > compare.to ? 1 : 0, compare.is);
      }
      case "value":
        return entry !== undefined && relates(Buffer.compare(entry.value, compare.to), compare.is);
    }
  }

  #run(operation: TxnOperation, revision: number, events: Map<string, WatchEvent>): OperationAnswer {
    switch (operation.kind) {
      case "put":
        this.#put(operation, revision, events);
        return { kind: "put" };
      case "delete": {
        const keys = this.#index.range(operation.key, operation.end);
        return { kind: "delete", deleted: keys.filter((key) => this.#deleteOne(key, revision, events)).length };
      }
      case "range": {
        // Sees what the operations before it in this transaction did.
        const visible = operation.revision ?? Number.MAX_SAFE_INTEGER;
        const answer = visible === Number.MAX_SAFE_INTEGER ? this.#rangeNewest(operation) : this.range(operation);
        return { kind: "range", ...answer };
      }
    }
  }

  #rangeNewest(request: RangeRequest): RangeAnswer {
    const before = this.#revision;
    this.#revision = before + 1; // What this transaction did so far has the next revision.
    try {
      return { ...this.range(request), revision: before };
    } finally {
      this.#revision = before;
    }
  }

  #put(
    { key, value, lease = NO_LEASE }: Extract<TxnOperation, { kind: "put" }>,
    revision: number,
    events: Map<string, WatchEvent>,
  ): void {
    const before = this.#at(key, revision);
    if (before !== undefined) this.#leases.get(before.lease)?.keys.delete(key);
    this.#leases.get(lease)?.keys.add(key);
    const entry: KeyValue = {
      key,
      value: value.slice(),
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease,
    };
    this.#record(key, { revision, entry });
    events.set(key, { kind: "put", entry });
  }

  #deleteOne(key: string, revision: number, events: Map<string, WatchEvent>): boolean {
    const before = this.#at(key, revision);
    if (before === undefined) return false;
    this.#leases.get(before.lease)?.keys.delete(key);
    this.#record(key, { revision, entry: undefined });
    events.set(key, { kind: "delete", key, modRevision: revision });
    return true;
  }

  #record(key: string, version: Version): void {
    const versions = this.#versionsByKey.get(key);
    if (versions === undefined) {
      this.#versionsByKey.set(key, [version]);
      this.#index.add(key);
    } else versions.push(version);
    this.#inUseBytes += versionBytes(key, version);
    this.#fileBytes = Math.max(this.#fileBytes, this.#inUseBytes);
  }

  #at(key: string, revision: number): KeyValue | undefined {
    return this.#versionsByKey.get(key)?.findLast((version) => version.revision <= revision)?.entry;
  }

  #commit(revision: number, events: readonly WatchEvent[]): void {
    this.#revision = revision; // S1
    this.#changes.push({ revision, events });
    for (const listener of [...this.#listeners]) listener();
  }

  #forget(key: string, versions: Version[]): void {
    const newest = versions.findLastIndex(({ revision }) => revision <= this.#compactRevision);
    if (newest < 0) return;
    // A delete is forgotten with what it deleted; a put stays as the value that the key has there.
    const kept = versions.slice(versions[newest]?.entry === undefined ? newest + 1 : newest);
    const gone = versions.slice(0, versions.length - kept.length);
    for (const version of gone) this.#inUseBytes -= versionBytes(key, version);
    if (kept.length > 0) this.#versionsByKey.set(key, kept);
    else {
      this.#versionsByKey.delete(key);
      this.#index.delete(key);
    }
  }

  #expiry(id: LeaseId, ttlSeconds: number): Timer {
    return this.clock.after(ttlSeconds * 1000, () => this.leaseRevoke(id));
  }

  #compacted(): EtcdError {
    return new EtcdError("compacted", "the required revision has been compacted", {
      compactRevision: this.#compactRevision,
    });
  }
}

function noSpace(): EtcdError {
  return new EtcdError("no_space", "database space exceeded");
}

function relates(sign: number, relation: Compare["is"]): boolean {
  switch (relation) {
    case "equal":
      return sign === 0;
    case "not_equal":
      return sign !== 0;
    case "greater":
      return sign > 0;
    case "less":
      return sign < 0;
  }
}

function refuseDuplicates(operations: readonly TxnOperation[]): void {
  const puts = operations.filter((operation) => operation.kind === "put").map(({ key }) => key);
  const deletes = operations.filter((operation) => operation.kind === "delete");
  const isTwice = new Set(puts).size < puts.length;
  const isOverlapping = deletes.some((range) => puts.some((key) => isInRange(key, range)));
  if (isTwice || isOverlapping) throw new EtcdError("refused", "duplicate key given in txn request");
}

function putBytes(operations: readonly TxnOperation[]): number {
  return operations.reduce((sum, one) => sum + (one.kind === "put" ? operationBytes(one) : 0), 0);
}

function operationBytes(operation: TxnOperation): number {
  return Buffer.byteLength(operation.key) + (operation.kind === "put" ? operation.value.byteLength : 0) + 16;
}

function versionBytes(key: string, { entry }: Version): number {
  return Buffer.byteLength(key) + (entry?.value.byteLength ?? 0) + VERSION_OVERHEAD_BYTES;
}
