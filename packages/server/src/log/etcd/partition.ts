// partition.ts: what a log knows of one partition: its tail, its epoch record, its snapshots. Changed by the log that holds it only.
import { ForelockError } from "@forelock/protocol";
import { type EpochRecord, noEpoch } from "./epoch.ts";

/** One kept generation of a partition's snapshots. */
export interface Generation {
  readonly generation: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly checksum: number;
  /** Of the record that the snapshot stands after: see StoredRecord. */
  readonly bytesTotal: number;
}

/** The record that says which snapshots there are. Newest first, at most two. */
export interface Pointer {
  readonly generations: readonly Generation[];
  /** 0 while there is none. */
  readonly modRevision: number;
}

export interface PartitionLog {
  readonly partition: number;
  /** Of the last record, or of the snapshot where there is none behind it; 0 when new. */
  sequence: number;
  /** Of that record or snapshot. */
  epoch: number;
  bytesTotal: number;
  /** False when the last record is not there: none yet, or the log began with a snapshot. */
  hasRecord: boolean;
  /** No record below this is there. */
  firstSequence: number;
  /** As last seen; the next append compares with it. */
  claim: EpochRecord;
  pointer: Pointer;
  /** Of the last attempt to write a snapshot here; 0 when there was none. */
  lastGeneration: number;
  /** Whether `firstSequence` and `pointer` may not be what is there, and must be read before they are used. */
  isPointerOld: boolean;
  /** An append, a hand-over or a take-over is under way. */
  isBusy: boolean;
  /** Why nothing is appended here any more, until the partition is taken over or adopted. */
  stopped: ForelockError | undefined;
}

export function newPartition(partition: number): PartitionLog {
  return {
    partition,
    sequence: 0,
    epoch: 0,
    bytesTotal: 0,
    hasRecord: false,
    firstSequence: 1,
    claim: noEpoch(partition),
    pointer: { generations: [], modRevision: 0 },
    lastGeneration: 0,
    isPointerOld: false,
    isBusy: false,
    stopped: undefined,
  };
}

export function fencedError(
  { partition, epoch }: { readonly partition: number; readonly epoch: number },
  by?: EpochRecord,
): ForelockError {
  const now = by === undefined || by.owner === "" ? "" : ` "${by.owner}" owns it with epoch ${by.epoch}.`;
  return new ForelockError("fenced", `Partition ${partition} is no longer this node's under epoch ${epoch}.${now}`);
}
