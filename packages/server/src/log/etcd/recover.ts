// recover.ts: what a log finds when it is opened: of each partition its tail, its epoch record and its snapshots. Records are not
// read here but by who replays them.
import { ForelockError } from "@forelock/protocol";
import type { Etcd, OperationAnswer, TxnOperation } from "../../etcd/etcd.ts";
import { decodeEpoch, type EpochRecord } from "./epoch.ts";
import type { ClusterKeys } from "./keys.ts";
import { newPartition, type PartitionLog } from "./partition.ts";
import { decodeRecord, slotsOf } from "./record.ts";
import { decodePointer } from "./snapshot.ts";

export interface SurveyOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
}

/** Partitions of one transaction: three ranges each. */
const PARTITIONS_AT_ONCE = 40;

/** @throws ForelockError `log_damaged` */
export async function survey(options: SurveyOptions, partitions: readonly number[]): Promise<readonly PartitionLog[]> {
  const epochs = await readEpochs(options);
  const found: PartitionLog[] = [];
  for (let from = 0; from < partitions.length; from += PARTITIONS_AT_ONCE)
    found.push(...(await surveySome(options, partitions.slice(from, from + PARTITIONS_AT_ONCE), epochs)));
  return found;
}

/** Linearizable, in one range. */
export async function readEpochs(
  { etcd, keys }: SurveyOptions,
  deadlineMs?: number,
): Promise<Map<number, EpochRecord>> {
  const { entries } = await etcd.range(keys.epochs, deadlineMs === undefined ? {} : { deadlineMs });
  return new Map(
    entries.map((entry) => {
      const parsed = keys.parse(entry.key);
      if (parsed?.kind !== "epoch") throw new ForelockError("log_damaged", `${entry.key} in etcd is no epoch record.`);
      return [parsed.partition, decodeEpoch(parsed.partition, entry)] as const;
    }),
  );
}

async function surveySome(
  { etcd, keys }: SurveyOptions,
  partitions: readonly number[],
  epochs: ReadonlyMap<number, EpochRecord>,
): Promise<readonly PartitionLog[]> {
  const ends = partitions.flatMap((partition): readonly TxnOperation[] => {
    const range = { kind: "range", ...keys.records(partition, 1), limit: 1, keysOnly: true } as const;
    return [range, { ...range, isDescending: true }, { kind: "range", key: keys.pointer(partition) }];
  });
  const { answers } = await etcd.txn({ compare: [], success: ends });
  const found = partitions.map((partition, index) => {
    const [first, last, pointer] = answers.slice(index * 3);
    const one = newPartition(partition);
    one.claim = epochs.get(partition) ?? one.claim;
    one.pointer = decodePointer(partition, entryOf(pointer));
    one.firstSequence = sequenceOf(keys, first) ?? 1;
    const sequence = sequenceOf(keys, last);
    one.hasRecord = sequence !== undefined;
    const newest = one.pointer.generations[0];
    one.sequence = sequence ?? newest?.sequence ?? 0;
    one.epoch = newest?.epoch ?? 0;
    one.bytesTotal = newest?.bytesTotal ?? 0;
    return one;
  });
  await readTails(
    { etcd, keys },
    found.filter(({ hasRecord }) => hasRecord),
  );
  return found;
}

/** The last records whole: they tell epoch and bytes, and that they fit their checksums. */
async function readTails({ etcd, keys }: SurveyOptions, partitions: readonly PartitionLog[]): Promise<void> {
  const success = partitions.map(({ partition, sequence }): TxnOperation => {
    return { kind: "range", ...keys.records(partition, sequence, sequence) };
  });
  if (success.length === 0) return;
  const { answers } = await etcd.txn({ compare: [], success });
  for (const [index, one] of partitions.entries()) {
    const answer = answers[index];
    const entries = answer?.kind === "range" ? answer.entries : [];
    const { partition, sequence } = one;
    // Deleted since the first look, by an owner that has gone on: then this log does not own the partition anyway.
    if (entries[0] === undefined) continue;
    const values = entries.slice(0, slotsOf(entries[0].value)).map(({ value }) => value);
    const tail = decodeRecord({ partition, sequence, revision: entries[0].modRevision, values });
    one.epoch = tail.record.epoch;
    one.bytesTotal = tail.bytesTotal;
  }
}

function sequenceOf(keys: ClusterKeys, answer: OperationAnswer | undefined): number | undefined {
  const entry = entryOf(answer);
  const parsed = entry === undefined ? undefined : keys.parse(entry.key);
  return parsed?.kind === "slot" ? parsed.sequence : undefined;
}

function entryOf(answer: OperationAnswer | undefined) {
  return answer?.kind === "range" ? answer.entries[0] : undefined;
}
