import { Mode } from "@forelock/protocol";
import { expect, test } from "vitest";
import { describe, settle, World } from "./testing/world.ts";

test("what becomes free at once is granted at most so many a turn, and the rest in the next turns", async () => {
  const world = await World.open({ limits: { grantsPerTurnMax: 3 } });
  const ana = world.client();
  const shard = world.node.shardOf("a");
  const token = await ana.token(ana.acquire("a"));
  const readers = Array.from({ length: 10 }, () => world.client());
  for (const reader of readers) expect(describe(await reader.acquire("a", { mode: Mode.SHARED }))).toMatch(/^queued/);
  const before = shard.records;
  await ana.release("a", token);
  await settle();
  expect(readers.map((reader) => reader.ended())).toEqual(readers.map(() => "granted 1"));
  expect(shard.records).toBeGreaterThan(before + 1);
});

test("a command that breaks an invariant is answered, and stops the node before anything follows from it", async () => {
  const world = await World.open();
  const ana = world.client();
  const session = { ...ana.opened.session, secretHash: "", client: "" };
  const element = { name: "a", mode: 0, take: 1, limit: 0 } as const;
  await ana.acquire("a");
  const shard = world.node.shardOf("a");
  const waiting = { kind: "reserve_part", session, part: "batch.0.9.0", element, rollback: false, actor: "" } as const;
  const known = shard.state.sessions.get(session.id);
  shard.submit(
    { ...waiting, session: { ...session, secretHash: known?.secretHash ?? "" } },
    () => undefined,
    () => {},
  );
  const ends: string[] = [];
  const told = (what: string) => (): void => {
    ends.push(what);
  };
  shard.submit({ kind: "confirm_part", part: "batch.0.9.0" }, () => told("confirmed"), told("failed"));
  shard.submit({ kind: "tick" }, () => told("ticked"), told("next failed"));
  await settle();
  expect(ends).toEqual(["failed", "next failed"]);
  expect(world.node.unavailable).toBe("log_stopped");
  expect(describe(await ana.acquire("b"))).toBe("error log_stopped");
});
