// What a closed session, an ended batch and a queue place may leave behind: nothing.
import { expect, test } from "vitest";
import { describe, settle, World } from "./testing/world.ts";

test("a command on its way to another partition when the close comes leaves no session there", async () => {
  const world = await World.open();
  const ana = world.client();
  const other = world.nameBeside(["a"]);
  await ana.acquire("a");
  const late = ana.acquire(other);
  const closed = ana.submit({ $case: "closeSession", value: {} });
  await Promise.all([late, closed]);
  await settle();
  const bo = world.client();
  expect(describe(await bo.acquire(other, { waitMs: 0 }))).toBe("granted 1");
  expect(world.node.shards.reduce((sum, { state }) => sum + state.sessions.size, 0)).toBe(1);
});

test("what is asked for after a close has begun is refused", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  const closed = ana.submit({ $case: "closeSession", value: {} });
  expect(describe(await ana.acquire("b"))).toBe("error session_closed");
  expect(describe(await closed)).toBe("closeSession");
});

test("expired sessions are forgotten though nothing else is timed", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  await world.clock.advance(31_000);
  const { state } = world.node.shardOf("a");
  expect(state.tombstones.size).toBe(1);
  await world.clock.advance(310_000);
  expect(state.tombstones.size).toBe(0);
});

test("a batch over partitions says of each grant where it lies", async () => {
  const world = await World.open();
  const ana = world.client();
  const other = world.nameBeside(["a"]);
  await ana.acquireAll(["a", other]);
  await settle();
  const { body } = ana.notices.at(-1) ?? {};
  const grants = body?.$case === "operation" ? body.value.grants : [];
  expect(grants.map(({ name, partition }) => [name, partition]).sort()).toEqual(
    ["a", other].map((name) => [name, world.node.partitionOf(name)]).sort(),
  );
});

test("a batch over partitions with one element below another is refused", async () => {
  const world = await World.open();
  const ana = world.client();
  const other = world.nameBeside(["{t}"]);
  expect(describe(await ana.acquireAll(["{t}", "{t}/x", other]))).toBe("error bad_argument");
});

test("a batch cancelled in the turn that opened it takes nothing", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  await ana.acquire(other);
  const opened = bo.acquireAll(["a", other]);
  const reference = `p${world.node.partitionOf("a")}.s.${bo.opened.session.id}.1`;
  const cancelled = bo.submit({ $case: "cancel", value: { reference, sequence: 0 } });
  await Promise.all([opened, cancelled]);
  await settle();
  expect(world.node.shards.reduce((sum, { state }) => sum + state.batches.size + state.parts.size, 0)).toBe(0);
});

test("a circle through a place in a queue is found: a request for two elements keeps a holder from the second", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  await ana.acquire("{t}/x");
  expect(describe(await bo.acquireAll(["{t}/x", "{t}/y"]))).toBe("queued 1");
  expect(describe(await ana.acquire("{t}/y"))).toBe("queued 2");
  await world.clock.advance(350);
  expect(bo.ended()).toBe("ended deadlock");
  expect(ana.ended()).toBe("granted 1");
});

test("two that wait below one element for different holders are no circle", async () => {
  const world = await World.open();
  const [ana, bo] = [world.client(), world.client()];
  await ana.acquire("{t}/x");
  await bo.acquire("{t}/y");
  expect(describe(await ana.acquire("{t}/y/z"))).toBe("queued 1");
  expect(describe(await bo.acquire("{t}/w"))).toBe("granted 1");
  await world.clock.advance(350);
  expect(ana.ended()).toBeUndefined();
});
