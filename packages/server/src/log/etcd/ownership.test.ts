import { expect, test } from "vitest";
import { codeOf, record, recordsOf, rejection } from "../contract.ts";
import { EPOCH_MAX } from "./record.ts";
import { NOTHING, Scene, type TxnFault } from "./testing/scene.ts";

test("of two nodes that take over on the same epoch record one wins, and the other is told", async () => {
  const scene = new Scene();
  const [a, b, c] = [await scene.node("a"), await scene.node("b"), await scene.node("c")];
  await a.log.append(record(0, 1));
  const expected = (await b.log.ownEpochs()).get(0);
  if (expected === undefined) throw new Error("there is an epoch record");
  expect(expected).toMatchObject({ epoch: 1, owner: "a", partition: 0 });
  const wish = { after: { epoch: 1, sequence: 1 }, expected };
  const outcomes = await Promise.allSettled([
    b.log.takeOver(0, { owner: "b", ...wish }),
    c.log.takeOver(0, { owner: "c", ...wish }),
  ]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const [lost] = outcomes.filter((one) => one.status === "rejected");
  expect(lost?.reason).toMatchObject({ code: "fenced" });
  const epochs = await a.log.ownEpochs();
  expect(epochs.get(0)?.epoch).toBe(2);
});

test.each<TxnFault>(["refused", "request_lost", "answer_lost", "late"])(
  "a take-over whose transaction is %s raises the epoch once",
  async (fault) => {
    const scene = new Scene();
    const [a, b] = [await scene.node("a"), await scene.node("b")];
    await a.log.append(record(0, 1));
    await a.log.append(record(0, 2));
    b.etcd.faults.push(fault);
    const taken = await scene.until(b.log.takeOver(0, { owner: "b", after: { epoch: 1, sequence: 1 } }));
    await b.etcd.settleLate();
    expect([taken.epoch, taken.records.map(({ sequence }) => sequence)]).toEqual([2, [2]]);
    expect((await b.log.ownEpochs()).get(0)).toEqual({
      partition: 0,
      epoch: 2,
      owner: "b",
      modRevision: taken.claim.modRevision,
    });
    await b.log.append(record(0, 3, { epoch: 2 }));
    expect(await codeOf(a.log.append(record(0, 3)))).toBe("fenced");
  },
);

test("a take-over reads a tail longer than a page, and tells who is behind the truncation", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  for (let sequence = 1; sequence <= 300; sequence++) await a.log.append(record(0, sequence));
  const taken = await b.log.takeOver(0, { owner: "b", after: { epoch: 1, sequence: 10 } });
  expect(taken.records.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 290 }, (_, index) => index + 11));
  const state = new Uint8Array(10);
  await b.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 200, state }]);
  await b.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 300, state }]);
  await b.log.truncate();
  const late = await a.log.takeOver(0, { owner: "a", after: { epoch: 1, sequence: 10 } });
  expect([late.isBehind, late.records[0]?.sequence, late.epoch]).toEqual([true, 201, 3]);
  const warm = await b.log.takeOver(0, { owner: "b", after: { epoch: 1, sequence: 300 } });
  expect([warm.isBehind, warm.records]).toEqual([false, []]);
});

test("who followed another log than etcd has is refused", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1, { epoch: 3 }));
  expect(await codeOf(b.log.takeOver(0, { owner: "b", after: { epoch: 3, sequence: 9 } }))).toBe("log_damaged");
  expect(await codeOf(b.log.takeOver(0, { owner: "b", after: { epoch: 2, sequence: 1 } }))).toBe("log_damaged");
});

test("a hand-over is one transaction: the last record, and the successor's epoch", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  const before = scene.store.revision;
  const claim = await a.log.giveTo(0, "b", record(0, 2));
  expect(scene.store.revision).toBe(before + 1);
  expect(claim).toEqual({ partition: 0, epoch: 2, owner: "b", modRevision: scene.store.revision });
  expect(await codeOf(a.log.append(record(0, 3)))).toBe("fenced");
  await b.log.adopt(claim, { epoch: 1, sequence: 2 });
  await b.log.append(record(0, 3, { epoch: 2 }));
  const back = await b.log.giveTo(0, "a", undefined);
  await a.log.adopt(back, { epoch: 2, sequence: 3 });
  await a.log.append(record(0, 4, { epoch: 3 }));
  expect((await recordsOf(a.log)).map(({ epoch }) => epoch)).toEqual([1, 1, 2, 3]);
});

