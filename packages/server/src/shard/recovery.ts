// recovery.ts: partition states from snapshots and log. Used at start, and by the snapshot worker.
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { EventLog, Snapshot } from "../log/event-log.ts";
import { type Observer, SILENT } from "../partition/observer.ts";
import { Replay } from "../partition/replay.ts";
import { decodeSnapshot } from "../partition/snapshot.ts";
import { createState, type PartitionState } from "../partition/state.ts";

export interface Recovered {
  readonly states: readonly PartitionState[];
  readonly events: number;
  readonly records: number;
}

/**
 * @param bulk gets the appends and cuts of the records; undefined when its contents do not matter (snapshots)
 * @param snapshotsLoaded called between the two parts, for measuring
 */
export async function recover(
  log: Pick<EventLog, "loadSnapshots" | "read">,
  partitions: number,
  bulk: BulkStore | undefined,
  snapshotsLoaded: () => void = () => {},
): Promise<Recovered> {
  const states = Array.from({ length: partitions }, (_, partition) => createState(partition));
  const covered = new Array<number>(partitions).fill(0);
  for (const snapshot of await log.loadSnapshots()) {
    states[snapshot.partition] = decodeSnapshot(snapshot.partition, snapshot.state);
    covered[snapshot.partition] = snapshot.sequence;
  }
  snapshotsLoaded();
  const replays = states.map(
    (state) => new Replay(state, bulk === undefined ? SILENT : bulkObserver(bulk, state.partition)),
  );
  let events = 0;
  let records = 0;
  for await (const batch of log.read((partition) => covered[partition] ?? 0)) {
    for (const record of batch) {
      records += 1;
      const replay = replays[record.partition];
      if (replay === undefined) throw new Error(`the log names partition ${record.partition} of ${partitions}`);
      events += replay.take(record.elapsedMs, record.events);
    }
  }
  return { states, events, records };
}

/** One partition from `snapshot`, or from nothing, and the records behind it. */
export async function recoverPartition(
  log: Pick<EventLog, "read">,
  partition: number,
  snapshot: Snapshot | undefined,
  options: {
    readonly observer: Observer;
    /** Called between batches. */
    readonly rest?: () => Promise<void>;
  },
): Promise<{ readonly state: PartitionState; readonly epoch: number; readonly sequence: number }> {
  const state = stateOf(partition, snapshot);
  const replay = new Replay(state, options.observer);
  let { epoch, sequence } = snapshot ?? { epoch: 0, sequence: 0 };
  for await (const batch of log.read((other) => (other === partition ? sequence : Number.POSITIVE_INFINITY))) {
    for (const record of batch) {
      replay.take(record.elapsedMs, record.events);
      ({ epoch, sequence } = record);
    }
    await options.rest?.();
  }
  return { state, epoch, sequence };
}

/** As the snapshot has it; empty without one. */
export function stateOf(partition: number, snapshot: Snapshot | undefined): PartitionState {
  return snapshot === undefined ? createState(partition) : decodeSnapshot(partition, snapshot.state);
}

export function bulkObserver(bulk: BulkStore, partition: number): Observer {
  return {
    ...SILENT,
    appended: (file, index, offset, bytes, checksum) => {
      bulk.append({ partition, file: file.number }, { index, offset, bytes, checksum });
    },
    cut: (file) => bulk.truncate({ partition, file: file.number }, file.count, file.length, file.checksum),
  };
}

export type { Snapshot };
