// Cycles of waits whose elements lie at several nodes, over real connections: one waiter is refused, the others go on.
import { AcquireAllRequest } from "@forelock/protocol";
import { expect, test } from "vitest";
import type { OperationBody } from "../edge/authorize.ts";
import { acquireBody, type NativeClient, releaseBody } from "../edge/testing/edge-scene.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";
import { acquire, ask, notices, told } from "./testing/conversation.ts";

const refusedOf = (clients: readonly NativeClient[]): readonly NativeClient[] =>
  clients.filter((client) => notices(client).some((notice) => notice.endsWith("ended deadlock")));

/** Until somebody is refused, and then until it has become quiet. @returns who was */
async function refused(world: ClusterWorld, clients: readonly NativeClient[]): Promise<readonly NativeClient[]> {
  await world.until(() => refusedOf(clients).length > 0);
  await world.clock.advance(3_000);
  return refusedOf(clients);
}

const found = (world: ClusterWorld, id: string): number =>
  world.member(id).router.counters()["deadlocks_over_nodes_total"] ?? 0;

test("two sessions that wait for each other at two nodes: one is refused, and the other is granted what it gives back", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const names = [world.nameAt("b"), world.nameAt("c")] as const;
  const tokens = new Map([
    [ana, await acquire(world, ana, names[0])],
    [bo, await acquire(world, bo, names[1])],
  ]);
  expect(told(await ask(world, ana, acquireBody(names[1])))).toBe("queued 1");
  expect(told(await ask(world, bo, acquireBody(names[0])))).toBe("queued 1");
  const victims = await refused(world, [ana, bo]);
  expect(victims).toHaveLength(1);
  const [victim = ana] = victims;
  const other = victim === ana ? bo : ana;
  await ask(world, victim, releaseBody(victim === ana ? names[0] : names[1], tokens.get(victim) ?? 0n));
  await world.until(() => notices(other).includes("2 granted 1"));
  expect(["a", "b", "c"].map((id) => found(world, id))).toEqual([1, 0, 0]); // It is the first that looks.
});

test("a cycle over three nodes is found when the first of them has died", async () => {
  await using world = await ClusterWorld.open({ ids: ["a", "b", "c", "d"] });
  const clients = [await world.client("b"), await world.client("c"), await world.client("d")];
  const names = ["b", "c", "d"].map((id) => world.nameAt(id));
  for (const [index, client] of clients.entries()) await acquire(world, client, names[index] ?? "");
  world.die("a");
  for (const [index, client] of clients.entries())
    expect(told(await ask(world, client, acquireBody(names[(index + 1) % 3] ?? "")))).toBe("queued 1");
  expect(await refused(world, clients)).toHaveLength(1);
  expect(found(world, "b")).toBe(1);
});

test("a cycle is found after one of its partitions has moved to a third node", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("b"), await world.client("c")];
  const names = [world.nameAt("b"), world.nameAt("c")] as const;
  await acquire(world, ana, names[0]);
  await acquire(world, bo, names[1]);
  await ask(world, ana, acquireBody(names[1]));
  world.move(world.partitionOf(names[0]), "a");
  await ask(world, bo, acquireBody(names[0]));
  expect(await refused(world, [ana, bo])).toHaveLength(1);
});

test("who holds a part of a lockAll and waits for another is in a cycle too, of which the other one is refused", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("b")];
  const names = [world.nameAt("b"), world.nameAt("c")].sort();
  const [first = "", second = ""] = names;
  await acquire(world, bo, second);
  const all: OperationBody = {
    $case: "acquireAll",
    value: AcquireAllRequest.fromPartial({ elements: names.map((name) => ({ name })) }),
  };
  await ask(world, ana, all);
  const { node } = world.member(world.table.ownerIds[world.partitionOf(first)] ?? "");
  await world.until(() => [...node.shardOf(first).state.parts.values()].some((part) => "element" in part));
  expect(told(await ask(world, bo, acquireBody(first)))).toBe("queued 1");
  expect(await refused(world, [ana, bo])).toEqual([bo]);
});

test("nothing is asked of anybody while nobody waits, and nobody is refused who waits in no circle", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo, cy] = [await world.client("a"), await world.client("b"), await world.client("c")];
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  for (const [index, client] of [ana, bo, cy].entries()) await acquire(world, client, names[index] ?? "");
  const looks = (): number => world.member("a").router.counters()["deadlock_looks_total"] ?? 0;
  await world.clock.advance(3_000);
  expect(looks()).toBe(0);
  await ask(world, ana, acquireBody(names[1] ?? "")); // A chain: ana for bo, bo for cy.
  await ask(world, bo, acquireBody(names[2] ?? ""));
  await world.until(() => looks() > 2);
  await world.clock.advance(3_000);
  expect(refusedOf([ana, bo, cy])).toEqual([]);
});
