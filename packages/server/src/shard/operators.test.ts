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
