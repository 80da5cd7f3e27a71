// append.ts: group commit in etcd. Records of different partitions that arrive in one turn of the event loop, or while as many
// transactions as may be are under way, share a transaction. Not here: which sequences are right (etcd-event-log.ts).
//   A1. A transaction compares, for each of its partitions: the epoch record is the one the owner wrote, the slot is free, and
//       what the record follows is there. If any fails nothing of it is done.
//   A2. After an outcome that is not known the slots are read before anything else for those partitions. A slot only ever gets the
//       same record again: an attempt that is done late by etcd does no harm.
//   A3. A promise resolves when the record was acknowledged or found in its slot, and rejects with `fenced` only when it can never
//       come there: the epoch record has changed, or the slot is another's.
import { ForelockError } from "@forelock/protocol";
import { type Clock, pauseFor } from "../../clock.ts";
import {
  type Compare,
  type Etcd,
  EtcdError,
  type KeyValue,
  type OperationAnswer,
  REQUEST_BYTES_MAX,
  TXN_OPERATIONS_MAX,
  type TxnAnswer,
  type TxnOperation,
} from "../../etcd/etcd.ts";
import { decodeEpoch, type EpochRecord, isStill, putEpoch } from "./epoch.ts";
import type { ClusterKeys } from "./keys.ts";
import { fencedError, type PartitionLog } from "./partition.ts";
import { encodeRecord, type StoredRecord } from "./record.ts";

export interface GroupedAppendsOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  /** Id of the node that appends. */
  readonly owner: string;
  /** Transactions under way at once. */
  readonly txnsMax: number;
  /** Called once, when the log cannot go on for all partitions. */
  readonly onStopped: (error: ForelockError) => void;
}

/** Since the log was opened. */
export interface AppendCounts {
  /** Transactions that were sent, */
  readonly txns: number;
  /** records that became durable, */
  readonly records: number;
  /** bytes of their events, */
  readonly bytes: number;
  /** and looks at what became of a transaction. */
  readonly probes: number;
}

/** One record on its way, and what its transaction needs. */
interface Pending {
  readonly partition: PartitionLog;
  readonly record: StoredRecord;
  readonly slots: readonly Uint8Array[];
  readonly compares: readonly Compare[];
  readonly operations: readonly TxnOperation[];
  readonly bytes: number;
  /** Compares that failed though nothing seemed wrong. */
  puzzles: number;
  readonly resolve: () => void;
  readonly reject: (error: ForelockError) => void;
}

/** Keys and frames of a request beside its values; generous. */
const OVERHEAD_BYTES = 256;
const TXN_BYTES_MAX = REQUEST_BYTES_MAX - 64 * 1024;
/** What a look at one partition reads: epoch, slot, the record before. */
const PROBES = 3;
const PUZZLES_MAX = 5;
const PAUSE_MS = 20;
const PAUSE_MS_MAX = 1_000;

export class GroupedAppends {
  readonly #options: GroupedAppendsOptions;
  #pending: Pending[] = [];
  #txns = 0;
  #isPumping = false;
  #isClosing = false;
  #stopped: ForelockError | undefined;
  #waiting: Error | undefined;
  #onIdle: (() => void)[] = [];
  #counts = { txns: 0, records: 0, bytes: 0, probes: 0 };

  constructor(options: GroupedAppendsOptions) {
    this.#options = options;
  }

  get stopped(): ForelockError | undefined {
    return this.#stopped;
  }

  /** Why appends wait for etcd right now; undefined while it answers. */
  get waiting(): Error | undefined {
    return this.#waiting;
  }

  get counts(): AppendCounts {
    return this.#counts;
  }

  /** The record must be the next of its partition and stay as it is until the promise settles. */
  append(partition: PartitionLog, record: StoredRecord): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    const slots = encodeRecord(record);
    const { compares, operations } = appendOf(this.#options.keys, this.#options.owner, partition, record, slots);
    const bytes = slots.reduce((sum, slot) => sum + slot.byteLength + OVERHEAD_BYTES, 3 * OVERHEAD_BYTES);
    return new Promise((resolve, reject) => {
      this.#pending.push({ partition, record, slots, compares, operations, bytes, puzzles: 0, resolve, reject });
      this.#pump();
    });
  }

