// ledger.ts: what etcd was given, looked at as it is given, beside all nodes: every record, every epoch, and for each partition a state
// that has applied exactly those (the shadow).
//   G1. Records of a partition are contiguous, never written twice, and of the epoch that stands at that moment.
//   G2. Whoever is named as owner anew has a higher epoch than all before.
//   G3. What a node's log calls durable is here.
import {
  apply,
  ClusterKeys,
  createState,
  decodeEpoch,
  decodeEvents,
  decodeRecord,
  type EpochRecord,
  type LogRecord,
  type MemoryEtcdStore,
  type PartitionState,
  SILENT,
  stateHash,
} from "forelock/internal";
import type { Witnessed } from "../simulator/ledger.ts";
import { replayed } from "../simulator/replayed.ts";
import { expectRule, Violation } from "../simulator/violation.ts";

export class ClusterLedger {
  readonly shadows: readonly PartitionState[];
  readonly epochs = new Map<number, EpochRecord>();
  readonly keys: ClusterKeys;
  records = 0;
  moves = 0;
  readonly #records: LogRecord[][];
  /** Of each partition, the hash of the state after each record. */
  readonly #hashes: string[][];
  readonly #store: MemoryEtcdStore;
  readonly #witnessed: Witnessed;
  #next = 2;

  constructor(store: MemoryEtcdStore, cluster: string, partitions: number, witnessed: Witnessed) {
    this.#store = store;
    this.keys = new ClusterKeys(cluster);
    this.shadows = Array.from({ length: partitions }, (_, partition) => createState(partition));
    this.#records = this.shadows.map(() => []);
    this.#hashes = this.shadows.map(() => []);
    this.#witnessed = witnessed;
  }

  /** Takes in what has been written since the last call: after each revision. */
  see(): void {
    for (const { revision, events } of this.#store.changesFrom(this.#next)) {
      this.#next = revision + 1;
      for (const event of events) {
        if (event.kind !== "put") continue;
        const { entry } = event;
        const parsed = this.keys.parse(entry.key);
        if (parsed?.kind === "epoch") this.#epoch(decodeEpoch(parsed.partition, entry));
      }
      for (const event of events) {
        if (event.kind !== "put") continue;
        const { entry } = event;
        const parsed = this.keys.parse(entry.key);
        if (parsed?.kind !== "slot" || parsed.slot !== 0) continue;
        const { partition, sequence } = parsed;
        const further = events.flatMap((other) =>
          other.kind === "put" && other.entry.key.startsWith(`${entry.key}/`) ? [other.entry.value] : [],
        );
        this.#record(decodeRecord({ partition, sequence, revision, values: [entry.value, ...further] }).record);
      }
    }
  }

  sequence(partition: number): number {
    return this.#records[partition]?.length ?? 0;
  }

  /** G3 */
  judgeDurable(record: LogRecord, by: string): void {
    const known = this.#records[record.partition]?.[record.sequence - 1];
    const isSame =
      known !== undefined && known.epoch === record.epoch && Buffer.compare(known.events, record.events) === 0;
    expectRule(
      isSame,
      "acknowledged-lost",
      () =>
        `${by} calls record ${record.sequence} of partition ${record.partition} durable, and etcd has another or none`,
    );
  }

  /** A state that some node has up to and including `sequence`. */
  judgeState(state: PartitionState, sequence: number, whose: string): void {
    const expected = this.#hashes[state.partition]?.[sequence - 1];
    if (sequence === 0 || expected === undefined) return;
    const found = stateHash(state);
    expectRule(
      found === expected,
      "standby-differs",
      () => `${whose} of partition ${state.partition} at record ${sequence}: hash ${found}, not ${expected}`,
    );
  }

  /** The states that replaying everything from an empty state gives. */
  replayAll(): readonly PartitionState[] {
    return replayed(this.#records);
  }

  /** G2 */
  #epoch(record: EpochRecord): void {
    const before = this.epochs.get(record.partition);
    expectRule(
      record.epoch > (before?.epoch ?? 0),
      "epoch-not-raised",
      () =>
        `partition ${record.partition}: ${record.owner} under ${record.epoch} after ${before?.owner} under ${before?.epoch}`,
    );
    this.epochs.set(record.partition, record);
    this.moves += 1;
  }

  /** G1 */
  #record(record: LogRecord): void {
    const { partition, sequence, epoch } = record;
    const state = this.shadows[partition];
    const records = this.#records[partition];
    if (state === undefined || records === undefined) throw new Violation("log-foreign", `partition ${partition}`);
    expectRule(
      sequence === records.length + 1,
      "log-gap",
      () => `partition ${partition} gets record ${sequence} after ${records.length}`,
    );
    const now = this.epochs.get(partition)?.epoch;
    // The last record of an owner goes with the epoch that names its successor.
    expectRule(epoch === now || epoch + 1 === now, "not-fenced", () => `record of epoch ${epoch} under ${now}`);
    expectRule(epoch >= (records.at(-1)?.epoch ?? 0), "epoch-fell", () => `partition ${partition}, record ${sequence}`);
    records.push({ ...record, events: record.events.slice() });
    this.records += 1;
    state.clockMs += record.elapsedMs;
    decodeEvents(record.events, (event) => {
      const applied = this.#witnessed(state, event);
      apply(state, event, SILENT);
      applied();
    });
    this.#hashes[partition]?.push(stateHash(state));
  }
}
