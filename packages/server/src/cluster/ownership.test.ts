import { expect, test } from "vitest";
import type { LogRecord } from "../log/event-log.ts";
import { stateHash } from "../partition/hash.ts";
import { SILENT } from "../partition/observer.ts";
import { Replay } from "../partition/replay.ts";
import { createState, type PartitionState } from "../partition/state.ts";
import { CALLER, describe } from "../shard/testing/world.ts";
import { Fleet, type FleetNode, LEASE_MS } from "./testing/fleet.ts";

/** What replaying everything gives, by partition. Records are in order, without a gap, and epochs never fall. */
async function replayed(fleet: Fleet): Promise<ReadonlyMap<number, string>> {
  const states = new Map<number, PartitionState>();
  const last = new Map<number, LogRecord>();
  for (const record of await fleet.records()) {
    const { partition } = record;
    expect(record.sequence).toBe((last.get(partition)?.sequence ?? 0) + 1);
    expect(record.epoch).toBeGreaterThanOrEqual(last.get(partition)?.epoch ?? 0);
    last.set(partition, record);
    const state = states.get(partition) ?? createState(partition);
    states.set(partition, state);
    new Replay(state, SILENT).take(record.elapsedMs, record.events);
  }
  return new Map([...states].map(([partition, state]) => [partition, stateHash(state)]));
}

test("the first node takes everything, and one that joins is given its share without a wait", async () => {
  const fleet = await Fleet.of(["a"]);
  expect(fleet.counts()).toEqual({ a: 8 });
  await fleet.join("b");
  await fleet.settle();
  expect(fleet.counts()).toEqual({ a: 4, b: 4 });
  for (let partition = 0; partition < 8; partition += 1) fleet.leaderOf(partition);
  expect(fleet.get("a").cluster.ownership.timeline.moves.filter(({ kind }) => kind === "gave").length).toBe(4);
  expect(fleet.notes).toEqual([]);
  await replayed(fleet);
});

test("who has no part in a partition hears of its next owner by the watch, not with its next look", async () => {
  const fleet = await Fleet.of(["a", "b", "c"], 12);
  const [from, to, other] = ["a", "b", "c"].map((id) => fleet.get(id)) as [FleetNode, FleetNode, FleetNode];
  const away = from.node.led.filter((partition) => other.cluster.ownership.role(partition) === "away");
  expect(away.length).toBeGreaterThan(0);
  for (const partition of away) {
    const pinned = from.cluster.planner.pin(partition, "b");
    while (from.cluster.ownership.epoch(partition)?.owner.startsWith("b#") !== true) await fleet.clock.advance(1);
    await pinned;
    await fleet.clock.advance(5);
    expect(other.cluster.ownership.of(partition)).toMatchObject({ kind: "peer", peer: { id: "b" } });
    while (!to.node.leads(partition)) await fleet.clock.advance(1);
  }
});

test("what is asked of the next owner while its start is on its way is taken in, and answered behind it", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const [from, to] = [fleet.get("a"), fleet.get("b")];
  const name = fleet.nameAt("a");
  const partition = from.node.partitionOf(name);
  const ana = fleet.client("b");
  const pinned = from.cluster.planner.pin(partition, "b");
  while (to.cluster.ownership.of(partition).kind !== "here") await fleet.clock.advance(1);
  await pinned;
  const last = to.log.lastSequence(partition);
  expect(from.log.lastSequence(partition)).toBe(last); // The start is not there yet.
  const granted = await fleet.passing(ana.acquire(name));
  expect(describe(granted)).toMatch(/^granted /);
  expect(to.log.lastSequence(partition)).toBeGreaterThan(last);
  await replayed(fleet);
});

