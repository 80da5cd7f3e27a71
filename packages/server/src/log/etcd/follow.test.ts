import { expect, test } from "vitest";
import { NO_FAULTS, seededFaults } from "../../etcd/faults.ts";
import { record } from "../contract.ts";
import { RECORD_BYTES_MAX } from "../event-log.ts";
import { CLUSTER, Follower, NOTHING, Scene } from "./testing/scene.ts";

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

test("a follower gets what was and what comes, in order, and the epoch records", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  await a.log.append(record(0, 2));
  const follower = new Follower();
  const following = b.log.follow(0, { epoch: 1, sequence: 1 }, follower, follower.stop.signal);
  await scene.settle();
  await a.log.append(record(0, 3));
  const claim = await a.log.giveTo(0, "b", record(0, 4));
  await scene.settle();
  expect(follower.lines).toEqual([
    "record 2 epoch 1",
    "epoch 1 a",
    "record 3 epoch 1",
    "record 4 epoch 1",
    "epoch 2 b",
  ]);
  expect(follower.epochs.at(-1)).toEqual(claim);
  expect(follower.records[1]).toEqual(record(0, 3));
  // The successor goes on from what it followed, without asking etcd anything.
  const ranges = b.etcd.ranges + b.etcd.requests.length;
  await b.log.adopt(claim, { epoch: 1, sequence: 4 });
  expect(b.etcd.ranges + b.etcd.requests.length).toBe(ranges);
  await b.log.append(record(0, 5, { epoch: 2 }));
  await scene.settle();
  expect(follower.sequences).toEqual([2, 3, 4, 5]);
  follower.stop.abort();
  expect(await following).toBe("aborted");
});

test("all partitions that a node follows share one watch", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  const followers = upTo(8).map(() => new Follower());
  const ends = followers.map((one, partition) => b.log.follow(partition, NOTHING, one, one.stop.signal));
  await scene.settle();
  for (const sequence of upTo(5))
    await Promise.all(followers.map((_, partition) => a.log.append(record(partition, sequence))));
  await scene.settle();
  expect(followers.map(({ sequences }) => sequences)).toEqual(followers.map(() => upTo(5)));
  expect([b.log.counts.follow.watches, b.log.counts.follow.batches <= 5]).toEqual([1, true]);
  for (const { stop } of followers) stop.abort();
  expect(new Set(await Promise.all(ends))).toEqual(new Set(["aborted"]));
  const again = new Follower();
  const end = b.log.follow(3, { epoch: 1, sequence: 5 }, again, again.stop.signal);
  await scene.settle();
  await a.log.append(record(3, 6));
  await scene.settle();
  expect(again.sequences).toEqual([6]);
  await b.log.close();
  expect(await end).toBe("aborted");
});

test("a record of four slots comes whole", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  const follower = new Follower();
  void b.log.follow(0, NOTHING, follower, follower.stop.signal);
  await scene.settle();
  const events = new Uint8Array(RECORD_BYTES_MAX).fill(9);
  await a.log.append(record(0, 1, { events }));
  await scene.settle();
  expect(Buffer.compare(follower.records[0]?.events ?? new Uint8Array(0), events)).toBe(0);
  await b.log.close();
});

test("a follower whose watch is compacted away reads the log anew, and misses nothing", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  const follower = new Follower();
  void b.log.follow(0, NOTHING, follower, follower.stop.signal);
  await scene.settle();
  b.etcd.cut();
  for (const sequence of upTo(300)) await a.log.append(record(0, sequence));
  scene.store.compact(scene.store.revision);
  b.etcd.mend();
  await scene.settle(6_000);
  await a.log.append(record(0, 301));
  await scene.settle();
  expect(follower.sequences).toEqual(upTo(301));
  await b.log.close();
});

test("a follower that is behind the truncation is told, and can begin from the snapshot", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  for (const sequence of upTo(20)) await a.log.append(record(0, sequence));
  const state = new Uint8Array(3);
  await a.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 10, state }]);
  await a.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 15, state }]);
  await a.log.truncate();
  const follower = new Follower();
  expect(await scene.until(b.log.follow(0, { epoch: 1, sequence: 4 }, follower, follower.stop.signal))).toBe("behind");
  const snapshot = await b.log.loadSnapshot(0);
  expect(snapshot?.sequence).toBe(15);
  void b.log.follow(0, { epoch: 1, sequence: 15 }, follower, follower.stop.signal);
  await scene.settle();
  expect(follower.sequences).toEqual([16, 17, 18, 19, 20]);
  await b.log.close();
});

