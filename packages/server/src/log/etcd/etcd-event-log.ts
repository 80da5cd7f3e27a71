// etcd-event-log.ts: EtcdEventLog, the EventLog of one node of a cluster: all partitions in one etcd. It owns the bookkeeping and
// puts the parts together: recover.ts, append.ts, read.ts, snapshot.ts, truncate.ts; ownership.ts and follow.ts for what goes
// between nodes. Not here: who owns what (cluster/).
//   L1. One append in flight per partition, and the next sequence only.
//   L2. An append of the epoch that the epoch record gives this node is compared with that record. One of a higher epoch raises
//       the record in the same transaction, compared as last seen: whoever raised it meanwhile wins, and this one is fenced.
import { assert, ForelockError } from "@forelock/protocol";
import type { Clock } from "../../clock.ts";
import type { Etcd } from "../../etcd/etcd.ts";
import type { EventLog, LogRecord, Snapshot } from "../event-log.ts";
import { GroupedAppends } from "./append.ts";
import type { EpochRecord } from "./epoch.ts";
import { type FollowEnd, Followers, type FollowSink } from "./follow.ts";
import { HistoryCompaction } from "./history.ts";
import { ClusterKeys } from "./keys.ts";
import { inOrder } from "./merge.ts";
import { giveTo, type Position, type Taken, type TakeOver, takeOver } from "./ownership.ts";
import { fencedError, type PartitionLog } from "./partition.ts";
import { type ReadOptions, readPages, slotsFor } from "./read.ts";
import { assertRecord, RECORD_HEADER_BYTES, type StoredRecord } from "./record.ts";
import { readEpochs, survey } from "./recover.ts";
import { loadSnapshot, loadSnapshots, saveSnapshots } from "./snapshot.ts";
import { truncate } from "./truncate.ts";

export interface EtcdEventLogOptions {
  readonly etcd: Etcd;
  readonly clock: Clock;
  readonly cluster: string;
  /** Id of this node. */
  readonly owner: string;
  /** How many the cluster has. */
  readonly partitions: number;
  /** Transactions under way at once. Default: 2. */
  readonly txnsMax?: number;
  /** How long a watch may stand still while the store moves on. Default: 2,000. */
  readonly stallMs?: number;
  /** The last sequence that may be truncated, for what only others know (replicas of bulk). Default: no floor. */
  readonly floor?: (partition: number) => number;
}

/** More would make them smaller, and it is their size that sets the throughput. */
const TXNS_MAX = 2;
const STALL_MS = 2_000;

/** @throws ForelockError `log_damaged`, `not_supported`, `bad_setting`; EtcdError when etcd does not answer */
export async function openEtcdEventLog(options: EtcdEventLogOptions): Promise<EtcdEventLog> {
  const keys = new ClusterKeys(options.cluster);
  const numbers = Array.from({ length: options.partitions }, (_, partition) => partition);
  const partitions = await survey({ etcd: options.etcd, keys }, numbers);
  return new EtcdEventLog(options, keys, partitions);
}

export class EtcdEventLog implements EventLog {
  readonly #options: EtcdEventLogOptions;
  readonly #keys: ClusterKeys;
  readonly #partitions: readonly PartitionLog[];
  readonly #appends: GroupedAppends;
  readonly #followers: Followers;
  readonly #history: HistoryCompaction;
  readonly #onEpoch = new Set<(record: EpochRecord) => void>();
  #stopped: ForelockError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: EtcdEventLogOptions, keys: ClusterKeys, partitions: readonly PartitionLog[]) {
    const { etcd, clock, owner, txnsMax = TXNS_MAX, stallMs = STALL_MS } = options;
    this.#options = options;
    this.#keys = keys;
    this.#partitions = partitions;
    const onStopped = (error: ForelockError): void => {
      this.#stopped ??= error;
    };
    this.#appends = new GroupedAppends({ etcd, keys, clock, owner, txnsMax, onStopped });
    const passed = (record: EpochRecord): void => {
      for (const run of this.#onEpoch) run(record);
    };
    this.#followers = new Followers({ etcd, keys, clock, stallMs, passed });
    this.#history = new HistoryCompaction(etcd, keys);
  }

