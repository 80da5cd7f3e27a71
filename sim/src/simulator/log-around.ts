// log-around.ts: a log that somebody else appends to: notes are taken of what passes, the rest is the log's own.
import type { EventLog } from "forelock/internal";

/** `log`, appended to by `append`, which passes records on. */
export function withAppend(log: EventLog, append: EventLog["append"]): EventLog {
  return {
    append,
    lastSequence: (partition) => log.lastSequence(partition),
    lastEpoch: () => log.lastEpoch(),
    read: (after) => log.read(after),
    saveSnapshots: (snapshots) => log.saveSnapshots(snapshots),
    loadSnapshots: () => log.loadSnapshots(),
    truncate: () => log.truncate(),
    get bytesSinceSnapshot() {
      return log.bytesSinceSnapshot;
    },
    get stopped() {
      return log.stopped;
    },
    close: () => log.close(),
  };
}
