import { expect, test } from "vitest";
import { codeOf, record, recordsOf } from "../contract.ts";
import { RECORD_BYTES_MAX } from "../event-log.ts";
import { NOTHING, Scene, type TxnFault } from "./testing/scene.ts";

test("appends of one turn share a transaction, with three compares each", async () => {
  const { etcd, log } = await new Scene().node("a");
  etcd.requests.length = 0;
  await Promise.all([0, 1, 2, 3].map((partition) => log.append(record(partition, 1))));
  expect(etcd.requests.map(({ compare, success }) => [compare.length, success.length])).toEqual([[12, 8]]);
  await Promise.all([0, 1, 2, 3].map((partition) => log.append(record(partition, 2))));
  expect(etcd.requests.map(({ compare, success }) => [compare.length, success.length])[1]).toEqual([12, 4]);
  await log.close();
});

test("a transaction holds at most what etcd takes; the rest goes with the next", async () => {
  const { etcd, log } = await new Scene().node("a", { partitions: 128 });
  etcd.requests.length = 0;
  await Promise.all(Array.from({ length: 128 }, (_, partition) => log.append(record(partition, 1))));
  expect(etcd.requests.every(({ compare, success }) => Math.max(compare.length, success.length) <= 128)).toBe(true);
  expect(etcd.requests.length).toBe(4);
  etcd.requests.length = 0;
  const events = new Uint8Array(400_000);
  await Promise.all([0, 1, 2, 3, 4].map((partition) => log.append(record(partition, 2, { events }))));
  expect(etcd.requests.length).toBe(2);
  expect((await recordsOf(log)).length).toBe(133);
  await log.close();
});

test.each<readonly [TxnFault, number]>([
  ["refused", 1],
  ["request_lost", 1],
  ["answer_lost", 1],
  ["late", 1],
  ["refused", 3],
  ["request_lost", 3],
  ["late", 3],
])("an append whose transaction is %s, %i times, is durable once", async (fault, times) => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  await log.append(record(0, 1));
  etcd.faults.push(...new Array<TxnFault>(times).fill(fault));
  await scene.until(Promise.all([log.append(record(0, 2)), log.append(record(1, 1))]));
  await etcd.settleLate();
  await log.append(record(0, 3));
  const next = await scene.node("a");
  expect((await recordsOf(next.log)).map(({ partition, sequence }) => `${partition}/${sequence}`)).toEqual([
    "0/1",
    "0/2",
    "1/1",
    "0/3",
  ]);
  expect(log.stopped).toBeUndefined();
});

