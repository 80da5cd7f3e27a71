// fold.ts: brings the partitions of streams that have no worker any more into those that have one. At a start, with nobody at work.
//   F1. A stream is needed until all that it has is durable in others: whatever stops it in between, the next start goes on from there.
import type { BulkStore } from "../bulk/bulk-store.ts";
import { type DataFolder, streamFolder } from "../log/segment/data-folder.ts";
import type { Files } from "../log/segment/files.ts";
import type { LogNotice } from "../log/segment/notice.ts";
import { openSegmentEventLog, type SegmentEventLog } from "../log/segment/segment-event-log.ts";
import { encodeSnapshot } from "../partition/snapshot.ts";
import { recover } from "../shard/recovery.ts";
import { holdersOf } from "./holders.ts";

export interface FoldFolderOptions {
  readonly folder: DataFolder;
  /** Where it is. */
  readonly path: string;
  readonly files: Files;
  /** Streams that stay. */
  readonly streams: number;
  readonly partitions: number;
  readonly segmentBytes: number;
  readonly notice: (notice: LogNotice) => void;
  readonly openBulk: () => Promise<BulkStore>;
}

/** @returns partitions that were brought over; undefined where there is no stream too many */
export async function foldFolder(options: FoldFolderOptions): Promise<number | undefined> {
  const { folder, path, files, streams, partitions, segmentBytes, notice } = options;
  if (folder.streams <= streams) return undefined;
  const closers: (() => Promise<void>)[] = [];
  let folded = 0;
  try {
    const logs: SegmentEventLog[] = [];
    for (let stream = 0; stream < folder.streams; stream += 1) {
      const log = await openSegmentEventLog({ folder: streamFolder(path, stream), files, segmentBytes, notice });
      closers.push(() => log.close());
      logs.push(log);
    }
    const bulk = await options.openBulk();
    closers.push(() => bulk.close());
    const epoch = Math.max(folder.epochFloor, ...logs.map((log) => log.lastEpoch() + 1));
    folded = await foldStreams({ logs, streams, partitions, bulk, epoch });
  } finally {
    for (const close of closers.reverse()) await close();
  }
  await folder.keepStreams(streams);
  return folded;
}

interface FoldOptions {
  /** All streams of the folder, open. */
  readonly logs: readonly SegmentEventLog[];
  /** The first so many stay. */
  readonly streams: number;
  readonly partitions: number;
  readonly bulk: BulkStore;
  /** Above every epoch of the folder. */
  readonly epoch: number;
}

/** F1 */
async function foldStreams({ logs, streams, partitions, bulk, epoch }: FoldOptions): Promise<number> {
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