test("an owner whose start comes too late answers nothing of what it had taken in", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const to = fleet.get("b");
  const name = fleet.nameAt("a");
  const partition = to.node.partitionOf(name);
  const ana = fleet.client("b");
  const pinned = fleet.get("a").cluster.planner.pin(partition, "b");
  while (to.cluster.ownership.of(partition).kind !== "here") await fleet.clock.advance(1);
  await pinned;
  fleet.cut("b"); // With the start on its way.
  const asked = ana.acquire(name);
  await fleet.clock.advance(LEASE_MS * 3);
  expect(fleet.get("a").node.leads(partition)).toBe(true);
  fleet.mend("b");
  await fleet.clock.advance(10_000);
  expect(describe(await fleet.passing(asked))).not.toMatch(/^granted /);
  expect(fleet.leaderOf(partition)).toBeDefined();
  await replayed(fleet);
});

test("a partition that is given keeps its grants, and its waiters are granted by the new owner", async () => {
  const fleet = await Fleet.of(["a"]);
  const ana = fleet.client("a");
  const names = Array.from({ length: 24 }, (_, index) => `lock-${index}`);
  for (const name of names) expect(describe(await fleet.passing(ana.acquire(name)))).toBe("granted 1");
  await fleet.join("b");
  await fleet.settle();
  const { node } = fleet.get("b");
  expect(node.led.length).toBe(4);
  const held = node.led.flatMap((partition) => [...node.shardAt(partition).state.elements.keys()]);
  expect(held.toSorted()).toEqual(names.filter((name) => node.leads(node.partitionOf(name))).toSorted());
  expect(held.length).toBeGreaterThan(0);
});

test("a node that dies is replaced by who stands by, not before its lease, and soon after", async () => {
  const fleet = await Fleet.of(["a", "b", "c"], 12);
  expect(fleet.counts()).toEqual({ a: 4, b: 4, c: 4 });
  fleet.cut("c");
  await fleet.clock.advance(LEASE_MS * 0.7);
  expect([...fleet.get("a").node.led, ...fleet.get("b").node.led].length).toBe(8);
  await fleet.clock.advance(LEASE_MS * 0.3 + 500);
  expect([...fleet.get("a").node.led, ...fleet.get("b").node.led].length).toBe(12);
  const took = fleet.get("a").cluster.ownership.timeline.moves.filter(({ kind }) => kind === "took_over");
  expect(took.some(({ node }) => node === "c")).toBe(true);
  await replayed(fleet);
});

test.each([
  ["c", "which is furthest along", true],
  ["b", "which has the lower id of two that are as far", false],
])("a dead owner is replaced by the standby %s, %s", async (heir, _why, isStuck) => {
  const fleet = new Fleet();
  await fleet.join("a");
  const stuck = stickable(await fleet.join("b"));
  await fleet.join("c");
  await fleet.passing(fleet.get("a").cluster.planner.setReplicas(3));
  await fleet.settle();
  const { partitionOf } = fleet.get("a").node;
  const led = fleet.get("a").node.led.filter((partition) => partition > 0); // That one is followed since the node joined.
  const allNames = Array.from({ length: 200 }, (_, index) => `n${index}`);
  stuck.isStuck = isStuck;
  const ana = fleet.client("a");
  const names = led.flatMap((partition) => allNames.filter((name) => partitionOf(name) === partition).slice(0, 3));
  for (const name of names) await fleet.passing(ana.acquire(name)); // Something to be behind with.
  await fleet.clock.advance(LEASE_MS / 2);
  fleet.cut("a");
  await fleet.clock.advance(LEASE_MS + 500);
  const took = ["b", "c"].filter((id) =>
    fleet
      .get(id)
      .cluster.ownership.timeline.moves.some(({ kind, partition }) => kind === "took_over" && led.includes(partition)),
  );
  expect(took).toEqual([heir]);
  for (const partition of led) expect(fleet.get(heir).node.leads(partition)).toBe(true);
});

/** What the node follows stands still from the moment it is told to. */
function stickable({ log }: FleetNode): { isStuck: boolean } {
  const stuck = { isStuck: false };
  const follow = log.follow.bind(log);
  log.follow = (partition, from, sink, signal) => {
    const sticking: typeof sink = {
      record: (record) => void (stuck.isStuck || sink.record(record)),
      epoch: (record) => void (stuck.isStuck || sink.epoch(record)),
    };
    return follow(partition, from, sticking, signal);
  };
  return stuck;
}

