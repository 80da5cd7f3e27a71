// snapshot-build.ts: snapshots from the files of the log: the last generation, and the records after it. Reads only.
// Run by the worker thread (snapshot-worker.ts), and by the simulator on its own files.
import { assert } from "@forelock/protocol";
import { loadBase } from "../log/segment/adopted.ts";
import type { Files } from "../log/segment/files.ts";
import { dumpLog } from "../log/segment/inspect.ts";
import { generationsAmong } from "../log/segment/snapshot.ts";
import { SILENT } from "../partition/observer.ts";
import { Replay } from "../partition/replay.ts";
import { decodeSnapshot, encodeSnapshot } from "../partition/snapshot.ts";
import { createState } from "../partition/state.ts";

export interface SnapshotWork {
  readonly logFolder: string;
  /** For each partition, the last record to include: what is durable, and no more. Undefined: another stream has it. */
  readonly through: readonly (number | undefined)[];
}

export interface BuiltSnapshot {
  readonly partition: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly state: Uint8Array;
}

export async function buildSnapshots(
  files: Files,
  { logFolder, through }: SnapshotWork,
): Promise<readonly BuiltSnapshot[]> {
  const rows = through.map((_, partition) => ({
    replay: new Replay(createState(partition), SILENT),
    sequence: 0,
    epoch: 0,
  }));
  const newest = generationsAmong(logFolder, await files.list(logFolder))[0];
  for (const snapshot of await loadBase(files, logFolder, newest)) {
    if (through[snapshot.partition] === undefined) continue;
    rows[snapshot.partition] = {
      replay: new Replay(decodeSnapshot(snapshot.partition, snapshot.state), SILENT),
      sequence: snapshot.sequence,
      epoch: snapshot.epoch,
    };
  }
  for await (const batch of dumpLog(files, logFolder)) {
    for (const { record } of batch) {
      const row = rows[record.partition];
      assert(row !== undefined, "a record names a partition of the folder");
      if (record.sequence <= row.sequence || record.sequence > (through[record.partition] ?? 0)) continue;
      assert(record.sequence === row.sequence + 1, `partition ${record.partition} misses record ${row.sequence + 1}`);
      row.replay.take(record.elapsedMs, record.events);
      row.sequence = record.sequence;
      row.epoch = record.epoch;
    }
  }
  return rows.flatMap((row, partition) => {
    if (through[partition] === undefined) return [];
    assert(row.sequence === through[partition], `the log ends at record ${row.sequence} of partition ${partition}`);
    return [{ partition, epoch: row.epoch, sequence: row.sequence, state: encodeSnapshot(row.replay.state) }];
  });
}
