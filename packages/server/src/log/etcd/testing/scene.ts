// scene.ts: one store and several nodes on it, each with its own faults, for the tests of the log on etcd.
import type { CallOptions, RangeAnswer, RangeRequest, TxnAnswer, TxnRequest } from "../../../etcd/etcd.ts";
import { EtcdError } from "../../../etcd/etcd.ts";
import type { EtcdFaults } from "../../../etcd/faults.ts";
import { MemoryEtcd, MemoryEtcdStore } from "../../../etcd/memory.ts";
import { ManualClock } from "../../../shard/testing/world.ts";
import type { LogRecord } from "../../event-log.ts";
import type { EpochRecord } from "../epoch.ts";
import { type EtcdEventLog, type EtcdEventLogOptions, openEtcdEventLog } from "../etcd-event-log.ts";

export const CLUSTER = "test";

/** What happens to the next requests of a node, one after another. `late` ones are done when the test says so. */
export type TxnFault = "request_lost" | "answer_lost" | "late" | "refused";

/** A client whose transactions fail as the test lists. The answer is given at once, without a deadline. */
export class FaultyEtcd extends MemoryEtcd {
  readonly faults: TxnFault[] = [];
  readonly late: (() => Promise<unknown>)[] = [];
  readonly requests: TxnRequest[] = [];
  ranges = 0;
  /** Whether what was late is done just before the next request that changes something, else when the test says so. */
  isLateFirst = false;
  /** Of the network, as soon as a test sets it. */
  network: EtcdFaults = {};

  constructor(store: MemoryEtcdStore, faults: EtcdFaults) {
    const network = (): EtcdFaults => this.network;
    super({
      store,
      faults: { request: (kind) => network().request?.(kind), watch: () => network().watch?.() },
    });
    this.network = faults;
  }

  override async txn(request: TxnRequest, options?: CallOptions): Promise<TxnAnswer> {
    this.requests.push(request);
    const isRead = request.success.every(({ kind }) => kind === "range");
    if (!isRead && this.isLateFirst) await this.settleLate();
    const fault = isRead ? undefined : this.faults.shift();
    if (fault === "refused") throw new EtcdError("unavailable", "a test refused the request");
    if (fault === "late") this.late.push(() => super.txn(request, options));
    const answer = fault === undefined || fault === "answer_lost" ? await super.txn(request, options) : undefined;
    if (fault !== undefined || answer === undefined) throw new EtcdError("outcome_unknown", "a test lost the answer");
    return answer;
  }

  override range(request: RangeRequest, options?: CallOptions): Promise<RangeAnswer> {
    this.ranges += 1;
    return super.range(request, options);
  }

  /** Does what was late, in order. */
  async settleLate(): Promise<void> {
    for (const run of this.late.splice(0)) await run();
  }
}

export interface Node {
  readonly etcd: FaultyEtcd;
  readonly log: EtcdEventLog;
}

export class Scene {
  readonly clock = new ManualClock();
  readonly store: MemoryEtcdStore;

  constructor(quotaBytes?: number) {
    this.store = new MemoryEtcdStore(
      quotaBytes === undefined ? { clock: this.clock } : { clock: this.clock, quotaBytes },
    );
  }

  async node(owner: string, options: Partial<EtcdEventLogOptions> & { faults?: EtcdFaults } = {}): Promise<Node> {
    const { faults = {}, ...rest } = options;
    const etcd = new FaultyEtcd(this.store, faults);
    const log = await openEtcdEventLog({ etcd, clock: this.clock, cluster: CLUSTER, owner, partitions: 8, ...rest });
    return { etcd, log };
  }

  /** Lets time pass in small steps until the promise settles. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    settled.catch(() => {}); // Told by the return below.
    for (let turn = 0; turn < 2_000 && !isSettled; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!isSettled) await this.clock.advance(10);
    }
    if (!isSettled) throw new Error("the promise did not settle in 20 s of the scene's clock");
    return settled;
  }

  /** Lets everything that is due happen, over some time. */
  async settle(ms = 200): Promise<void> {
    for (let turn = 0; turn < ms / 10; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.clock.advance(10);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Keys of the cluster, without its prefix. */
  keys(): readonly string[] {
    const prefix = `/${CLUSTER}/`;
    const { entries } = this.store.range({ key: prefix, end: `/${CLUSTER}0` });
    return entries.map(({ key }) => key.slice(prefix.length));
  }
}

/** What a follower was told, as lines. */
export class Follower {
  readonly lines: string[] = [];
  readonly records: LogRecord[] = [];
  readonly epochs: EpochRecord[] = [];
  readonly stop = new AbortController();

  record(record: LogRecord): void {
    this.records.push(record);
    this.lines.push(`record ${record.sequence} epoch ${record.epoch}`);
  }

  epoch(record: EpochRecord): void {
    this.epochs.push(record);
    this.lines.push(`epoch ${record.epoch} ${record.owner}`);
  }

  get sequences(): readonly number[] {
    return this.records.map(({ sequence }) => sequence);
  }
}

export const NOTHING = { epoch: 0, sequence: 0 };
