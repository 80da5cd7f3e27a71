// replayed.ts: what the log of a simulation comes to, record by record and event by event.
import { apply, createState, decodeEvents, type LogRecord, type PartitionState, SILENT } from "forelock/internal";

/** The states that replaying everything from an empty state gives. @param recordsOf by partition, from the first on */
export function replayed(recordsOf: readonly (readonly LogRecord[])[]): readonly PartitionState[] {
  return recordsOf.map((records, partition) => {
    const state = createState(partition);
    for (const record of records) {
      state.clockMs += record.elapsedMs;
      decodeEvents(record.events, (event) => apply(state, event, SILENT));
    }
    return state;
  });
}
