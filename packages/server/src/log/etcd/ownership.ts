// ownership.ts: how a partition gets another owner. Not here: who should be it, and when (cluster/).
//   W1. Take-over: the epoch record is raised by compare first, the tail read second, in one transaction. From that revision on
//       no append of a former owner can succeed, so the tail that is read is the last there is.
//   W2. Hand-over: one transaction of the owner holds its last record and the epoch record that names the successor.
//   W3. After an unknown outcome the epoch record is read. The same request may be done late by etcd: it compares, so it does
//       nothing then, or just what was asked for.
import { assert } from "@forelock/protocol";
import { type Clock, pauseFor } from "../../clock.ts";
import {
  type Etcd,
  isEtcdError,
  type OperationAnswer,
  type TxnAnswer,
  type TxnOperation,
  type TxnRequest,
} from "../../etcd/etcd.ts";
import type { LogRecord } from "../event-log.ts";
import { appendOf, isPassing, isSameRecord } from "./append.ts";
import { damagedTail } from "./damage.ts";
import { decodeEpoch, type EpochRecord, isStill, nextEpoch, putEpoch } from "./epoch.ts";
import type { ClusterKeys } from "./keys.ts";
import { fencedError, type PartitionLog } from "./partition.ts";
import { assertNext, readPages, recordsIn } from "./read.ts";
import { encodeRecord, type StoredRecord } from "./record.ts";
import { decodePointer } from "./snapshot.ts";

export interface OwnershipOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
}

/** How far someone has followed a partition. */
export interface Position {
  /** Of the record at `sequence`; 0 with sequence 0. */
  readonly epoch: number;
  readonly sequence: number;
}

export interface TakeOver {
  /** Id of the node that takes over. */
  readonly owner: string;
  /** What it has: the records behind it are what it gets. */
  readonly after: Position;
  /** The epoch record on which it was decided to take over; a newer one refuses it. Default: whatever stands there now. */
  readonly expected?: EpochRecord;
  /** Gives up between attempts; an outcome that may be had is awaited all the same. */
  readonly signal?: AbortSignal;
}

export interface Taken {
  /** The new epoch record, of this owner. */
  readonly claim: EpochRecord;
  readonly epoch: number;
  /** Behind `after` and up to the tail, in order. */
  readonly records: readonly LogRecord[];
  /** Whether records between `after` and the first of `records` are gone: the newest snapshot holds them. */
  readonly isBehind: boolean;
}

/** Slots of the tail that the transaction itself reads; a standby that follows lacks a few at most. */
const TAIL_SLOTS = 48;
const PAUSE_MS = 20;

/**
 * @throws ForelockError `fenced` when another was quicker; `not_supported` past the last epoch; `log_damaged`. EtcdError when
 *   etcd does not answer and nothing was done.
 */
export async function takeOver(options: OwnershipOptions, partition: PartitionLog, wish: TakeOver): Promise<Taken> {
  const { keys } = options;
  const { owner, after } = wish;
  const number = partition.partition;
  const expected = wish.expected ?? (await readEpoch(options, number));
  const epoch = nextEpoch(number, Math.max(expected.epoch, after.epoch));
  const from = Math.max(1, after.sequence);
  const tail: TxnOperation = { kind: "range", ...keys.records(number, from), limit: TAIL_SLOTS };
  const request = {
    compare: [isStill(keys, expected)],
    success: [putEpoch(keys, { partition: number, epoch, owner }), tail, ...surroundings(keys, number)], // W1
    failure: [epochRange(keys, number)],
  };
  const answer = await settled(options, request, wish.signal, async () => {
    const now = await readEpoch(options, number);
    if (now.modRevision === expected.modRevision) return "again";
    if (now.epoch !== epoch || now.owner !== owner) return now;
    const read = await options.etcd.txn({ compare: [], success: [tail, ...surroundings(keys, number)] });
    return { ...read, revision: now.modRevision, answers: [{ kind: "put" }, ...read.answers] }; // As the first would have told.
  });
  if (!answer.succeeded) throw fencedError({ partition: number, epoch: expected.epoch }, epochIn(number, answer));
  const claim = { partition: number, epoch, owner, modRevision: answer.revision };
  return installed(options, partition, { claim, after, answers: answer.answers.slice(1) });
}

