import { Mode } from "@forelock/protocol";
import { expect, test } from "vitest";
import { RECORD_BYTES_MAX } from "../log/event-log.ts";
import { CALLER, describe, World } from "./testing/world.ts";

const reply = (world: World, body: Parameters<World["node"]["submit"]>[2]["body"]) =>
  new Promise<Parameters<Parameters<World["node"]["submit"]>[3]>[0]>((resolve) => {
    world.node.submit(CALLER, undefined, { sequence: 1, keep: undefined, body }, resolve);
  });

test("a forced release of more holders than one record has room for ends them all, and the log goes on", async () => {
  const world = await World.open({ limits: { locksMax: 5_000, unansweredMax: 10_000 } });
  const ana = world.client();
  const name = "n".repeat(500);
  const holders = 1_500;
  const grants = Array.from({ length: holders }, () => ana.acquire(name, { mode: Mode.SHARED }));
  const tokens = await Promise.all(grants.map((grant) => ana.token(grant)));
  const reason = "r".repeat(256);
  expect(holders * (name.length + reason.length)).toBeGreaterThan(RECORD_BYTES_MAX);
  const answer = await reply(world, { $case: "forceRelease", value: { name, token: 0n, reason } });
  expect(answer.body).toEqual({ $case: "forceRelease", value: { released: tokens, undone: 0 } });
  expect(describe(await ana.acquire(name, { waitMs: 0 }))).toBe("granted 1");
  expect(world.node.unavailable).toBeUndefined();
});

test("force answers which grants it ended and what was undone, by name or by token", async () => {
  const world = await World.open();
  const ana = world.client();
  const token = await ana.token(ana.acquire("f", { onLoss: 1 }));
  await ana.submit({ $case: "append", value: { file: "f", element: "", token, bytes: Buffer.from("gone") } });
  const stale = await reply(world, { $case: "forceRelease", value: { name: "f", token: token + 1n, reason: "r" } });
  expect(describe(stale)).toBe("error stale_token");
  const done = await reply(world, { $case: "forceRelease", value: { name: "f", token, reason: "r" } });
  expect(done.body).toEqual({ $case: "forceRelease", value: { released: [token], undone: 1 } });
  expect(describe(await reply(world, { $case: "forceRelease", value: { name: "f", token: 0n, reason: "r" } }))).toBe(
    "error not_held",
  );
  expect(world.notes).toEqual(["forced release"]);
});

test("a list chooses over all partitions before it describes: nothing is forecast for locks that do not fit", async () => {
  const asked: string[] = [];
  const quantiles = (_client: string, element: string) => {
    asked.push(element);
    return { p50Ms: 1, p90Ms: 2, p99Ms: 3, observations: 100, source: "pair" };
  };
  const world = await World.open({ isPredicting: true, forecasts: () => ({ quantiles, outlives: () => 0 }) });
  const [ana, bo] = [world.client(), world.client()];
  const names = Array.from({ length: 24 }, (_, index) => `l${String(index).padStart(2, "0")}`);
  expect(new Set(names.map((name) => world.node.partitionOf(name))).size).toBeGreaterThan(3);
  for (const name of names) {
    await ana.acquire(name);
    if (name === "l07" || name === "l19") await bo.acquire(name);
  }
  await world.clock.advance(500);
  const list = { prefix: "", after: "", limit: 3, stuck: false, heldMsMin: 0, byPain: false };
  for (const [byPain, expected] of [
    [false, ["l00", "l01", "l02"]],
    [true, ["l07", "l19", "l00"]],
  ] as const) {
    asked.length = 0;
    const { body } = await reply(world, { $case: "listLocks", value: { ...list, byPain } });
    if (body?.$case !== "listLocks") throw new Error("expected locks");
    expect([body.value.locks.map(({ name }) => name), body.value.more]).toEqual([expected, true]);
    expect([...new Set(asked)].sort()).toEqual([...expected].sort());
  }
  const rest = await reply(world, { $case: "listLocks", value: { ...list, after: "l21" } });
  expect(rest.body).toMatchObject({ value: { locks: [{ name: "l22" }, { name: "l23" }], more: false } });
});

test("a node without others tells its own partitions, and refuses to change the cluster", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.token(ana.acquire("a"));
  const told = await reply(world, { $case: "getCluster", value: { movesMax: 0 } });
  const report = told.body?.$case === "getCluster" ? told.body.value : undefined;
  const { partition, sequence } = world.node.shardOf("a");
  expect(report?.partitions[partition]).toMatchObject({
    owner: "local",
    epoch: 1,
    sequence,
    standbys: [],
    role: "leading",
  });
  expect(report?.nodes).toMatchObject([{ id: "local", owned: world.node.shards.length, standingBy: 0, live: true }]);
  expect(report?.etcd).toBeUndefined();
  const value = { action: "rebalance", node: "", partition: undefined, reason: "a test" };
  expect(describe(await reply(world, { $case: "changeCluster", value }))).toBe("error not_supported");
});
