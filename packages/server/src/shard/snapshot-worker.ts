// snapshot-worker.ts: the thread that builds snapshots from the files of the log (snapshot-build.ts).
// Entry of a worker thread (snapshots.ts): posts one message, ends.
import { parentPort, workerData } from "node:worker_threads";
import { nodeFiles } from "../log/segment/files.ts";
import { buildSnapshots, type SnapshotWork } from "./snapshot-build.ts";

const snapshots = await buildSnapshots(nodeFiles, workerData as SnapshotWork); // What snapshots.ts starts the Worker with.
parentPort?.postMessage(
  snapshots,
  snapshots.map((snapshot) => snapshot.state.buffer as ArrayBuffer), // `take` made each its own buffer.
);