test("a watch that stands still while the store moves on is begun again", async () => {
  const scene = new Scene();
  let stalls = 1;
  const faults = {
    watch: () => (stalls-- > 0 ? ({ kind: "stalled", delayMs: 3_600_000 } as const) : undefined),
  };
  const [a, b] = [await scene.node("a"), await scene.node("b", { faults })];
  const follower = new Follower();
  void b.log.follow(0, NOTHING, follower, follower.stop.signal);
  await scene.settle();
  await a.log.append(record(0, 1));
  await scene.settle();
  expect(follower.sequences).toEqual([]);
  await scene.settle(8_000);
  expect(follower.sequences).toEqual([1]);
  await b.log.close();
});

test("what a sink throws ends its follower only", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  const sink = {
    record: () => {
      throw new Error("the state differs");
    },
    epoch: () => undefined,
  };
  const broken = b.log.follow(0, NOTHING, sink, new AbortController().signal).catch((error: unknown) => error);
  const healthy = new Follower();
  void b.log.follow(1, NOTHING, healthy, healthy.stop.signal);
  await a.log.append(record(0, 1));
  await a.log.append(record(1, 1));
  expect(await scene.until(broken)).toMatchObject({ message: "the state differs" });
  await scene.settle();
  expect(healthy.sequences).toEqual([1]);
  await b.log.close();
});

test.each(upTo(12))(
  "under faults of every kind a follower has the owner's records, once and in order (seed %i)",
  async (seed) => {
    const scene = new Scene();
    const random = seededRandom(seed);
    const rates = { ...NO_FAULTS, refused: 0.05, answerLost: 0.05, slow: 0.2, slowMsMax: 40 };
    const watching = { stalled: 0.2, stalledMsMax: 300, repeated: 0.15, skipped: 0.15, broken: 0.1, requestLost: 0.02 };
    const [a, b] = [await scene.node("a"), await scene.node("b", { stallMs: 500 })];
    b.etcd.network = seededFaults(random, { ...rates, ...watching });
    const followers = [0, 1].map(() => new Follower());
    const ends = followers.map((one, partition) => b.log.follow(partition, NOTHING, one, one.stop.signal));
    for (const sequence of upTo(60)) {
      for (const partition of [0, 1]) {
        const size = random() < 0.1 ? 600_000 : 50;
        await a.log.append(record(partition, sequence, { events: new Uint8Array(size).fill(sequence) }));
      }
      if (random() < 0.4) await scene.settle(30);
      if (random() < 0.05) scene.store.compact(scene.store.revision);
    }
    // A batch that was skipped shows with the next one.
    for (const sequence of upTo(40).map((more) => more + 60)) {
      for (const partition of [0, 1]) await a.log.append(record(partition, sequence));
      await scene.settle(300);
      if (followers.every(({ sequences }) => sequences.at(-1) === sequence)) break;
    }
    for (const { records, sequences } of followers) {
      expect(sequences).toEqual(upTo(sequences.length));
      expect(sequences.length).toBeGreaterThan(60);
      for (const one of records.slice(0, 60)) expect(one.events.every((byte) => byte === one.sequence)).toBe(true);
    }
    await scene.until(b.log.close());
    expect(await Promise.all(ends)).toEqual(["aborted", "aborted"]);
  },
);

test("keys of other clusters and of other kinds are no business of a follower", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  const follower = new Follower();
  void b.log.follow(0, NOTHING, follower, follower.stop.signal);
  await scene.settle();
  const put = (key: string) => ({ kind: "put", key, value: new Uint8Array(1) }) as const;
  const keys = [`/${CLUSTER}/map`, `/${CLUSTER}/p/0/log/7`, `/${CLUSTER}2/p/0/log/0000000000000001`];
  scene.store.txn({ compare: [], success: keys.map(put) });
  await a.log.append(record(0, 1));
  await scene.settle();
  expect(follower.lines).toEqual(["epoch 0 ", "record 1 epoch 1", "epoch 1 a"]);
  await b.log.close();
});

function seededRandom(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 1 | state) + 0x6d2b79f5) | 0;
    return ((state ^ (state >>> 14)) >>> 0) / 4_294_967_296;
  };
}