test("an owner that was deposed is fenced, for its partition only, and nothing of it is durable", async () => {
  const scene = new Scene();
  const [old, next] = [await scene.node("a"), await scene.node("b")];
  await old.log.append(record(0, 1));
  await old.log.append(record(1, 1));
  const taken = await next.log.takeOver(0, { owner: "b", after: NOTHING });
  expect([taken.epoch, taken.records.map(({ sequence }) => sequence), taken.isBehind]).toEqual([2, [1], false]);
  const outcomes = await Promise.allSettled([old.log.append(record(0, 2)), old.log.append(record(1, 2))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  expect(await codeOf(old.log.append(record(0, 2)))).toBe("fenced");
  await next.log.append(record(0, 2, { epoch: 2 }));
  await old.log.append(record(1, 3));
  expect([old.log.stopped, old.log.stoppedOf(0)?.code, old.log.stoppedOf(1)]).toEqual([undefined, "fenced", undefined]);
  const records = (await recordsOf((await scene.node("c")).log)).filter(({ partition }) => partition === 0);
  expect(records.map(({ sequence, epoch }) => [sequence, epoch])).toEqual([
    [1, 1],
    [2, 2],
  ]);
});

test.each<TxnFault>(["answer_lost", "late", "request_lost"])(
  "an append whose transaction is %s, and its owner deposed meanwhile, ends as what it was",
  async (fault) => {
    const scene = new Scene();
    const [old, next] = [await scene.node("a"), await scene.node("b")];
    await old.log.append(record(0, 1));
    old.etcd.faults.push(fault);
    // The take-over comes between the attempt and the look at its slot.
    let taken: Promise<unknown> = Promise.resolve();
    const txn = old.etcd.txn.bind(old.etcd);
    old.etcd.txn = async (request, options) => {
      if (request.success.every(({ kind }) => kind === "range")) await taken;
      try {
        return await txn(request, options);
      } catch (error) {
        taken = next.log.takeOver(0, { owner: "b", after: { epoch: 1, sequence: 1 } });
        throw error;
      }
    };
    const outcome = await scene.until(codeOf(old.log.append(record(0, 2))).catch(() => "durable"));
    await old.etcd.settleLate();
    expect(outcome).toBe(fault === "answer_lost" ? "durable" : "fenced");
    expect(next.log.lastSequence(0)).toBe(fault === "answer_lost" ? 2 : 1);
    expect((await recordsOf((await scene.node("c")).log)).length).toBe(fault === "answer_lost" ? 2 : 1);
    expect(await codeOf(old.log.append(record(0, old.log.lastSequence(0) + 1)))).toBe("fenced");
  },
);

test("while etcd cannot be reached appends wait, and say why; afterwards they go on", async () => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  etcd.faults.push(...new Array<TxnFault>(20).fill("refused"));
  const append = log.append(record(0, 1));
  await scene.settle(100);
  expect(log.waiting?.message).toContain("a test refused");
  await scene.until(append);
  expect(log.waiting).toBeUndefined();
});

test("a full etcd stops nothing for good: what waits is appended when an operator has made room", async () => {
  const scene = new Scene(20_000);
  const { store } = scene;
  const { log } = await scene.node("a");
  store.txn({ compare: [], success: [{ kind: "put", key: "/other/1", value: new Uint8Array(15_000) }] });
  const append = log.append(record(0, 1, { events: new Uint8Array(10_000) }));
  await scene.settle(100);
  expect(log.waiting?.message).toContain("space exceeded");
  store.txn({ compare: [], success: [{ kind: "delete", key: "/other/1" }] });
  store.compact(store.revision);
  store.defragment();
  await scene.until(append);
  expect([log.waiting, log.lastSequence(0)]).toEqual([undefined, 1]);
});

test("close does not wait for an etcd that takes nothing: what is open ends as not known", async () => {
  const scene = new Scene(1_000);
  const { log } = await scene.node("a");
  const append = codeOf(log.append(record(0, 1, { events: new Uint8Array(10_000) })));
  await scene.settle(100);
  await scene.until(log.close());
  expect(await append).toBe("log_stopped");
});

test("a record of four slots is whole or not there, whatever happens to its transaction", async () => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  const events = Uint8Array.from({ length: RECORD_BYTES_MAX }, (_, index) => index % 251);
  etcd.faults.push("request_lost", "late");
  await scene.until(log.append(record(3, 1, { events })));
  await etcd.settleLate();
  const slots = scene.keys().filter((key) => key.startsWith("p/3/log/"));
  expect(slots.map((key) => key.slice("p/3/log/".length))).toEqual([
    "0000000000000001",
    "0000000000000001/1",
    "0000000000000001/2",
    "0000000000000001/3",
  ]);
  const revisions = scene.store.range({ key: "/test/p/3/", end: "/test/p/30" }).entries.map((one) => one.modRevision);
  expect(new Set(revisions).size).toBe(1);
  const [read] = await recordsOf((await scene.node("b")).log);
  expect(Buffer.compare(read?.events ?? new Uint8Array(0), events)).toBe(0);
});

test("a slot that was changed or lost is damage, and is said", async () => {
  const scene = new Scene();
  const { log } = await scene.node("a");
  await log.append(record(0, 1));
  await log.append(record(0, 2));
  await log.append(record(0, 3));
  const { store } = scene;
  store.txn({ compare: [], success: [{ kind: "delete", key: "/test/p/0/log/0000000000000002" }] });
  expect(await codeOf(recordsOf(log))).toBe("log_damaged");
  const key = "/test/p/0/log/0000000000000003";
  const [entry] = store.range({ key }).entries;
  const value = entry?.value.slice() ?? new Uint8Array(0);
  value[40] = (value[40] ?? 0) ^ 1;
  store.txn({ compare: [], success: [{ kind: "put", key, value }] });
  expect(await codeOf(scene.node("b"))).toBe("log_damaged");
});

test("what etcd refuses outright stops the log", async () => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  await etcd.close();
  expect(await codeOf(log.append(record(0, 1)))).toBe("log_stopped");
  expect(log.stopped).toBeDefined();
  expect(await codeOf(log.append(record(1, 1)))).toBe("log_stopped");
  await log.close();
});
