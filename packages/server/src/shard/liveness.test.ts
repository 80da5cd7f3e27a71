import { Mode } from "@forelock/protocol";
import { expect, test } from "vitest";
import { type Client, settle, World } from "./testing/world.ts";

const SHARED = { mode: Mode.SHARED };

/** Lets time pass while only `alive` are heard from. */
async function pass(world: World, ms: number, alive: readonly Client[]): Promise<void> {
  for (let elapsed = 0; elapsed < ms; elapsed += 1_000) {
    for (const { opened } of alive) world.node.heartbeat(opened.session, elapsed, { lagMs: 0, health: 0 }, () => {});
    await world.clock.advance(1_000);
  }
}

test("whoever waits behind a session that fell silent goes after a third of its ttl, and not only when it ends", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  await ana.acquire("a", SHARED);
  await bo.acquire("a");
  await cy.acquire("a", SHARED);
  await pass(world, 9_000, [ana, cy]);
  expect(cy.ended()).toBeUndefined();
  await pass(world, 3_000, [ana, cy]);
  expect(cy.ended()).toBe("granted 1");
  expect(bo.ended()).toBeUndefined(); // It keeps its place.
});

test("a session that was silent before a restart has at least a third of its ttl after it", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  await pass(world, 28_000, []);
  await world.restart();
  const grants = (): number => world.node.shards.reduce((sum, { state }) => sum + state.grants, 0);
  await world.clock.advance(9_000);
  expect(grants()).toBe(1);
  await world.clock.advance(2_000);
  expect(grants()).toBe(0);
});

test("a session that expires in silence ends in every partition, once", async () => {
  const world = await World.open();
  const ana = world.client();
  const names = ["a", world.nameBeside(["a"])];
  for (const name of names) await ana.acquire(name);
  await pass(world, 31_000, []);
  await settle();
  expect(ana.notices.filter(({ body }) => body?.$case === "lost")).toHaveLength(2);
  expect(world.node.shards.reduce((sum, { state }) => sum + state.tombstones.size, 0)).toBe(2);
});
