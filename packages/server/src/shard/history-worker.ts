// history-worker.ts: the thread that reads the history in the files of the log (history-files.ts).
// Entry of a worker thread (history.ts): asks which names may be read, posts one answer, ends.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { ForelockError } from "@forelock/protocol";
import { nodeFiles } from "../log/segment/files.ts";
import type { HistoryMessage, HistoryTask } from "./history.ts";
import { historyInFiles } from "./history-files.ts";

const port = parentPort as MessagePort; // A worker thread has one.
const { logFolder, work } = workerData as HistoryTask; // What history.ts starts the Worker with.
const post = (message: HistoryMessage): void => port.postMessage(message);

const mayRead = (names: readonly string[]): Promise<readonly boolean[]> =>
  new Promise((resolve) => {
    port.once("message", resolve);
    post({ kind: "may_read", names });
  });

try {
  post({ kind: "done", reply: await historyInFiles(nodeFiles, logFolder, work, mayRead) });
} catch (error) {
  if (!(error instanceof ForelockError)) throw error; // Ends the thread with it, which the owner hears of.
  post({ kind: "failed", code: error.code, message: error.plainMessage });
}
port.close();
