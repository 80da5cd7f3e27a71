// Two nodes that take a partition from one another all the time, over a network that loses, delays and repeats: what was
// acknowledged is there in the end, once, and in one line of epochs.
import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { isEtcdError } from "../../etcd/etcd.ts";
import { NO_FAULTS, seededFaults } from "../../etcd/faults.ts";
import { MemoryEtcd } from "../../etcd/memory.ts";
import { recordsOf } from "../contract.ts";
import type { LogRecord } from "../event-log.ts";
import { type EtcdEventLog, openEtcdEventLog } from "./etcd-event-log.ts";
import { NOTHING, Scene } from "./testing/scene.ts";

const RATES = {
  ...NO_FAULTS,
  refused: 0.05,
  requestLost: 0.05,
  answerLost: 0.08,
  late: 0.08,
  slow: 0.3,
  slowMsMax: 60,
};
const SETTINGS = { cluster: "test", partitions: 1 };

test.each(Array.from({ length: 16 }, (_, index) => index + 1))(
  "rivals on a bad network lose nothing that was acknowledged (seed %i)",
  async (seed) => {
    const scene = new Scene();
    const random = seededRandom(seed);
    const acknowledged: LogRecord[] = [];
    const takings: { readonly epoch: number; readonly tail: number }[] = [];
    const believed = new Map<string, number>();
    let isOver = false;
    let actions = 0;

    const live = async (owner: string): Promise<void> => {
      const healthy = new MemoryEtcd({ store: scene.store });
      const etcd = new MemoryEtcd({ store: scene.store, deadlineMs: 80, faults: seededFaults(random, RATES) });
      const rival = await openEtcdEventLog({ ...SETTINGS, etcd: faulty(etcd, healthy), clock: scene.clock, owner });
      while (!isOver) {
        actions += 1;
        await act(rival, owner);
      }
      await rival.close();
    };

    const act = async (log: EtcdEventLog, owner: string): Promise<void> => {
      try {
        // A node believes that it owns the partition until it is told otherwise.
        const epoch = believed.get(owner);
        if (epoch === undefined || random() < 0.05) {
          if (random() < 0.7) return;
          const taken = await log.takeOver(0, { owner, after: NOTHING });
          believed.set(owner, taken.epoch);
          takings.push({ epoch: taken.epoch, tail: log.lastSequence(0) });
          return;
        }
        const sequence = log.lastSequence(0) + 1;
        const events = Buffer.from(`${owner} ${epoch} ${sequence} ${random()}`);
        const record = { partition: 0, epoch, sequence, elapsedMs: 1, events };
        if (random() < 0.1) await log.giveTo(0, owner === "a" ? "b" : "a", record);
        else await log.append(record);
        acknowledged.push(record);
        if (log.stoppedOf(0) !== undefined) believed.delete(owner);
      } catch (error) {
        // Fenced, or etcd was not to be had.
        if (log.stoppedOf(0) !== undefined) believed.delete(owner);
        if (!(error instanceof ForelockError && error.code === "fenced") && !isEtcdError(error)) throw error;
      }
    };

    const lives = Promise.all([live("a"), live("b")]);
    while (actions < 300) await Promise.race([scene.settle(50), lives]);
    isOver = true;
    await scene.until(lives);
    await scene.settle(1_000); // What is late comes now.

    const etcd = new MemoryEtcd({ store: scene.store });
    const records = await recordsOf(await openEtcdEventLog({ ...SETTINGS, etcd, clock: scene.clock, owner: "c" }));
    const textOf = ({ events }: LogRecord): string => Buffer.from(events).toString();
    const all = new Set(records.map(textOf));
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(acknowledged.filter((one) => !all.has(textOf(one)))).toEqual([]);
    expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, index) => index + 1));
    const epochs = records.map(({ epoch }) => epoch);
    expect(epochs).toEqual([...epochs].sort((one, other) => one - other));
    for (const { epoch, tail } of takings)
      expect(records.filter((record) => record.epoch < epoch && record.sequence > tail)).toEqual([]);
    for (const record of records) expect(textOf(record)).toContain(` ${record.epoch} ${record.sequence} `);
  },
);

/** Opening a log is not what is tried here: that goes without faults, all else with them. */
function faulty(etcd: MemoryEtcd, healthy: MemoryEtcd): MemoryEtcd {
  let reads = 0;
  const range = etcd.range.bind(etcd);
  const txn = etcd.txn.bind(etcd);
  etcd.range = (request, options) => (reads++ === 0 ? healthy : { range }).range(request, options);
  etcd.txn = (request, options) => (reads++ < 3 ? healthy : { txn }).txn(request, options);
  return etcd;
}

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
