// memory.ts: MemoryEventLog, for the tests of what uses a log. It keeps a disk (MemoryLogDisk) apart from the log that is open
// on it, so that a test can crash and open again, and it fails on request.
//   Records become durable one event-loop turn after they were appended, in order, as with group commit.
import { assert, ForelockError } from "@forelock/protocol";
import { type EventLog, type LogRecord, RECORD_BYTES_MAX, type Snapshot } from "./event-log.ts";

/** What survives a crash. */
export class MemoryLogDisk {
  records: LogRecord[] = [];
  /** Newest first, at most two. */
  generations: (readonly Snapshot[])[] = [];
}

export interface MemoryLogOptions {
  readonly disk: MemoryLogDisk;
  /**
   * Asked when a record is about to become durable, with the number of appends of this log before it: `lost` stops the stream
   * without the record, `landed` stops it though the record is durable. Both reject with `log_stopped`.
   */
  readonly fault?: (appendsBefore: number, record: LogRecord) => "lost" | "landed" | undefined;
  /** Resolves when the disk has done a write. Default: at once. */
  readonly pause?: () => Promise<void>;
}

interface Pending {
  readonly record: LogRecord;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class MemoryEventLog implements EventLog {
  readonly #options: MemoryLogOptions;
  readonly #inFlight = new Set<number>();
  readonly #tailByPartition = new Map<number, { readonly sequence: number; readonly epoch: number }>();
  #lastEpoch = 0;
  #pending: Pending[] = [];
  #running: Promise<void> | undefined;
  #appends = 0;
  #bytesSinceSnapshot = 0;
  #stopped: Error | undefined;
  #isClosed = false;

  constructor(options: MemoryLogOptions) {
    this.#options = options;
    for (const record of options.disk.records) this.#raiseTail(record);
    for (const snapshot of options.disk.generations[0] ?? []) this.#raiseTail(snapshot);
    this.#bytesSinceSnapshot = this.#uncovered().reduce((sum, record) => sum + record.events.byteLength, 0);
  }

  get stopped(): Error | undefined {
    return this.#stopped;
  }

  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  async append(record: LogRecord): Promise<void> {
    if (this.#isClosed) throw new ForelockError("log_stopped", "The log is closed.");
    if (this.#stopped !== undefined) throw this.#stopped;
    const { partition, sequence } = record;
    assert(record.events.byteLength <= RECORD_BYTES_MAX, `a record has at most ${RECORD_BYTES_MAX} bytes`);
    assert(!this.#inFlight.has(partition), `partition ${partition} has no append in flight`);
    const tail = this.#tailByPartition.get(partition) ?? { sequence: 0, epoch: 0 };
    assert(sequence === tail.sequence + 1, `sequence ${sequence} of partition ${partition} follows ${tail.sequence}`);
    assert(record.epoch >= tail.epoch, `epoch ${record.epoch} of partition ${partition} is not below ${tail.epoch}`);
    this.#inFlight.add(partition);
    const kept = { ...record, events: record.events.slice() };
    try {
      await new Promise<void>((resolve, reject) => {
        this.#pending.push({ record: kept, resolve, reject });
        this.#running ??= this.#run();
      });
    } finally {
      this.#inFlight.delete(partition);
    }
  }

  lastSequence(partition: number): number {
    return this.#tailByPartition.get(partition)?.sequence ?? 0;
  }

  lastEpoch(): number {
    return this.#lastEpoch;
  }

  read(after: (partition: number) => number): AsyncIterable<readonly LogRecord[]> {
    return inBatches([...this.#options.disk.records], after);
  }

  async saveSnapshots(snapshots: Iterable<Snapshot>): Promise<void> {
    const { disk } = this.#options;
    const isNew = disk.generations.length === 0 && disk.records.length === 0;
    const saved = [...snapshots].map((snapshot) => ({ ...snapshot, state: snapshot.state.slice() }));
    for (const { partition, sequence } of saved) {
      const last = this.lastSequence(partition);
      assert(isNew || sequence <= last, `snapshot ${sequence} of ${partition} is not above ${last}`);
    }
    assert(new Set(saved.map(({ partition }) => partition)).size === saved.length, "one snapshot per partition");
    for (const snapshot of saved) this.#raiseTail(snapshot);
    disk.generations = [saved, ...disk.generations.slice(0, 1)];
    this.#bytesSinceSnapshot = 0;
  }

  async loadSnapshots(): Promise<readonly Snapshot[]> {
    return this.#options.disk.generations[0] ?? [];
  }

  async truncate(): Promise<void> {
    const { disk } = this.#options;
    const older = disk.generations[1] ?? [];
    const coveredByPartition = new Map(older.map(({ partition, sequence }) => [partition, sequence]));
    disk.records = disk.records.filter(
      ({ partition, sequence }) => sequence > (coveredByPartition.get(partition) ?? 0),
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  /** As if the process died: nothing more becomes durable, and no promise of this log settles any more. */
  crash(): void {
    this.#isClosed = true;
    this.#pending = [];
    this.#stopped = new ForelockError("log_stopped", "The process died.");
  }

  async #run(): Promise<void> {
    // As in the segment log: whatever this turn of the event loop still appends shares the write.
    await new Promise<void>((resolve) => queueMicrotask(() => process.nextTick(resolve)));
    while (this.#pending.length > 0 && this.#stopped === undefined) {
      await this.#options.pause?.();
      for (const pending of this.#pending.splice(0)) this.#settle(pending);
      await Promise.resolve();
    }
    this.#running = undefined;
  }

  #settle({ record, resolve, reject }: Pending): void {
    const fault = this.#stopped === undefined ? this.#options.fault?.(this.#appends++, record) : "lost";
    if (fault !== "lost") this.#options.disk.records.push(record);
    if (fault === undefined) {
      this.#raiseTail(record);
      this.#bytesSinceSnapshot += record.events.byteLength;
      resolve();
      return;
    }
    this.#stopped ??= new ForelockError("log_stopped", `A test made the append of sequence ${record.sequence} fail.`);
    reject(this.#stopped);
  }

  #uncovered(): readonly LogRecord[] {
    const covered = new Map(this.#options.disk.generations[0]?.map(({ partition, sequence }) => [partition, sequence]));
    return this.#options.disk.records.filter(({ partition, sequence }) => sequence > (covered.get(partition) ?? 0));
  }

  #raiseTail({ partition, sequence, epoch }: Omit<Snapshot, "state">): void {
    if (sequence > this.lastSequence(partition)) this.#tailByPartition.set(partition, { sequence, epoch });
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
  }
}

const BATCH_RECORDS_MAX = 256;

async function* inBatches(
  records: readonly LogRecord[],
  after: (partition: number) => number,
): AsyncGenerator<readonly LogRecord[], void> {
  const wanted = records.filter((record) => record.sequence > after(record.partition));
  for (let from = 0; from < wanted.length; from += BATCH_RECORDS_MAX)
    yield wanted.slice(from, from + BATCH_RECORDS_MAX);
}
