// The client of this repository, unchanged, against a cluster.
import { connect } from "@forelock/client";
import { expect, test } from "vitest";
import { ClusterWorld } from "./testing/cluster-world.ts";

async function connected(world: ClusterWorld, id: string) {
  const client = await world.until(connect(`127.0.0.1:${world.member(id).edge.port}`));
  if (client === undefined) throw new Error("no client");
  return client;
}

test("locks of every node are held, waited for and released over moves of their partitions, and none is lost", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await connected(world, "a"), await connected(world, "c")];
  const names = ["a", "b"].map((id) => world.nameAt(id));
  const held = await world.until(Promise.all(names.map((name) => ana.lock(name))));
  const waiting = Promise.all(names.map((name) => bo.lock(name, { waitMs: 60_000 })));
  for (const name of names) world.move(world.partitionOf(name), "c");
  for (const lock of held ?? []) {
    expect(lock.signal.aborted).toBe(false);
    await world.until(lock.release());
  }
  const granted = (await world.until(waiting)) ?? [];
  expect(granted.map(({ name }) => name)).toEqual(names);
  for (const lock of granted) await world.until(lock.release());
  await world.until(Promise.all([ana.close(), bo.close()]));
});

test("a client of which a peer's node dies holds what it held when another node has taken over", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a");
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  const held = (await world.until(Promise.all(names.map((name) => ana.lock(name))))) ?? [];
  world.die("b");
  const late = ana.lock(world.nameAt("c", 1));
  for (const [partition, owner] of world.table.ownerIds.entries())
    if (owner === undefined) world.take(partition, "b", "c");
  await world.until(late);
  await world.until(() => world.member("a").router.counters()["links"] === 1);
  for (const lock of held) {
    expect(lock.signal.aborted).toBe(false);
    expect((await world.until(lock.release()))?.undone).toBe(0);
  }
  await world.until(ana.close());
});