  /** Resolves when nothing is under way any more. Where etcd does not answer, appends end with `log_stopped`. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#txns > 0 || this.#pending.length > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    void afterThisTurn().then(() => {
      this.#isPumping = false;
      while (this.#pending.length > 0 && this.#txns < this.#options.txnsMax) void this.#send(this.#takeBatch());
    });
  }

  /** As many as fit one transaction, at least one. */
  #takeBatch(): readonly Pending[] {
    let [count, bytes, compares, operations] = [0, 0, 0, 0];
    for (const pending of this.#pending) {
      bytes += pending.bytes;
      compares += pending.compares.length;
      operations += pending.operations.length;
      const isTooMuch = Math.max(compares, operations, (count + 1) * PROBES) > TXN_OPERATIONS_MAX;
      if (count > 0 && (isTooMuch || bytes > TXN_BYTES_MAX)) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    this.#txns += 1;
    try {
      const again = await this.#attempt(batch);
      this.#pending.unshift(...again);
    } catch (cause) {
      this.#stop(batch, cause);
    }
    this.#txns -= 1;
    if (this.#pending.length > 0) return this.#pump();
    if (this.#txns === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** @returns those that must be sent again */
  async #attempt(batch: readonly Pending[]): Promise<readonly Pending[]> {
    const compare = batch.flatMap(({ compares }) => compares);
    const success = batch.flatMap(({ operations }) => operations);
    let answer: TxnAnswer;
    try {
      this.#counts.txns += 1;
      answer = await this.#options.etcd.txn({ compare, success });
    } catch (cause) {
      if (!isPassing(cause)) throw cause;
      if (cause.kind === "outcome_unknown") return this.#look(batch, false); // A2
      await this.#pause(cause, PAUSE_MS);
      return batch;
    }
    this.#waiting = undefined;
    if (!answer.succeeded) return this.#look(batch, true);
    for (const pending of batch) this.#landed(pending, answer.revision);
    return [];
  }

  /** Reads what became of a batch, and settles what can be. */
  async #look(batch: readonly Pending[], isRefused: boolean): Promise<readonly Pending[]> {
    const success = batch.flatMap((pending) => probesOf(this.#options.keys, pending));
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      try {
        this.#counts.probes += 1;
        const { answers } = await this.#options.etcd.txn({ compare: [], success });
        this.#waiting = undefined;
        return batch.filter((pending, index) => !this.#settle(pending, answers.slice(index * PROBES), isRefused));
      } catch (cause) {
        if (!isPassing(cause)) throw cause;
        await this.#pause(cause, pauseMs);
      }
    }
  }

  /** @returns whether the record needs no further attempt */
  #settle(pending: Pending, answers: readonly OperationAnswer[], isRefused: boolean): boolean {
    const { partition, record } = pending;
    const [epochs, slots, before] = answers.map(entriesOf);
    const claim = decodeEpoch(record.partition, epochs?.[0]);
    const isOwner = claim.modRevision === partition.claim.modRevision;
    const found = slots?.[0];
    if (found !== undefined && isSameRecord(pending.slots, slots ?? [])) {
      this.#landed(pending, found.modRevision);
      const isOver = claim.modRevision !== partition.claim.modRevision;
      if (isOver) partition.stopped = fencedError(record, claim);
      return true;
    }
    if (found !== undefined || !isOwner) return this.#fence(pending, claim); // A3
    if (isRefused && partition.hasRecord && before?.[0] === undefined) {
      const message = `Record ${record.sequence - 1} of partition ${record.partition} in etcd is missing.`;
      return this.#refuse(pending, new ForelockError("log_damaged", message));
    }
    if (!isRefused || ++pending.puzzles < PUZZLES_MAX) return false;
    const message = `etcd refuses record ${record.sequence} of partition ${record.partition}, and nothing seems wrong.`;
    return this.#refuse(pending, new ForelockError("internal", message));
  }

  #landed({ partition, record, bytes, resolve }: Pending, revision: number): void {
    this.#counts.records += 1;
    this.#counts.bytes += bytes;
    partition.sequence = record.sequence;
    partition.epoch = record.epoch;
    partition.bytesTotal = record.bytesTotal;
    partition.hasRecord = true;
    if (record.epoch !== partition.claim.epoch) {
      const { owner } = this.#options;
      partition.claim = { partition: record.partition, epoch: record.epoch, owner, modRevision: revision };
    }
    partition.isBusy = false;
    resolve();
  }

  #fence(pending: Pending, claim: EpochRecord): true {
    return this.#refuse(pending, fencedError(pending.record, claim));
  }

