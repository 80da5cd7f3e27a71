// ledger.ts: what was durable, kept outside of the server: every record that the log acknowledged, and for each partition a state that
// has applied exactly those (the shadow). The shadow never saw a snapshot and never restarts: what a server recovers must equal it.
//   G1. A record that was acknowledged is in every later log, unchanged, until snapshots cover it.
//   G2. A record that was not acknowledged may be there after a crash, whole, or not at all.
import {
  apply,
  createState,
  decodeEvents,
  type EventLog,
  type LogRecord,
  type PartitionEvent,
  type PartitionState,
  SILENT,
} from "forelock/internal";
import { withAppend } from "./log-around.ts";
import { replayed } from "./replayed.ts";
import type { Process } from "./time.ts";
import { expectRule, Violation } from "./violation.ts";

/** Called for each durable event; what it returns is called when the event has been applied. */
export type Witnessed = (state: PartitionState, event: PartitionEvent) => () => void;

export class Ledger {
  readonly shadows: readonly PartitionState[];
  readonly #records: LogRecord[][];
  /** Handed to the log of the running server, and not yet acknowledged. By partition. */
  readonly #pending = new Map<number, LogRecord>();
  readonly #witnessed: Witnessed;
  records = 0;
  events = 0;
  highestEpoch = 0;

  constructor(partitions: number, witnessed: Witnessed) {
    this.shadows = Array.from({ length: partitions }, (_, partition) => createState(partition));
    this.#records = Array.from({ length: partitions }, () => []);
    this.#witnessed = witnessed;
  }

  isInFlight(partition: number): boolean {
    return this.#pending.has(partition);
  }

  /** The log as the server sees it, with notes taken of all that passes. `died` is told when a note cannot be taken. */
  around(log: EventLog, process: Process, died: (cause: unknown) => void): EventLog {
    return withAppend(log, async (record) => {
      const copy = { ...record, events: record.events.slice() };
      this.#pending.set(record.partition, copy);
      await log.append(record);
      if (!process.isAlive) return;
      try {
        this.#pending.delete(record.partition);
        this.#durable(copy);
      } catch (cause) {
        died(cause);
      }
    });
  }

  /** Compares a log that was opened after a crash with what was acknowledged, and takes in what landed beyond that. G1, G2 */
  async takeStock(log: EventLog): Promise<void> {
    for await (const batch of log.read(() => 0)) {
      for (const record of batch) this.#meet(record);
    }
    this.#pending.clear();
    for (const [partition, records] of this.#records.entries()) {
      expectRule(
        log.lastSequence(partition) === records.length,
        "acknowledged-lost",
        () => `partition ${partition} recovers up to record ${log.lastSequence(partition)} of ${records.length}`,
      );
    }
    expectRule(
      log.lastEpoch() >= this.highestEpoch,
      "epoch-fell",
      () => `the log knows epoch ${log.lastEpoch()}; there was ${this.highestEpoch}`,
    );
  }

  /** The states that replaying everything from an empty state gives. */
  replayAll(): readonly PartitionState[] {
    return replayed(this.#records);
  }

  #meet(record: LogRecord): void {
    const { partition, sequence } = record;
    const records = this.#records[partition];
    if (records === undefined) throw new Violation("log-foreign", `the log names partition ${partition}`);
    const known = records[sequence - 1];
    if (known !== undefined) {
      expectRule(isSame(known, record), "acknowledged-changed", () => `record ${sequence} of partition ${partition}`);
      return;
    }
    const pending = this.#pending.get(partition);
    expectRule(
      sequence === records.length + 1 && pending !== undefined && isSame(pending, record),
      "log-invented",
      () => `record ${sequence} of partition ${partition} was never handed to the log`,
    );
    this.#durable({ ...record, events: record.events.slice() });
  }

  #durable(record: LogRecord): void {
    const { partition } = record;
    const state = this.shadows[partition];
    if (state === undefined) throw new Violation("log-foreign", `a record names partition ${partition}`);
    this.#records[partition]?.push(record);
    this.records += 1;
    this.highestEpoch = Math.max(this.highestEpoch, record.epoch);
    state.clockMs += record.elapsedMs;
    decodeEvents(record.events, (event) => {
      this.events += 1;
      const applied = this.#witnessed(state, event);
      apply(state, event, SILENT);
      applied();
    });
  }
}

function isSame(a: LogRecord, b: LogRecord): boolean {
  const isSamePlace = a.epoch === b.epoch && a.sequence === b.sequence && a.elapsedMs === b.elapsedMs;
  return isSamePlace && Buffer.compare(a.events, b.events) === 0;
}