test("the old owner answers nothing once its window has passed, and finds itself replaced when it is back", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const name = fleet.nameAt("b");
  const partition = fleet.get("b").node.partitionOf(name);
  const ana = fleet.client("b");
  expect(describe(await fleet.passing(ana.acquire(name)))).toBe("granted 1");
  fleet.cut("b");
  await fleet.clock.advance(300);
  let isAnswered = false;
  void ana.submit({ $case: "why", value: { name } }).then(() => (isAnswered = true));
  fleet.get("b").node.heartbeat(ana.opened.session, 1, { lagMs: 0, health: 0 }, () => (isAnswered = true));
  await fleet.clock.advance(LEASE_MS * 2);
  expect(isAnswered).toBe(false);
  expect(fleet.get("a").node.leads(partition)).toBe(true);
  fleet.mend("b");
  await fleet.clock.advance(1_000);
  expect(fleet.get("b").node.leads(partition) && fleet.get("a").node.leads(partition)).toBe(false);
  await fleet.settle();
  expect(fleet.counts()).toEqual({ a: 4, b: 4 });
  await replayed(fleet);
});

test("an owner that missed its own replacement begins anew from the log when the partition is given back to it", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const name = fleet.nameAt("b");
  const partition = fleet.get("b").node.partitionOf(name);
  fleet.cut("b");
  await fleet.clock.advance(LEASE_MS * 2);
  expect(fleet.get("a").node.leads(partition)).toBe(true);
  const ana = fleet.client("a");
  expect(describe(await fleet.passing(ana.acquire(name)))).toBe("granted 1");
  // It is heard again, and hears nothing of epochs until the partition is its own once more.
  fleet.fault = (id, kind) => (id === "b" && kind === "range" ? { kind: "request_lost" } : undefined);
  fleet.late = (id) => (id === "b" ? 60_000 : 0);
  fleet.mend("b");
  const isBack = async (): Promise<boolean> => (await fleet.epochs()).get(partition)?.owner.startsWith("b") === true;
  for (let looks = 0; looks < 200 && !(await isBack()); looks += 1) await fleet.clock.advance(50);
  fleet.fault = undefined;
  fleet.late = undefined;
  const { node, cluster } = fleet.get("b");
  for (let step = 0; step < 400; step += 1) {
    await fleet.clock.advance(5);
    const mayAnswer = node.leads(partition) && cluster.ownership.mayAnswer();
    if (mayAnswer) expect(node.shardAt(partition).state.elements.get(name)).toBeDefined();
  }
  await fleet.settle();
  expect(fleet.leaderOf(partition)).toBe("b");
  const { state } = fleet.get("b").node.shardAt(partition);
  expect(state.epoch).toBe((await fleet.epochs()).get(partition)?.epoch);
  expect(state.elements.get(name)).toBeDefined();
  expect((await replayed(fleet)).get(partition)).toBe(stateHash(state));
});

test("a lost answer to one look at the epochs does not keep the window shut for longer than itself", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  fleet.fault = (id, kind) => (id === "b" && kind === "range" ? { kind: "answer_lost" } : undefined);
  await fleet.clock.advance(400);
  expect(fleet.get("b").cluster.ownership.mayAnswer()).toBe(false);
  fleet.fault = undefined;
  await fleet.clock.advance(400);
  expect(fleet.get("b").cluster.ownership.mayAnswer()).toBe(true);
});

test("who takes over answers nothing for as long as the old owner might", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const partition = fleet.get("b").node.led[0] ?? 0;
  fleet.cut("b");
  let bumpedAtMs = 0;
  while (!fleet.get("a").node.leads(partition)) {
    await fleet.clock.advance(5);
    const raised = (await fleet.epochs()).get(partition)?.owner.startsWith("a#") === true;
    if (raised && bumpedAtMs === 0) bumpedAtMs = fleet.clock.monotonicMs();
  }
  expect(fleet.clock.monotonicMs() - bumpedAtMs).toBeGreaterThanOrEqual(200);
});

