import { expect, test } from "vitest";
import { codeOf, record, recordsOf } from "../contract.ts";
import { CHUNK_BYTES } from "./snapshot.ts";
import { NOTHING, Scene, type TxnFault } from "./testing/scene.ts";

const stateOf = (bytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, index) => (index * seed) % 253);

test("a large state is kept in chunks, two generations of it, and comes back byte for byte", async () => {
  const scene = new Scene();
  const { log } = await scene.node("a");
  for (const sequence of [1, 2, 3]) {
    await log.append(record(0, sequence));
    const state = stateOf(2 * CHUNK_BYTES + sequence, sequence);
    await log.saveSnapshots([{ partition: 0, epoch: 1, sequence, state }]);
  }
  const chunks = scene.keys().filter((key) => /snapshot\/\d+\/\d+$/.test(key));
  expect(chunks.map((key) => key.replace(/^p\/0\/snapshot\/0*/, ""))).toEqual([
    "2/000000",
    "2/000001",
    "2/000002",
    "3/000000",
    "3/000001",
    "3/000002",
  ]);
  const [loaded] = await log.loadSnapshots();
  expect(Buffer.compare(loaded?.state ?? new Uint8Array(0), stateOf(2 * CHUNK_BYTES + 3, 3))).toBe(0);
});

test.each<TxnFault>(["refused", "request_lost", "late"])(
  "until its pointer is put a generation is not there: %s at every transaction in turn",
  async (fault) => {
    const scene = new Scene();
    const { etcd, log } = await scene.node("a");
    await log.append(record(0, 1));
    const old = { partition: 0, epoch: 1, sequence: 1, state: stateOf(700_000, 3) };
    await log.saveSnapshots([old]);
    await log.append(record(0, 2));
    for (let healthy = 0; healthy < 4; healthy++) {
      const faults = new Array<TxnFault | undefined>(healthy).fill(undefined);
      const txn = etcd.txn.bind(etcd);
      etcd.txn = (request, options) => {
        if (faults.length === 0) etcd.faults.push(fault, fault);
        faults.pop();
        return txn(request, options);
      };
      const saving = log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 2, state: stateOf(700_000, 5) }]);
      await expect(saving).rejects.toThrow("a test");
      etcd.txn = txn;
      etcd.faults.length = 0;
      const other = await scene.node("b");
      const [found] = await other.log.loadSnapshots();
      expect([found?.sequence, Buffer.compare(found?.state ?? new Uint8Array(0), old.state)]).toEqual([1, 0]);
    }
    etcd.late.length = 0;
    await log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 2, state: stateOf(700_000, 5) }]);
    expect((await log.loadSnapshots())[0]?.sequence).toBe(2);
    expect(generationsIn(scene)).toBe(2); // What the failed ones left is gone.
  },
);

const generationsIn = (scene: Scene): number =>
  new Set(scene.keys().flatMap((key) => /snapshot\/(\d+)\/\d+$/.exec(key)?.[1] ?? [])).size;

test.each([0, 1, 2, 3])(
  "a transaction of a snapshot that etcd does late touches no other snapshot (the %i. one, twice)",
  async (healthy) => {
    const scene = new Scene();
    const { etcd, log } = await scene.node("a");
    await log.append(record(0, 1));
    await log.append(record(0, 2));
    await log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 1, state: stateOf(700_000, 2) }]);
    const plan: (TxnFault | undefined)[] = [...new Array<undefined>(healthy).fill(undefined), "late", "late"];
    const txn = etcd.txn.bind(etcd);
    etcd.txn = (request, options) => {
      const isRead = request.success.every(({ kind }) => kind === "range");
      const fault = isRead ? undefined : plan.shift();
      if (fault !== undefined) etcd.faults.push(fault);
      return txn(request, options);
    };
    await log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 1, state: stateOf(700_000, 3) }]).catch(() => {});
    const save = () => log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 2, state: stateOf(700_000, 5) }]);
    const late = etcd.late.splice(0);
    await late[0]?.();
    await save().catch(save); // An attempt that came in between is told, and the next one goes through.
    for (const run of late) await run();
    const [found] = await (await scene.node("b")).log.loadSnapshots();
    expect(Buffer.compare(found?.state ?? new Uint8Array(0), stateOf(700_000, 5))).toBe(0);
    await save();
    expect(generationsIn(scene)).toBe(2);
  },
);

