// history-files.ts: the history in the files of the log, beside the server that writes them. Reads only.
// Run by the worker thread (history-worker.ts), and by tests on files in memory.
import { ForelockError, type GetHistoryReply } from "@forelock/protocol";
import type { LogRecord, Snapshot } from "../log/event-log.ts";
import { loadBase } from "../log/segment/adopted.ts";
import { type Files, isNotFound } from "../log/segment/files.ts";
import { dumpLog } from "../log/segment/inspect.ts";
import { generationsAmong } from "../log/segment/snapshot.ts";
import {
  collectHistory,
  HistoryMoved,
  type HistorySource,
  type HistoryWork,
  lookAgain,
  type MayRead,
} from "./history-entries.ts";

/** @throws ForelockError `overloaded` when the log kept changing, `log_damaged` */
export function historyInFiles(
  files: Files,
  logFolder: string,
  work: HistoryWork,
  mayRead: MayRead,
): Promise<GetHistoryReply> {
  return lookAgain(async () => {
    try {
      return await collectHistory(sourceOf(files, logFolder, work.partition), work, mayRead);
    } catch (error) {
      // The server freed a segment or a generation since we listed them.
      if (isNotFound(error)) throw new HistoryMoved("a file of the log is gone", { cause: error });
      throw error;
    }
  });
}

function sourceOf(files: Files, logFolder: string, partition: number | undefined): HistorySource {
  const isWanted = (each: Snapshot): boolean =>
    (partition === undefined || each.partition === partition) && each.state.byteLength > 0;
  return {
    async snapshots(): Promise<readonly Snapshot[]> {
      const generations = generationsAmong(logFolder, await files.list(logFolder)).toReversed();
      for (const [index, generation] of generations.entries()) {
        try {
          return (await loadBase(files, logFolder, generation)).filter(isWanted);
        } catch (error) {
          // A start takes the newer generation too, when the older one is damaged.
          const isLast = index === generations.length - 1;
          if (isLast || !(error instanceof ForelockError) || error.code !== "log_damaged") throw error;
        }
      }
      return (await loadBase(files, logFolder, undefined)).filter(isWanted);
    },
    async *records(): AsyncGenerator<readonly LogRecord[], void> {
      for await (const batch of dumpLog(files, logFolder)) yield batch.map(({ record }) => record);
    },
  };
}