  #refuse({ partition, reject }: Pending, error: ForelockError): true {
    partition.stopped = error;
    partition.isBusy = false;
    reject(error);
    return true;
  }

  /** Etcd is out of reach or full: what it holds is whole, so appends wait rather than fail. */
  async #pause(cause: EtcdError, delayMs: number): Promise<void> {
    this.#waiting = cause;
    if (this.#isClosing) throw cause;
    await pauseFor(this.#options.clock, delayMs);
  }

  #stop(batch: readonly Pending[], cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    const error = new ForelockError("log_stopped", `Appending to etcd failed: ${why}.`, { cause });
    this.#stopped ??= error;
    this.#options.onStopped(error);
    for (const { partition, reject } of [...batch, ...this.#pending.splice(0)]) {
      partition.isBusy = false;
      reject(error);
    }
  }
}

export interface AppendParts {
  readonly compares: readonly Compare[];
  readonly operations: readonly TxnOperation[];
}

/** A1, for one record: also of a hand-over, whose last record goes in its transaction. */
export function appendOf(
  keys: ClusterKeys,
  owner: string,
  partition: PartitionLog,
  record: StoredRecord,
  slots: readonly Uint8Array[],
): AppendParts {
  const { claim } = partition;
  const free: Compare = { key: keys.record(record.partition, record.sequence), target: "create", is: "equal", to: 0 };
  const compares = [isStill(keys, claim), free, ...predecessorOf(keys, partition)];
  const puts = slots.map((value, slot): TxnOperation => {
    const key = keys.slot(record.partition, record.sequence, slot);
    return { kind: "put", key, value };
  });
  const isRaised = record.epoch !== claim.epoch;
  return {
    compares,
    operations: isRaised
      ? [...puts, putEpoch(keys, { partition: record.partition, epoch: record.epoch, owner })]
      : puts,
  };
}

/** What the next record follows: the last one, the snapshot that the log began with, or nothing. */
function predecessorOf(
  keys: ClusterKeys,
  { partition, sequence, hasRecord, pointer }: PartitionLog,
): readonly Compare[] {
  if (hasRecord) return [{ key: keys.record(partition, sequence), target: "create", is: "greater", to: 0 }];
  return [{ key: keys.pointer(partition), target: "mod", is: "equal", to: pointer.modRevision }];
}

function probesOf(keys: ClusterKeys, { record }: Pending): readonly TxnOperation[] {
  const { partition, sequence } = record;
  return [
    { kind: "range", key: keys.epoch(partition) },
    { kind: "range", ...keys.records(partition, sequence, sequence) },
    { kind: "range", key: keys.record(partition, sequence - 1), keysOnly: true },
  ];
}

function entriesOf(answer: OperationAnswer): readonly KeyValue[] {
  return answer.kind === "range" ? answer.entries : [];
}

/** The epoch within tells one owner's record from another's; a record of ours is the same byte for byte. */
export function isSameRecord(slots: readonly Uint8Array[], entries: readonly KeyValue[]): boolean {
  return (
    entries.length === slots.length &&
    slots.every((slot, index) => Buffer.compare(slot, entries[index]?.value ?? new Uint8Array(0)) === 0)
  );
}

/** Errors that end by themselves or by an operator's hand; the others will come again. */
export function isPassing(cause: unknown): cause is EtcdError {
  return (
    cause instanceof EtcdError &&
    (cause.kind === "unavailable" || cause.kind === "outcome_unknown" || cause.kind === "no_space")
  );
}

/**
 * Resolves when every callback and promise that is due now has run, but before the event loop waits for anything. One turn of
 * the loop often makes many partitions append, each some promises away from the last: they share a transaction for it.
 */
function afterThisTurn(): Promise<void> {
  // Node runs ticks once no promise job is left, so the tick must be asked for from a promise job.
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