/**
 * The owner names its successor, behind its last record where there is one. Its own appends are fenced from then on.
 * @throws ForelockError `fenced` when it was not the owner any more. EtcdError when etcd does not answer and nothing was done:
 *   it is the owner still.
 */
export async function giveTo(
  options: OwnershipOptions & { readonly owner: string },
  partition: PartitionLog,
  gift: { readonly successor: string; readonly lastRecord: StoredRecord | undefined; readonly signal?: AbortSignal },
): Promise<EpochRecord> {
  const { keys, owner } = options;
  const { successor, lastRecord } = gift;
  const { claim, partition: number } = partition;
  const next = { partition: number, epoch: nextEpoch(number, claim.epoch), owner: successor };
  const none = { compares: [isStill(keys, claim)], operations: [] };
  const slots = lastRecord === undefined ? [] : encodeRecord(lastRecord);
  const append = lastRecord === undefined ? none : appendOf(keys, owner, partition, lastRecord, slots);
  const request = {
    compare: append.compares,
    success: [...append.operations, putEpoch(keys, next)], // W2
    failure: [epochRange(keys, number)],
  };
  const answer = await settled(options, request, gift.signal, async () => {
    const now = await readEpoch(options, number);
    if (now.modRevision === claim.modRevision) return "again";
    // With a record its slot tells, also when the successor has passed the partition on: a take-over by the successor makes the
    // very same epoch record, without the last one of this owner.
    const isSuccessors = now.epoch === next.epoch && now.owner === successor;
    const given = isSuccessors ? now.modRevision : undefined;
    const revision = lastRecord === undefined ? given : await revisionOf(options, lastRecord, slots);
    return revision === undefined ? now : { succeeded: true, revision, answers: [] };
  });
  const now = answer.succeeded ? { ...next, modRevision: answer.revision } : epochIn(number, answer);
  partition.stopped = fencedError({ partition: number, epoch: claim.epoch }, now);
  if (!answer.succeeded || now === undefined) throw partition.stopped;
  if (lastRecord !== undefined) {
    partition.sequence = lastRecord.sequence;
    partition.epoch = lastRecord.epoch;
    partition.bytesTotal = lastRecord.bytesTotal;
    partition.hasRecord = true;
  }
  partition.claim = now;
  return now;
}

/** Sends until it is known what came of it. `look` tells, after an unknown outcome. */
async function settled(
  options: OwnershipOptions,
  request: TxnRequest,
  signal: AbortSignal | undefined,
  look: () => Promise<"again" | EpochRecord | TxnAnswer>,
): Promise<TxnAnswer> {
  let wasUnknown = false;
  for (let isUnknown = false; ; ) {
    try {
      if (!isUnknown) {
        const answer = await options.etcd.txn(request);
        // After an unknown outcome a compare may have failed because the request before was done late.
        if (answer.succeeded || !wasUnknown) return answer;
      }
      const found = await look(); // W3
      if (found === "again") isUnknown = false;
      else return "succeeded" in found ? found : lostTo(options.keys, found);
    } catch (error) {
      if (!isPassing(error)) throw error;
      isUnknown ||= isEtcdError(error, "outcome_unknown");
      wasUnknown ||= isUnknown;
      if (!isUnknown && signal?.aborted) throw error;
      await pauseFor(options.clock, PAUSE_MS);
    }
  }
}