test("a snapshot whose publishing was done though its answer was lost is published once", async () => {
  const scene = new Scene();
  const { etcd, log } = await scene.node("a");
  await log.append(record(0, 1));
  etcd.faults.push("answer_lost");
  await log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 1, state: new Uint8Array(0) }]);
  await log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 1, state: stateOf(9, 1) }]);
  expect((await log.loadSnapshots())[0]?.state).toEqual(stateOf(9, 1));
  const revision = scene.store.revision;
  await log.truncate();
  expect(scene.store.revision).toBe(revision); // The last record stays, so nothing is freed.
});

test("a deposed owner publishes nothing and frees nothing", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  for (const sequence of [1, 2, 3, 4]) await a.log.append(record(0, sequence));
  for (const sequence of [2, 3])
    await a.log.saveSnapshots([{ partition: 0, epoch: 1, sequence, state: stateOf(9, 1) }]);
  await b.log.takeOver(0, { owner: "b", after: NOTHING });
  const stale = { partition: 0, epoch: 1, sequence: 4, state: stateOf(9, 2) };
  expect(await codeOf(a.log.saveSnapshots([stale]))).toBe("fenced");
  await a.log.truncate();
  const c = await scene.node("c");
  expect((await c.log.loadSnapshots())[0]?.sequence).toBe(3);
  expect((await recordsOf(c.log)).length).toBe(4);
  await b.log.truncate();
  expect((await recordsOf((await scene.node("c")).log, () => 2)).map(({ sequence }) => sequence)).toEqual([3, 4]);
});

test("a successor goes on with the generations of the owner before it", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.node("a"), await scene.node("b")];
  await a.log.append(record(0, 1));
  await a.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 1, state: stateOf(9, 1) }]);
  const claim = await a.log.giveTo(0, "b", record(0, 2));
  await b.log.adopt(claim, { epoch: 1, sequence: 2 });
  await b.log.append(record(0, 3, { epoch: 2 }));
  await b.log.saveSnapshots([{ partition: 0, epoch: 2, sequence: 3, state: stateOf(9, 2) }]);
  const generations = scene.keys().filter((key) => /snapshot\/\d+\/\d+$/.test(key));
  expect(generations.length).toBe(2);
  await b.log.truncate();
  expect(scene.keys().filter((key) => key.startsWith("p/0/log/")).length).toBe(2);
});

test("truncation stops at the floor, keeps the last record, and is done in steps", async () => {
  const scene = new Scene();
  let floor = 100;
  const { etcd, log } = await scene.node("a", { floor: () => floor });
  for (let sequence = 1; sequence <= 600; sequence++) await log.append(record(0, sequence));
  for (const sequence of [600, 600])
    await log.saveSnapshots([{ partition: 0, epoch: 1, sequence, state: stateOf(9, 1) }]);
  await log.truncate();
  const left = (): readonly number[] =>
    scene
      .keys()
      .filter((key) => key.startsWith("p/0/log/"))
      .map((key) => Number(key.slice("p/0/log/".length)));
  expect([left()[0], left().length]).toEqual([101, 500]);
  floor = 10_000;
  etcd.requests.length = 0;
  await log.truncate();
  expect([left(), etcd.requests.length]).toEqual([[600], 2]);
  const next = await scene.node("a");
  expect([next.log.lastSequence(0), next.log.lastEpoch()]).toEqual([600, 1]);
  await next.log.append(record(0, 601));
});

test("bytes since the snapshot are counted across restarts and owners", async () => {
  const scene = new Scene();
  const a = await scene.node("a");
  for (let sequence = 1; sequence <= 10; sequence++)
    await a.log.append(record(0, sequence, { events: new Uint8Array(1_000) }));
  const since = a.log.bytesSinceSnapshot;
  expect(since).toBeGreaterThanOrEqual(10_000);
  expect((await scene.node("a")).log.bytesSinceSnapshot).toBe(since);
  await a.log.saveSnapshots([{ partition: 0, epoch: 1, sequence: 5, state: stateOf(9, 1) }]);
  expect(a.log.bytesSinceSnapshot).toBeCloseTo(since / 2);
  const b = await scene.node("b");
  expect(b.log.bytesSinceSnapshot).toBe(0); // Of others it needs none.
  await b.log.takeOver(0, { owner: "b", after: NOTHING });
  expect(b.log.bytesSinceSnapshot).toBeCloseTo(since / 2);
});

test("history is compacted as far as it was one call before", async () => {
  const scene = new Scene();
  const { log } = await scene.node("a");
  await log.append(record(0, 1));
  const then = scene.store.revision;
  expect(await log.compactHistory()).toBeUndefined();
  await log.append(record(0, 2));
  expect(await log.compactHistory()).toBe(then);
  expect(scene.store.compactRevision).toBe(then);
  await log.append(record(0, 3));
  scene.store.compact(scene.store.revision); // By someone else.
  expect(await log.compactHistory()).toBeUndefined();
});