test("an outage of etcd moves nothing", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const before = await fleet.epochs();
  for (const id of ["a", "b"]) fleet.cut(id);
  await fleet.clock.advance(LEASE_MS * 5);
  for (const id of ["a", "b"]) fleet.mend(id);
  await fleet.settle();
  expect(await fleet.epochs()).toEqual(before);
});

test("a gift whose request or answer is lost is looked up: exactly one node leads in the end", async () => {
  for (const kind of ["request_lost", "answer_lost"] as const) {
    const fleet = await Fleet.of(["a"]);
    const { ownership } = fleet.get("a").cluster;
    let lost = 0;
    fleet.fault = (id, request) => {
      const isGiving = Array.from({ length: 8 }, (_, partition) => ownership.role(partition)).includes("giving");
      if (id !== "a" || request !== "txn" || !isGiving || lost > 2) return undefined;
      lost += 1;
      return { kind };
    };
    await fleet.join("b");
    await fleet.settle();
    await fleet.clock.advance(20_000); // The deadlines of lost requests.
    expect(lost).toBeGreaterThan(0);
    expect(fleet.counts()).toEqual({ a: 4, b: 4 });
    for (let partition = 0; partition < 8; partition += 1) expect(fleet.leaderOf(partition)).toBeDefined();
    await replayed(fleet);
  }
});

test("a node that stops gives everything away first, and nothing waits for its lease", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  await fleet.passing(fleet.get("b").cluster.close());
  await fleet.clock.advance(100);
  expect(fleet.get("a").node.led.length).toBe(8);
  expect(fleet.get("a").cluster.ownership.timeline.moves.filter(({ kind }) => kind === "received").length).toBe(4);
});

test("drained nodes own nothing until they are wanted again, and pins hold", async () => {
  const fleet = await Fleet.of(["a", "b", "c"], 12);
  const { planner } = fleet.get("a").cluster;
  const drained = planner.drain("b", true);
  await fleet.settle();
  await drained;
  expect(fleet.counts()).toEqual({ a: 6, b: 0, c: 6 });
  const back = planner.drain("b", false);
  await fleet.settle();
  await back;
  expect(fleet.counts()).toEqual({ a: 4, b: 4, c: 4 });
  const partition = fleet.get("a").node.led[0] ?? 0;
  const pinned = planner.pin(partition, "c");
  await fleet.settle();
  await pinned;
  expect(fleet.leaderOf(partition)).toBe("c");
});

test("states are compared all the time, and a standby that differs stops, and takes over only what it reads anew", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const name = fleet.nameAt("a");
  const partition = fleet.get("a").node.partitionOf(name);
  const ana = fleet.client("a");
  for (let round = 0; round < 40; round += 1) {
    const token = await fleet.passing(ana.token(ana.acquire(name)));
    await fleet.passing(ana.release(name, token));
    fleet.get("a").node.acknowledge(ana.opened.session, ana.sequence + 1, []);
  }
  await fleet.clock.advance(LEASE_MS);
  const standby = fleet.get("b").cluster.ownership;
  expect(standby.compared).toBeGreaterThan(0);
  expect(standby.role(partition)).toBe("following");
  const record = fleet.record("a");
  standby.compare({ ...record, marks: record.marks.map(([one, sequence]) => [one, sequence, "0"] as const) });
  expect(standby.role(partition)).toBe("broken");
  expect(fleet.notes.some((line) => line.includes("state differs from the owner's"))).toBe(true);
  fleet.cut("a");
  await fleet.clock.advance(LEASE_MS * 2);
  expect(fleet.get("b").node.leads(partition)).toBe(true);
  const shard = fleet.get("b").node.shardAt(partition);
  await shard.freeze();
  expect((await replayed(fleet)).get(partition)).toBe(stateHash(shard.state));
});

