import { expect, test } from "vitest";
import { ManualClock } from "../shard/testing/world.ts";
import { bytes, etcdContract, kindOf, putOne, text } from "./contract.ts";
import { type EtcdFaults, NO_FAULTS, type RequestFault, seededFaults } from "./faults.ts";
import { MemoryEtcd, MemoryEtcdStore } from "./memory.ts";

etcdContract("MemoryEtcd", async () => {
  const clock = new ManualClock();
  const store = new MemoryEtcdStore({ clock });
  return {
    open: () => new MemoryEtcd({ store }),
    pass: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: async () => {},
  };
});

function scene(faults: EtcdFaults = {}) {
  const clock = new ManualClock();
  const store = new MemoryEtcdStore({ clock });
  return { clock, store, etcd: new MemoryEtcd({ store, faults, deadlineMs: 1_000 }) };
}

const once = (fault: RequestFault): EtcdFaults => {
  const faults: RequestFault[] = [fault];
  return { request: () => faults.shift() };
};

test.each<readonly [RequestFault, string, number]>([
  [{ kind: "refused" }, "unavailable", 0],
  [{ kind: "request_lost" }, "outcome_unknown", 0],
  [{ kind: "answer_lost" }, "outcome_unknown", 1],
  [{ kind: "late", lateMs: 500 }, "outcome_unknown", 0],
  [{ kind: "slow", delayMs: 500 }, "none", 1],
  [{ kind: "slow", delayMs: 5_000 }, "outcome_unknown", 0],
])("a transaction that meets %o ends as %s", async (fault, kind, done) => {
  const { clock, store, etcd } = scene(once(fault));
  const ended = kindOf(putOne(etcd, "/a"));
  await clock.advance(500);
  await clock.advance(600);
  expect(await ended).toBe(kind);
  expect(store.range({ key: "/a" }).count).toBe(done);
  await clock.advance(1_000);
  expect(store.range({ key: "/a" }).count).toBe(fault.kind === "late" ? 1 : done);
});

test("a read has no outcome: without an answer it is unavailable", async () => {
  const { clock, etcd } = scene(once({ kind: "answer_lost" }));
  const ended = kindOf(etcd.range({ key: "/a" }));
  await clock.advance(1); // It is under way.
  await clock.advance(1_100);
  expect(await ended).toBe("unavailable");
});

test("a client that is cut off hears nothing and is not heard, and goes on when the way is mended", async () => {
  const { clock, store, etcd } = scene();
  const other = new MemoryEtcd({ store });
  const seen: number[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { revision } of etcd.watch({ key: "/a", from: 2 }, stop.signal)) seen.push(revision);
  })();
  await putOne(other, "/a");
  await clock.advance(1);
  etcd.cut();
  await putOne(other, "/a");
  const put = kindOf(putOne(etcd, "/b"));
  await clock.advance(1);
  await clock.advance(1_100);
  expect([await put, seen, store.range({ key: "/b" }).count]).toEqual(["outcome_unknown", [2], 0]);
  etcd.mend();
  await clock.advance(1);
  expect(seen).toEqual([2, 3]);
  stop.abort();
  await watching;
});

test("a stale range may be of an earlier revision, a plain one never", async () => {
  const { etcd } = scene({ staleRevisions: () => 1 });
  await putOne(etcd, "/a", "1");
  await putOne(etcd, "/a", "2");
  expect(text((await etcd.range({ key: "/a", stale: true })).entries[0]?.value ?? bytes(""))).toBe("1");
  expect(text((await etcd.range({ key: "/a" })).entries[0]?.value ?? bytes(""))).toBe("2");
});

test("past the quota puts are refused, deletes are not, until an operator made room", async () => {
  const clock = new ManualClock();
  const store = new MemoryEtcdStore({ clock, quotaBytes: 1_000 });
  const etcd = new MemoryEtcd({ store });
  await putOne(etcd, "/a", "x".repeat(800));
  expect(await kindOf(putOne(etcd, "/b", "x".repeat(300)))).toBe("no_space");
  expect(await kindOf(putOne(etcd, "/b", "small"))).toBe("no_space");
  expect(await etcd.alarms()).toEqual([{ memberId: "1", kind: "no_space" }]);
  const { revision } = await etcd.txn({ compare: [], success: [{ kind: "delete", key: "/a" }] });
  await etcd.compact(revision);
  store.defragment();
  expect(await kindOf(putOne(etcd, "/b", "small"))).toBe("none");
});

test("seeded faults are the same for the same seed", () => {
  const drawn = (seed: number): string => {
    let state = seed;
    const random = (): number => {
      state = (state * 16_807) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const faults = seededFaults(random, { ...NO_FAULTS, refused: 0.2, slow: 0.3, slowMsMax: 100, broken: 0.2 });
    return JSON.stringify(Array.from({ length: 50 }, () => [faults.request?.("txn"), faults.watch?.()]));
  };
  expect(drawn(7)).toBe(drawn(7));
  expect(drawn(7)).not.toBe(drawn(8));
  expect(drawn(7)).toContain("slow");
});
