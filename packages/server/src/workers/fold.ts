// fold.ts: brings the partitions of streams that have no worker any more into those that have one. At a start, with nobody at work.
//   F1. A stream is needed until all that it has is durable in others: whatever stops it in between, the next start goes on from there.
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { SegmentEventLog } from "../log/segment/segment-event-log.ts";
import { encodeSnapshot } from "../partition/snapshot.ts";
import { recover } from "../shard/recovery.ts";
import { holdersOf } from "./holders.ts";

export interface FoldOptions {
  /** All streams of the folder, open. */
  readonly logs: readonly SegmentEventLog[];
  /** The first so many stay. */
  readonly streams: number;
  readonly partitions: number;
  readonly bulk: BulkStore;
  /** Above every epoch of the folder. */
  readonly epoch: number;
}

/** F1. @returns partitions that were brought over; what is behind the first `streams` is not needed any more */
export async function foldStreams({ logs, streams, partitions, bulk, epoch }: FoldOptions): Promise<number> {
  const holders = holdersOf(
    logs.map((log) => log.tails()),
    partitions,
  );
  let folded = 0;
  for (const [stream, log] of logs.entries()) {
    if (stream < streams) continue;
    for (const [partition, holder] of holders.entries()) if (holder !== stream) log.leave(partition);
    const { states } = await recover(log, partitions, bulk);
    await bulk.sync();
    for (const [partition, holder] of holders.entries()) {
      const state = states[partition];
      const taker = logs[partition % streams];
      if (holder !== stream || state === undefined || taker === undefined) continue;
      const sequence = log.lastSequence(partition);
      await taker.adopt({ partition, epoch, sequence, state: encodeSnapshot(state) });
      folded += 1;
    }
  }
  return folded;
}
