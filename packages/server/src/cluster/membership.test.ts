import { expect, test } from "vitest";
import { MemoryEtcd, MemoryEtcdStore } from "../etcd/memory.ts";
import { ManualClock, settle } from "../shard/testing/world.ts";
import { Membership } from "./membership.ts";
import { MemberKeys, ownerName } from "./records.ts";

const LEASE_MS = 2_000;
const KEYS = new MemberKeys("test");

class Nodes {
  readonly clock = new ManualClock();
  readonly store = new MemoryEtcdStore({ clock: this.clock });
  readonly notes: string[] = [];

  /** A name that was in use before is watched for a while. */
  async passing(promise: Promise<void>): Promise<void> {
    let isDone = false;
    const settled = promise.finally(() => {
      isDone = true;
    });
    settled.catch(() => {}); // Its caller is told.
    await settle();
    for (let step = 0; step < 100 && !isDone; step += 1) await this.clock.advance(50);
    return settled;
  }

  async node(id: string, boot = "1"): Promise<{ members: Membership; etcd: MemoryEtcd; changes: () => number }> {
    const etcd = new MemoryEtcd({ store: this.store });
    let changes = 0;
    const members = new Membership({
      etcd,
      keys: KEYS,
      clock: this.clock,
      self: { id, boot, version: "test" },
      leaseMs: LEASE_MS,
      tell: () => ({ positions: [1, 2], marks: [], synced: [1, 0], missing: [1] }),
      saw: () => {},
      changed: () => {
        changes += 1;
      },
      note: (line) => this.notes.push(line),
    });
    await this.passing(members.start({ host: "127.0.0.1", port: 7420 }));
    await settle();
    return { members, etcd, changes: () => changes };
  }
}

test("nodes see each other, with what they say of themselves", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  await nodes.node("b");
  expect(a.members.all().map(({ record, isLive }) => [record.id, isLive])).toEqual([
    ["a", true],
    ["b", true],
  ]);
  expect(a.members.live("b")).toMatchObject({ positions: [1, 2], synced: [1, 0], missing: [1] });
  expect(a.members.isOwnerLive("b#1")).toBe(true);
  expect(a.members.isOwnerLive("b#0")).toBe(false); // Another process of that node.
});

test("a node that writes no more is suspected after its lease, not before, and the silence is confirmed by a read", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  const b = await nodes.node("b");
  await nodes.clock.advance(LEASE_MS * 2);
  b.etcd.cut();
  await nodes.clock.advance(LEASE_MS * 0.7);
  expect(a.members.live("b")).toBeDefined();
  await nodes.clock.advance(LEASE_MS * 0.4);
  expect(a.members.live("b")).toBeUndefined();
  expect(await a.members.confirmSilent("b#1")).toBe(true);
});

test("a suspect whose rewrite was only late in the watch is not confirmed", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  const b = await nodes.node("b");
  await nodes.clock.advance(LEASE_MS * 2);
  b.etcd.cut();
  await nodes.clock.advance(LEASE_MS * 1.2);
  expect(a.members.live("b")).toBeUndefined();
  // A write that the watch of `a` has not brought yet.
  const late = nodes.store.txn({
    compare: [],
    success: [{ kind: "put", key: KEYS.node("b"), value: Buffer.from("{}") }],
  });
  expect(late.succeeded).toBe(true);
  expect(await a.members.confirmSilent("b#1")).toBe(false);
});

test("while etcd stands still nobody is suspected, nor right after", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  const b = await nodes.node("b");
  await nodes.clock.advance(LEASE_MS * 2);
  a.etcd.cut();
  b.etcd.cut();
  await nodes.clock.advance(LEASE_MS * 3);
  expect(a.members.live("b")).toBeDefined();
  a.etcd.mend();
  b.etcd.mend();
  await nodes.clock.advance(LEASE_MS * 3);
  expect(a.members.live("b")).toBeDefined();
});

test("a node that starts again is another owner, and one that leaves is gone at once", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  const b = await nodes.node("b");
  b.etcd.cut();
  const again = await nodes.node("b", "2");
  expect(a.members.isOwnerLive(ownerName({ id: "b", boot: "1" }))).toBe(false);
  expect(a.members.isOwnerLive(ownerName({ id: "b", boot: "2" }))).toBe(true);
  expect(await a.members.confirmSilent("b#1")).toBe(true);
  const before = a.changes();
  await again.members.close();
  await settle();
  expect(a.members.live("b")).toBeUndefined();
  expect(a.changes()).toBeGreaterThan(before);
});

test("a process does not start under a name that another rewrites, and does under one that is left from before", async () => {
  const nodes = new Nodes();
  const first = await nodes.node("a");
  await expect(nodes.node("a", "2")).rejects.toThrow("cluster.nodeId: a is in use by the process at 127.0.0.1:7420.");
  first.etcd.cut();
  const second = await nodes.node("a", "3");
  expect(second.members.isOwnerLive("a#3")).toBe(true);
});

test("a record that does not parse is as if it were not there", async () => {
  const nodes = new Nodes();
  const a = await nodes.node("a");
  nodes.store.txn({ compare: [], success: [{ kind: "put", key: KEYS.node("x"), value: Buffer.from("{nonsense") }] });
  await settle();
  expect(a.members.all().map(({ record }) => record.id)).toEqual(["a"]);
});
