// truncate.ts: frees what no restart needs: the records that the older kept generation covers. Not here: the history of what was
// deleted (history.ts).
//   U1. Never past the floor of a partition, nor the last record: the next append compares with it.
//   U2. In small steps: members apply a transaction while everything else waits.
import type { Etcd, TxnOperation } from "../../etcd/etcd.ts";
import { isStill } from "./epoch.ts";
import type { ClusterKeys } from "./keys.ts";
import type { PartitionLog } from "./partition.ts";

export interface TruncateOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  /** The last sequence that may be freed, as far as others than the snapshots are asked. */
  readonly floor: (partition: number) => number;
}

const RECORDS_OF_STEP = 256;
const PARTITIONS_OF_STEP = 16;

interface Cut {
  readonly partition: PartitionLog;
  /** The last sequence to free. */
  readonly through: number;
}

export async function truncate(options: TruncateOptions, partitions: readonly PartitionLog[]): Promise<void> {
  for (;;) {
    const cuts = partitions
      .map((partition): Cut => {
        const through = coveredBy(partition, options.floor);
        return { partition, through: Math.min(through, partition.firstSequence + RECORDS_OF_STEP - 1) }; // U2
      })
      .filter(({ partition, through }) => partition.stopped === undefined && through >= partition.firstSequence);
    if (cuts.length === 0) return;
    for (let from = 0; from < cuts.length; from += PARTITIONS_OF_STEP)
      await cutSome(options, cuts.slice(from, from + PARTITIONS_OF_STEP));
  }
}

/** A partition that is another's by now is left to it. */
async function cutSome({ etcd, keys }: Omit<TruncateOptions, "floor">, cuts: readonly Cut[]): Promise<void> {
  const compare = cuts.map(({ partition }) => isStill(keys, partition.claim));
  const success = cuts.map(({ partition, through }): TxnOperation => {
    return { kind: "delete", ...keys.records(partition.partition, partition.firstSequence, through) };
  });
  const { succeeded } = await etcd.txn({ compare, success });
  const [only] = cuts;
  if (!succeeded && cuts.length > 1) for (const cut of cuts) await cutSome({ etcd, keys }, [cut]);
  else if (!succeeded && only !== undefined) only.partition.firstSequence = Number.MAX_SAFE_INTEGER;
  else for (const { partition, through } of cuts) partition.firstSequence = through + 1;
}

function coveredBy({ partition, pointer, sequence }: PartitionLog, floor: TruncateOptions["floor"]): number {
  const older = pointer.generations[1]?.sequence ?? 0;
  return Math.min(older, floor(partition), sequence - 1); // U1
}