  get stopped(): Error | undefined {
    return this.#stopped;
  }

  /** Why appends wait for etcd right now; undefined while it answers. What waits is neither lost nor refused. */
  get waiting(): Error | undefined {
    return this.#appends.waiting;
  }

  /** Why nothing is appended to one partition any more; undefined while it goes on. */
  stoppedOf(partition: number): ForelockError | undefined {
    return this.#of(partition).stopped;
  }

  get counts() {
    return { ...this.#appends.counts, follow: this.#followers.counts };
  }

  /** By this node, since it was opened, with what etcd keeps beside each record. */
  get appendedBytes(): number {
    return this.#appends.counts.bytes;
  }

  /** Of the partitions that this node owns. */
  get bytesSinceSnapshot(): number {
    return this.#owned().reduce((sum, { partition }) => sum + this.bytesSinceSnapshotOf(partition), 0);
  }

  bytesSinceSnapshotOf(partition: number): number {
    const { bytesTotal, pointer } = this.#of(partition);
    return Math.max(0, bytesTotal - (pointer.generations[0]?.bytesTotal ?? 0));
  }

  /** Bytes of records that are still in etcd, by share where it is not exact: what truncation has not freed. */
  bytesKeptOf(partition: number): number {
    const { bytesTotal, sequence, firstSequence, pointer } = this.#of(partition);
    const older = pointer.generations[1] ?? { sequence, bytesTotal };
    const before = (older.sequence - firstSequence + 1) * (older.bytesTotal / Math.max(1, older.sequence));
    return Math.max(0, before) + Math.max(0, bytesTotal - older.bytesTotal);
  }

  async append(record: LogRecord): Promise<void> {
    this.#assertOpen();
    assertRecord(record);
    const partition = this.#of(record.partition);
    if (partition.stopped !== undefined) throw partition.stopped;
    this.#assertNext(partition, record); // L1
    partition.isBusy = true;
    return this.#appends.append(partition, this.#stored(partition, record));
  }

  lastSequence(partition: number): number {
    return this.#of(partition).sequence;
  }

  lastEpoch(): number {
    return this.#partitions.reduce((last, { epoch, claim }) => Math.max(last, epoch, claim.epoch), 0);
  }

  read(after: (partition: number) => number): AsyncIterable<readonly LogRecord[]> {
    const wanted = this.#partitions.map(({ partition, sequence, bytesTotal }) => ({
      partition,
      after: after(partition),
      through: sequence,
      firstSlots: slotsFor([{ value: { byteLength: bytesTotal / Math.max(1, sequence) } }]),
    }));
    return this.#read(wanted.filter((one) => one.after < one.through));
  }

  async saveSnapshots(snapshots: Iterable<Snapshot>): Promise<void> {
    this.#assertOpen();
    const all = [...snapshots].map((snapshot) => [this.#of(snapshot.partition), snapshot] as const);
    const partitions = all.map(([partition]) => partition);
    assert(new Set(partitions).size === all.length, "one snapshot per partition");
    await this.#refreshPointers(partitions);
    for (const [partition, { sequence }] of all) {
      const isNew = partition.sequence === 0;
      assert(isNew || sequence <= partition.sequence, `snapshot ${sequence} is not above ${partition.sequence}`);
      if (partition.stopped !== undefined) throw partition.stopped;
    }
    await saveSnapshots({ etcd: this.#options.etcd, keys: this.#keys }, all);
  }

  loadSnapshots(): Promise<readonly Snapshot[]> {
    const numbers = this.#partitions.map(({ partition }) => partition);
    return loadSnapshots({ etcd: this.#options.etcd, keys: this.#keys }, numbers);
  }

  /**
   * The newest snapshot of one partition, whoever wrote it: for a standby.
   * @param atMost the older kept one instead, when it is of no later record than this and the newest is not: what the standby has
   */
  loadSnapshot(partition: number, atMost?: number): Promise<Snapshot | undefined> {
    return loadSnapshot({ etcd: this.#options.etcd, keys: this.#keys }, partition, atMost);
  }

  async truncate(): Promise<void> {
    this.#assertOpen();
    const { etcd, floor = () => Number.POSITIVE_INFINITY } = this.#options;
    const owned = this.#owned().filter(({ stopped }) => stopped === undefined);
    await this.#refreshPointers(owned);
    await truncate({ etcd, keys: this.#keys, floor }, owned);
  }

  /**
   * Has etcd forget the history up to where it was at the call before. One node of the cluster calls it every 10 to 30 s, and
   * when 64 MiB were appended since: the members' files keep what two calls have between them.
   * @returns the revision that was compacted, if any
   */
  compactHistory(): Promise<number | undefined> {
    return this.#history.compact();
  }

  /** The epoch records of all partitions that ever had an owner, by partition: one linearizable range. */
  ownEpochs(options: { readonly deadlineMs?: number } = {}): Promise<ReadonlyMap<number, EpochRecord>> {
    return readEpochs({ etcd: this.#options.etcd, keys: this.#keys }, options.deadlineMs);
  }

  /**
   * Raises the epoch, then reads what the caller lacks. Appends with the new epoch may follow at once.
   * @throws as ownership.ts says
   */
  async takeOver(partition: number, wish: TakeOver): Promise<Taken> {
    return this.#busy(partition, (one) => takeOver(this.#parts(), one, wish));
  }

  /** The owner's last record, if any, and the successor's epoch, in one transaction. @throws as ownership.ts says */
  async giveTo(
    partition: number,
    successor: string,
    lastRecord: LogRecord | undefined,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<EpochRecord> {
    const one = this.#of(partition);
    if (one.stopped !== undefined) throw one.stopped;
    if (one.claim.owner !== this.#options.owner) throw fencedError({ partition, epoch: one.claim.epoch }, one.claim);
    if (lastRecord !== undefined) {
      assertRecord(lastRecord);
      assert(lastRecord.partition === partition, `the record is of partition ${partition}`);
      assert(lastRecord.epoch === one.claim.epoch, `the record is of epoch ${one.claim.epoch}`);
      this.#assertNext(one, lastRecord);
    }
    const last = lastRecord === undefined ? undefined : this.#stored(one, lastRecord);
    const parts = { ...this.#parts(), owner: this.#options.owner };
    return this.#busy(partition, () => giveTo(parts, one, { successor, lastRecord: last, ...options }));
  }

  /**
   * The successor of a hand-over begins: it was told its epoch record, and has followed to `at`, behind which nothing can be.
   * Takes no round trip while the partition is followed here.
   */
  async adopt(claim: EpochRecord, at: Position): Promise<void> {
    assert(claim.owner === this.#options.owner, `epoch ${claim.epoch} of partition ${claim.partition} is this node's`);
    const last = this.#followers.lastOf(claim.partition);
    await this.#busy(claim.partition, async (one) => {
      const { sequence, epoch } = at;
      if (last?.record.sequence === sequence) {
        Object.assign(one, { sequence, epoch, bytesTotal: last.bytesTotal, hasRecord: true, isPointerOld: true });
      } else await this.#survey([one]);
      assert(one.sequence === sequence, `partition ${one.partition} ends at ${one.sequence}, not at ${sequence}`);
      one.claim = claim;
      one.stopped = undefined;
    });
  }

  /**
   * Records behind `after` as they become durable, whoever appends them, and the epoch record as it changes. One watch of the
   * cluster serves all partitions that are followed. Ends when the signal is aborted, or when the follower is too far behind.
   */
  follow(partition: number, after: Position, sink: FollowSink, signal: AbortSignal): Promise<FollowEnd> {
    this.#assertOpen();
    return this.#followers.follow(partition, after, sink, signal);
  }

  /** Told of epoch records as they change, of partitions that are not followed here, while others are. @returns ends it */
  onEpoch(run: (record: EpochRecord) => void): () => void {
    this.#onEpoch.add(run);
    return () => this.#onEpoch.delete(run);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#appends.close(), this.#followers.close()]).then(() => undefined);
    return this.#closing;
  }

  async *#read(wanted: readonly Omit<ReadOptions, "etcd" | "keys">[]): AsyncGenerator<readonly LogRecord[], void> {
    const { etcd } = this.#options;
    const pages = wanted.map((one) => readPages({ etcd, keys: this.#keys, ...one }));
    for await (const batch of inOrder(pages)) yield batch.map(({ record }) => record);
  }

  async #busy<Answer>(partition: number, act: (one: PartitionLog) => Promise<Answer>): Promise<Answer> {
    this.#assertOpen();
    const one = this.#of(partition);
    if (one.isBusy) throw stillBusy(partition);
    one.isBusy = true;
    try {
      return await act(one);
    } finally {
      one.isBusy = false;
    }
  }

  /** What a former owner did, or an attempt whose outcome is not known, is read before the next snapshot or truncation here. */
  async #refreshPointers(partitions: readonly PartitionLog[]): Promise<void> {
    const old = partitions.filter(({ isPointerOld }) => isPointerOld);
    const found = await survey(
      this.#parts(),
      old.map(({ partition }) => partition),
    );
    for (const [index, one] of old.entries()) {
      const { pointer, firstSequence } = found[index] ?? one;
      Object.assign(one, { pointer, firstSequence, isPointerOld: false });
    }
  }

  async #survey(partitions: readonly PartitionLog[]): Promise<void> {
    const found = await survey(
      this.#parts(),
      partitions.map(({ partition }) => partition),
    );
    for (const [index, one] of partitions.entries())
      Object.assign(one, found[index], { isBusy: one.isBusy, lastGeneration: one.lastGeneration });
  }

  #owned(): readonly PartitionLog[] {
    return this.#partitions.filter(({ claim }) => claim.owner === "" || claim.owner === this.#options.owner);
  }

  #stored(after: PartitionLog, { partition, epoch, sequence, elapsedMs, events }: LogRecord): StoredRecord {
    const bytesTotal = after.bytesTotal + RECORD_HEADER_BYTES + events.byteLength;
    return { partition, epoch, sequence, elapsedMs, events, bytesTotal };
  }

  #assertNext({ partition, isBusy, sequence, epoch, claim }: PartitionLog, record: LogRecord): void {
    assert(!isBusy, `partition ${partition} has no append in flight`);
    assert(
      record.sequence === sequence + 1,
      `sequence ${record.sequence} of partition ${partition} follows ${sequence}`,
    );
    const least = Math.max(epoch, claim.epoch);
    assert(record.epoch >= least, `epoch ${record.epoch} of partition ${partition} is not below ${least}`);
    if (record.epoch === claim.epoch && claim.owner !== this.#options.owner) throw fencedError(record, claim); // L2
  }

  #parts() {
    return { etcd: this.#options.etcd, keys: this.#keys, clock: this.#options.clock };
  }

  #of(partition: number): PartitionLog {
    const one = this.#partitions[partition];
    assert(one !== undefined, `partition ${partition} is below ${this.#partitions.length}`);
    return one;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ForelockError("log_stopped", "The log is closed.");
    if (this.#stopped !== undefined) throw this.#stopped;
  }
}

/** It has come back to this node while an append of before has no answer yet, which is awaited first. */
function stillBusy(partition: number): ForelockError {
  const message = `An append to partition ${partition} has no answer yet.`;
  return new ForelockError("unavailable", message, { retryAfterMs: 100 });
}