/** As the failed compare would have answered. */
function lostTo(keys: ClusterKeys, { partition, epoch, owner, modRevision }: EpochRecord): TxnAnswer {
  const value = Buffer.from(JSON.stringify({ epoch, owner }));
  const entry = { key: keys.epoch(partition), value, createRevision: 0, modRevision, version: 1, lease: 0n };
  const range: OperationAnswer = { kind: "range", revision: modRevision, entries: [entry], more: false, count: 1 };
  return { succeeded: false, revision: modRevision, answers: [range] };
}

async function installed(
  options: OwnershipOptions,
  partition: PartitionLog,
  taken: { readonly claim: EpochRecord; readonly after: Position; readonly answers: readonly OperationAnswer[] },
): Promise<Taken> {
  const { claim, after, answers } = taken;
  const [found, first, pointers] = answers;
  assert(found?.kind === "range" && first?.kind === "range" && pointers?.kind === "range", "the answers are of ranges");
  const read = [...recordsIn(options.keys, found.entries, found.more)];
  if (found.more) {
    const rest = { ...options, partition: claim.partition, after: read.at(-1)?.record.sequence ?? 0, through: LAST };
    for await (const page of readPages(rest)) {
      assertNext(claim.partition, read.at(-1)?.record.sequence, page);
      read.push(...page);
    }
  }
  const pointer = decodePointer(claim.partition, pointers.entries[0]);
  const newest = pointer.generations[0];
  const base = read[0]?.record.sequence === after.sequence ? read[0].record : undefined;
  if (base !== undefined && base.epoch !== after.epoch) throw damagedTail(claim.partition, after, base);
  const tail = read.at(-1);
  const last = tail?.record ?? newest;
  if ((last?.sequence ?? 0) < after.sequence) throw damagedTail(claim.partition, after, last);
  const firstKey = first.entries[0] === undefined ? undefined : options.keys.parse(first.entries[0].key);
  Object.assign(partition, {
    sequence: last?.sequence ?? 0,
    epoch: last?.epoch ?? 0,
    bytesTotal: (tail ?? newest)?.bytesTotal ?? 0,
    hasRecord: read.length > 0,
    firstSequence: firstKey?.kind === "slot" ? firstKey.sequence : 1,
    claim,
    pointer,
    isPointerOld: false,
    stopped: undefined,
  } satisfies Partial<PartitionLog>);
  const records = read.map(({ record }) => record).filter(({ sequence }) => sequence > after.sequence);
  const begins = records[0]?.sequence ?? (last?.sequence ?? 0) + 1;
  return { claim, epoch: claim.epoch, records, isBehind: begins > after.sequence + 1 };
}

const LAST = Number.MAX_SAFE_INTEGER - 1;

/** What the new owner must know to take snapshots and to truncate. */
function surroundings(keys: ClusterKeys, partition: number): readonly TxnOperation[] {
  return [
    { kind: "range", ...keys.records(partition, 1), limit: 1, keysOnly: true },
    { kind: "range", key: keys.pointer(partition) },
  ];
}

function epochRange(keys: ClusterKeys, partition: number): TxnOperation {
  return { kind: "range", key: keys.epoch(partition) };
}

/** Where the record stands, if it does. */
async function revisionOf(
  { etcd, keys }: OwnershipOptions,
  { partition, sequence }: StoredRecord,
  slots: readonly Uint8Array[],
): Promise<number | undefined> {
  const { entries } = await etcd.range(keys.records(partition, sequence, sequence));
  return isSameRecord(slots, entries) ? entries[0]?.modRevision : undefined;
}

async function readEpoch({ etcd, keys }: OwnershipOptions, partition: number): Promise<EpochRecord> {
  const { entries } = await etcd.range({ key: keys.epoch(partition) });
  return decodeEpoch(partition, entries[0]);
}

function epochIn(partition: number, { answers }: TxnAnswer): EpochRecord | undefined {
  const [range] = answers;
  return range?.kind === "range" ? decodeEpoch(partition, range.entries[0]) : undefined;
}
