// snapshot-worker.ts: the thread that builds snapshots from the files of the log: the last generation, and the records after it.
// Entry of a worker thread (snapshots.ts): reads only, posts one message, ends.
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "@forelock/protocol";
import { nodeFiles } from "../log/segment/files.ts";
import { dumpLog } from "../log/segment/inspect.ts";
import { generationsAmong, loadGeneration } from "../log/segment/snapshot.ts";
import { SILENT } from "../partition/observer.ts";
import { decodeSnapshot, encodeSnapshot } from "../partition/snapshot.ts";
import { createState, type PartitionState } from "../partition/state.ts";
import { replay } from "./recovery.ts";

export interface SnapshotWork {
  readonly logFolder: string;
  /** For each partition, the last record to include: what is durable, and no more. */
  readonly through: readonly number[];
}

export interface BuiltSnapshot {
  readonly partition: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly state: Uint8Array;
}

async function build({ logFolder, through }: SnapshotWork): Promise<readonly BuiltSnapshot[]> {
  const rows = through.map((_, partition) => ({ state: createState(partition), sequence: 0, epoch: 0 }));
  const newest = generationsAmong(logFolder, await nodeFiles.list(logFolder))[0];
  for (const snapshot of newest === undefined ? [] : await loadGeneration(nodeFiles, newest)) {
    rows[snapshot.partition] = {
      state: decodeSnapshot(snapshot.partition, snapshot.state),
      sequence: snapshot.sequence,
      epoch: snapshot.epoch,
    };
  }
  for await (const batch of dumpLog(nodeFiles, logFolder)) {
    for (const { record } of batch) {
      const row = rows[record.partition];
      assert(row !== undefined, "a record names a partition of the folder");
      if (record.sequence <= row.sequence || record.sequence > (through[record.partition] ?? 0)) continue;
      assert(record.sequence === row.sequence + 1, `partition ${record.partition} misses record ${row.sequence + 1}`);
      replay(row.state, record, SILENT);
      row.sequence = record.sequence;
      row.epoch = record.epoch;
    }
  }
  return rows.map((row, partition) => {
    assert(row.sequence === through[partition], `the log ends at record ${row.sequence} of partition ${partition}`);
    return {
      partition,
      epoch: row.epoch,
      sequence: row.sequence,
      state: encodeSnapshot(row.state satisfies PartitionState),
    };
  });
}

const snapshots = await build(workerData as SnapshotWork); // Written three lines above the Worker's start, in snapshots.ts.
parentPort?.postMessage(
  snapshots,
  snapshots.map((snapshot) => snapshot.state.buffer as ArrayBuffer), // `take` made each its own buffer.
);