test("who gave a partition away goes on as a standby with the same state, also when it was only read from for a while", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const name = fleet.nameAt("a");
  const partition = fleet.get("a").node.partitionOf(name);
  const ana = fleet.client("a");
  const token = await fleet.passing(ana.token(ana.acquire(name)));
  for (let round = 0; round < 5; round += 1) {
    await fleet.clock.advance(170);
    await fleet.passing(ana.submit({ $case: "why", value: { name } }));
  }
  await fleet.passing(fleet.get("a").cluster.planner.pin(partition, "b"));
  await fleet.settle();
  expect(fleet.leaderOf(partition)).toBe("b");
  const bo = fleet.client("b");
  await fleet.passing(bo.acquire(name, { waitMs: 60_000 }));
  await fleet.clock.advance(40_000); // Ana is heard by nobody: her session ends in this partition.
  const own = fleet.get("b").node.shardAt(partition);
  await own.freeze();
  await fleet.clock.advance(100);
  const standby = fleet.get("a").cluster.ownership.replica(partition);
  expect(standby?.sequence).toBe(own.sequence);
  expect(standby?.state.clockMs).toBe(own.state.clockMs);
  expect(standby === undefined ? "" : stateHash(standby.state)).toBe(stateHash(own.state));
  expect(token).toBeGreaterThan(0n);
});

test("who stands by learns how long locks are held, and forecasts with it from the moment it takes over", async () => {
  const fleet = new Fleet(8);
  fleet.isPredicting = true;
  for (const id of ["a", "b"]) await fleet.join(id);
  await fleet.settle();
  const name = fleet.nameAt("a");
  const ana = fleet.client("a");
  for (let round = 0; round < 8; round += 1) {
    const token = await fleet.passing(ana.token(ana.acquire(name)));
    await fleet.clock.advance(500);
    await fleet.passing(ana.release(name, token));
    fleet.get("a").node.acknowledge(ana.opened.session, ana.sequence + 1, []);
  }
  await fleet.settle();
  const { profiles } = fleet.get("b").node.foresight;
  expect(fleet.get("b").node.leads(fleet.get("b").node.partitionOf(name))).toBe(false);
  const forecast = profiles.quantiles("test", name, 0, fleet.clock.monotonicMs());
  expect(forecast?.p50Ms).toBeGreaterThan(300);
  expect(forecast?.p50Ms).toBeLessThan(900);
});

test("after a storm of cuts every partition is led once, and its state is what the log gives", async () => {
  const fleet = await Fleet.of(["a", "b", "c"], 12);
  const clients = ["a", "b", "c"].map((id) => ({ id, client: fleet.client(id) }));
  for (let round = 0; round < 12; round += 1) {
    const id = ["a", "b", "c"][round % 3] ?? "a";
    fleet.cut(id);
    for (const { client } of clients) void client.acquire(`n${round}`, { waitMs: 0 });
    await fleet.clock.advance(LEASE_MS * (round % 2 === 0 ? 1.4 : 0.3));
    fleet.mend(id);
    await fleet.clock.advance(LEASE_MS);
  }
  await fleet.settle();
  const hashes = await replayed(fleet);
  for (let partition = 0; partition < 12; partition += 1) {
    const leader = fleet.leaderOf(partition);
    expect(leader).toBeDefined();
    const shard = fleet.get(leader ?? "a").node.shardAt(partition);
    await shard.freeze();
    expect(stateHash(shard.state)).toBe(hashes.get(partition));
  }
  await replayed(fleet);
});

test("a caller of any principal is served by whoever leads", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  for (const id of ["a", "b"]) {
    const { node } = fleet.get(id);
    expect(node.openSession(CALLER, { ttlMs: undefined, client: "x" }).session.principal).toBe("local");
    expect(describe(await fleet.passing(fleet.client(id).acquire(fleet.nameAt(id))))).toBe("granted 1");
  }
});