test.each<TxnFault>(["refused", "request_lost", "answer_lost", "late"])(
  "a hand-over whose transaction is %s happens once",
  async (fault) => {
    const scene = new Scene();
    const { etcd, log } = await scene.node("a");
    await log.append(record(0, 1));
    etcd.faults.push(fault);
    const claim = await scene.until(log.giveTo(0, "b", record(0, 2)));
    await etcd.settleLate();
    expect((await log.ownEpochs()).get(0)).toEqual(claim);
    expect([claim.epoch, claim.owner]).toEqual([2, "b"]);
    expect((await recordsOf((await scene.node("c")).log)).length).toBe(2);
  },
);

test("who tries again, and is overtaken by the first attempt, did it all the same", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  for (const { etcd } of [a, b]) etcd.isLateFirst = true;
  a.etcd.faults.push("late");
  await scene.until(a.log.append(record(0, 1)));
  a.etcd.faults.push("late");
  const claim = await scene.until(a.log.giveTo(0, "b", record(0, 2)));
  expect([claim.epoch, claim.owner]).toEqual([2, "b"]);
  b.etcd.faults.push("late");
  const taken = await scene.until(b.log.takeOver(0, { owner: "b", after: NOTHING }));
  expect([taken.epoch, taken.records.map(({ sequence }) => sequence)]).toEqual([3, [1, 2]]);
  await b.log.append(record(0, 3, { epoch: 3 }));
  expect((await recordsOf(b.log)).length).toBe(3);
});

test("a successor that took over by itself does not make a lost hand-over look as if it was done", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  a.etcd.faults.push("request_lost");
  const giving = codeOf(a.log.giveTo(0, "b", record(0, 2)));
  const taken = await b.log.takeOver(0, { owner: "b", after: NOTHING });
  expect([taken.epoch, taken.records.length]).toEqual([2, 1]); // The epoch record that the hand-over would have made.
  expect(await scene.until(giving)).toBe("fenced");
});

test("a hand-over that etcd does not take leaves the owner as it was, once it gives up", async () => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  await log.append(record(0, 1));
  etcd.faults.push(...new Array<TxnFault>(50).fill("refused"));
  const giving = new AbortController();
  const gift = rejection(log.giveTo(0, "b", record(0, 2), { signal: giving.signal }));
  await scene.settle(100);
  giving.abort();
  expect(await scene.until(gift)).toMatchObject({ kind: "unavailable" });
  etcd.faults.length = 0;
  await log.append(record(0, 2));
  expect((await log.ownEpochs()).get(0)).toMatchObject({ epoch: 1, owner: "a" });
});

test("a deposed owner cannot give the partition away", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  await b.log.takeOver(0, { owner: "b", after: NOTHING });
  expect(await codeOf(a.log.giveTo(0, "c", record(0, 2)))).toBe("fenced");
  expect((await a.log.ownEpochs()).get(0)).toMatchObject({ epoch: 2, owner: "b" });
  expect(await codeOf((await scene.node("c")).log.giveTo(0, "a", undefined))).toBe("fenced");
});

test("the last epoch that a token can hold is the last there is", async () => {
  const scene = new Scene();
  const { log } = await scene.node("a");
  await log.append(record(0, 1, { epoch: EPOCH_MAX }));
  expect(await codeOf(log.takeOver(0, { owner: "a", after: NOTHING }))).toBe("not_supported");
  expect(await codeOf(log.giveTo(0, "b", undefined))).toBe("not_supported");
  await rejection(log.append(record(1, 1, { epoch: EPOCH_MAX + 1 })));
  expect(log.stopped).toBeUndefined();
});

test("a partition that comes back is adopted when the append of before has its answer, and not sooner", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  a.etcd.faults.push(...new Array<TxnFault>(20).fill("refused"));
  const hanging = codeOf(a.log.append(record(0, 2)));
  await scene.settle(100);
  await b.log.takeOver(0, { owner: "b", after: { epoch: 1, sequence: 1 } });
  const claim = await b.log.giveTo(0, "a", undefined);
  const at = { epoch: 1, sequence: 1 };
  expect(await codeOf(a.log.adopt(claim, at))).toBe("unavailable");
  a.etcd.faults.length = 0;
  expect(await scene.until(hanging)).toBe("fenced");
  await a.log.adopt(claim, at);
  await a.log.append(record(0, 2, { epoch: claim.epoch }));
  expect(a.log.lastSequence(0)).toBe(2);
});
