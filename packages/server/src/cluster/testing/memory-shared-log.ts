// memory-shared-log.ts: MemorySharedLog, for the tests of what uses a shared log: one disk (SharedDisk), one log for each node, on a
// clock that tests move. Not for what etcd does to requests: those faults are tried on log/etcd/ itself.
import { assert, ForelockError } from "@forelock/protocol";
import type { Clock } from "../../clock.ts";
import type { LogRecord, Snapshot } from "../../log/event-log.ts";
import type { EpochRecord, Follower, SharedLog, TakenOver } from "../shared-log.ts";

interface Following {
  readonly partition: number;
  readonly follower: Follower;
  readonly log: MemorySharedLog;
}

/** What all nodes see. */
export class SharedDisk {
  readonly records = new Map<number, LogRecord[]>();
  readonly snapshots = new Map<number, Snapshot>();
  readonly epochs = new Map<number, EpochRecord>();
  readonly followings = new Set<Following>();
  /** Everything that was appended, with the owner at that time: for checking after a test. */
  readonly appended: { readonly record: LogRecord; readonly owner: string }[] = [];

  of(partition: number): LogRecord[] {
    const found = this.records.get(partition) ?? [];
    this.records.set(partition, found);
    return found;
  }
}

/** Until a request is done, and until its answer is there. */
const HOP_MS = 1;

export class MemorySharedLog implements SharedLog {
  readonly #disk: SharedDisk;
  readonly #clock: Clock;
  readonly #owned = new Map<number, { epoch: number; sequence: number }>();
  readonly #parked: (() => void)[] = [];
  #isCut = false;
  /** Makes the next `giveTo` fail in this way. */
  failNextGift: "unavailable" | "outcome_unknown" | "outcome_unknown_but_done" | undefined;
  stopped: Error | undefined;
  readonly bytesSinceSnapshot = 0;

  constructor(disk: SharedDisk, clock: Clock) {
    this.#disk = disk;
    this.#clock = clock;
  }

  async append(record: LogRecord): Promise<void> {
    const { partition, epoch, sequence } = record;
    const owned = this.#owned.get(partition);
    assert(
      owned !== undefined && owned.epoch === epoch && owned.sequence + 1 === sequence,
      "appended as owner, in order",
    );
    await this.#hop();
    const truth = this.#disk.epochs.get(partition);
    const last = this.#disk.of(partition).at(-1)?.sequence ?? 0;
    if (truth?.epoch !== epoch || last + 1 !== sequence) {
      this.#owned.delete(partition);
      throw notOwner(partition);
    }
    const kept = { ...record, events: record.events.slice() };
    this.#disk.of(partition).push(kept);
    this.#disk.appended.push({ record: kept, owner: truth.owner });
    owned.sequence = sequence;
    this.#tell(partition, (follower) => follower.record(kept));
    await this.#hop();
  }

  async epochs(): Promise<ReadonlyMap<number, EpochRecord>> {
    await this.#hop();
    const read = new Map(this.#disk.epochs);
    await this.#hop();
    return read;
  }

  async takeOver(
    partition: number,
    { owner, after, seen }: { owner: string; after: number; seen: EpochRecord | undefined },
  ): Promise<TakenOver> {
    await this.#hop();
    const truth = this.#disk.epochs.get(partition);
    if (truth?.epoch !== seen?.epoch || truth?.owner !== seen?.owner) throw notOwner(partition);
    const record = { epoch: (truth?.epoch ?? 0) + 1, owner };
    this.#disk.epochs.set(partition, record);
    this.#tell(partition, (follower) => follower.epoch(record));
    const records = this.#disk.of(partition).filter(({ sequence }) => sequence > after);
    this.#owned.set(partition, { epoch: record.epoch, sequence: records.at(-1)?.sequence ?? after });
    await this.#hop();
    return { epoch: record.epoch, records };
  }

  adopt(partition: number, { epoch, sequence }: { epoch: number; sequence: number }): void {
    this.#owned.set(partition, { epoch, sequence });
  }

  async giveTo(partition: number, successor: string): Promise<EpochRecord> {
    const owned = this.#owned.get(partition);
    const fault = this.failNextGift;
    this.failNextGift = undefined;
    await this.#hop();
    if (fault === "unavailable" || fault === "outcome_unknown") throw new ForelockError(fault, "A test cut the wire.");
    const truth = this.#disk.epochs.get(partition);
    if (truth === undefined || truth.epoch !== owned?.epoch) throw notOwner(partition);
    const record = { epoch: truth.epoch + 1, owner: successor };
    this.#disk.epochs.set(partition, record);
    this.#owned.delete(partition);
    this.#tell(partition, (follower) => follower.epoch(record));
    if (fault !== undefined) throw new ForelockError("outcome_unknown", "A test cut the wire.");
    await this.#hop();
    return record;
  }

  async loadSnapshot(partition: number): Promise<Snapshot | undefined> {
    await this.#hop();
    return this.#disk.snapshots.get(partition);
  }

  follow(partition: number, after: number, follower: Follower): () => void {
    const following: Following = { partition, follower, log: this };
    let isEnded = false;
    void this.#hop().then(() => {
      if (isEnded) return;
      for (const record of this.#disk.of(partition)) if (record.sequence > after) follower.record(record);
      const epoch = this.#disk.epochs.get(partition);
      if (epoch !== undefined) follower.epoch(epoch);
      this.#disk.followings.add(following);
    });
    return () => {
      isEnded = true;
      this.#disk.followings.delete(following);
    };
  }

  lastSequence(partition: number): number {
    return this.#owned.get(partition)?.sequence ?? 0;
  }

  lastEpoch(): number {
    return Math.max(0, ...[...this.#owned.values()].map(({ epoch }) => epoch));
  }

  async *read(): AsyncIterable<readonly LogRecord[]> {}

  async saveSnapshots(snapshots: Iterable<Snapshot>): Promise<void> {
    await this.#hop();
    for (const snapshot of snapshots) this.#disk.snapshots.set(snapshot.partition, snapshot);
  }

  async loadSnapshots(): Promise<readonly Snapshot[]> {
    return [...this.#disk.snapshots.values()];
  }

  async truncate(): Promise<void> {}

  async close(): Promise<void> {}

  #tell(partition: number, tell: (follower: Follower) => void): void {
    for (const following of this.#disk.followings) {
      if (following.partition !== partition) continue;
      const told = (): void => {
        if (this.#disk.followings.has(following)) tell(following.follower);
      };
      if (following.log.#isCut) following.log.#parked.push(told);
      else told();
    }
  }

  /** From now on nothing goes out and nothing comes in. */
  cut(): void {
    this.#isCut = true;
  }

  mend(): void {
    this.#isCut = false;
    for (const go of this.#parked.splice(0)) go();
  }

  #hop(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(HOP_MS, () => {
        if (this.#isCut) this.#parked.push(resolve);
        else resolve();
      });
    });
  }
}

const notOwner = (partition: number): ForelockError =>
  new ForelockError("not_owner", `Partition ${partition} has another owner.`);
