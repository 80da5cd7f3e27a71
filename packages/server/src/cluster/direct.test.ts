// Direct connections as the wire has them: who gets the map, and what a connection to an owner takes over and what it leaves alone.
import type { ClusterMap, Hello } from "@forelock/protocol";
import { expect, test } from "vitest";
import { acquireBody, clientFrame, type NativeClient, releaseBody } from "../edge/testing/edge-scene.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";
import { acquire, ask, notices, told } from "./testing/conversation.ts";

function welcomeTo(client: NativeClient) {
  const welcome = client.frames[0]?.welcome;
  if (welcome === undefined) throw new Error("no Welcome came");
  return welcome;
}

function credentialsOf(client: NativeClient): Partial<Hello> {
  const { sessionId, sessionSecret } = welcomeTo(client);
  return { sessionId, sessionSecret };
}

/** The map in words: the owner of each partition. */
function ownersIn(map: ClusterMap | undefined): readonly (string | undefined)[] {
  return (map?.owners ?? []).map((at) => map?.nodes[at - 1]?.id);
}

function mapsTold(client: NativeClient): readonly ClusterMap[] {
  const bodies = client.frames.flatMap((frame) => frame.notices).map(({ body }) => body);
  return bodies.flatMap((body) => (body?.$case === "map" ? [body.value] : []));
}

test("the Welcome tells where the nodes are and what each of them owns", async () => {
  await using world = await ClusterWorld.open();
  const { map } = welcomeTo(await world.client("a"));
  expect(ownersIn(map)).toEqual(world.table.ownerIds);
  expect(map?.node).toBe("a");
  expect(map?.nodes.find(({ id }) => id === "b")).toEqual(world.table.addresses.get("b"));
});

test("changes are told, many of a moment as one", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  await world.until(() => world.clock.monotonicMs() > 200);
  expect(mapsTold(ana)).toEqual([]); // Its Welcome was as new.
  for (let partition = 0; partition < world.table.ownerIds.length; partition += 1) world.move(partition, "c");
  await world.until(() => mapsTold(ana).length > 0);
  const [map, ...more] = mapsTold(ana);
  expect(more).toEqual([]);
  expect(ownersIn(map)).toEqual(world.table.ownerIds);
  expect(map?.version).toBeGreaterThan(welcomeTo(ana).map?.version ?? 0);
});

test("who lacks the right `direct` gets no map, and no direct connection", async () => {
  const principal = { tokenSha256: undefined, san: [] };
  const [lock, direct] = [{ right: "lock", prefix: "" } as const, { right: "direct", prefix: "" } as const];
  const principals = [
    { ...principal, name: "ana", token: "the token of ana", rights: [lock] },
    { ...principal, name: "bo", token: "the token of bob", rights: [lock, direct] },
  ];
  await using world = await ClusterWorld.open({ principals });
  const ana = await world.client("a", { token: "the token of ana" });
  expect(welcomeTo(ana).map).toBeUndefined();
  const refused = await world.client("b", { ...credentialsOf(ana), token: "the token of ana", direct: true });
  expect(refused.frames[0]?.closing?.code).toBe("permission_denied");
  const bo = await world.client("a", { token: "the token of bob" });
  expect(ownersIn(welcomeTo(bo).map)).toEqual(world.table.ownerIds);
});

test("a direct connection carries out what its node owns, and refuses the rest", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const direct = await world.client("b", { ...credentialsOf(ana), direct: true });
  expect(welcomeTo(direct).ledPartitions).toEqual([1, 4, 7, 10]);
  const token = await acquire(world, direct, world.nameAt("b"));
  expect(await ask(world, direct, acquireBody(world.nameAt("c")))).toMatchObject({ value: { code: "not_owner" } });
  expect((await ask(world, direct, releaseBody(world.nameAt("b"), token))).$case).toBe("release");
  expect(world.member("a").router.counters()).toMatchObject({ requests_forwarded_total: 0 });
  expect(world.member("b").router.counters()).toMatchObject({ links: 0 });
});

test("notices of what was asked through another node come on the direct connection, and nothing takes them from it", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const [first, second] = [world.nameAt("b"), world.nameAt("b", 1)];
  const tokens = [await acquire(world, bo, first), await acquire(world, bo, second)];
  expect(told(await ask(world, ana, acquireBody(first)))).toBe("queued 1");
  const direct = await world.client("b", { ...credentialsOf(ana), direct: true });
  await ask(world, bo, releaseBody(first, tokens[0] ?? 0n));
  await world.until(() => notices(direct).length === 1);
  expect(notices(direct)).toEqual(["1 granted 1"]);
  // Asked through node `a` once more.
  expect(told(await ask(world, ana, acquireBody(second)))).toBe("queued 1");
  await ask(world, bo, releaseBody(second, tokens[1] ?? 0n));
  await world.until(() => notices(direct).length === 2);
  expect(notices(ana).filter((notice) => notice !== "map")).toEqual([]);
});

test("when the direct connection ends, notices come through the other node again", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  const token = await acquire(world, bo, name);
  expect(told(await ask(world, ana, acquireBody(name)))).toBe("queued 1");
  const direct = await world.client("b", { ...credentialsOf(ana), direct: true });
  direct.socket.destroy();
  await world.until(() => direct.isEnded);
  await ask(world, bo, releaseBody(name, token));
  await world.until(() => notices(ana).includes("1 granted 1"));
});

test("whoever resumes the session ends its direct connections everywhere, and a direct connection ends no other", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const credentials = credentialsOf(ana);
  const direct = await world.client("b", { ...credentials, direct: true });
  const sameNode = await world.client("a", { ...credentials, direct: true });
  expect((await ask(world, ana, acquireBody(world.nameAt("a")))).$case).toBe("acquire");
  const again = await world.client("c", credentials);
  await world.until(() => direct.isEnded && sameNode.isEnded);
  expect(direct.frames.at(-1)?.closing?.code).toBe("cancelled");
  expect(welcomeTo(again).grants.map(({ name }) => name)).toEqual([world.nameAt("a")]);
});

test("heartbeats of a direct connection refresh what lives at its node, and list nothing else", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const credentials = credentialsOf(ana);
  const direct = await world.client("b", { ...credentials, direct: true });
  await acquire(world, direct, world.nameAt("b"));
  await acquire(world, ana, world.nameAt("c"));
  const beating = await world.client("b", { ...credentials, direct: true, purpose: 1 });
  beating.socket.write(clientFrame({ heartbeat: { number: 1, lagMs: 0, health: 0 } }));
  await world.until(() => beating.frames.some(({ heartbeat }) => heartbeat !== undefined));
  const [reply] = beating.frames.flatMap(({ heartbeat }) => heartbeat ?? []);
  expect(reply?.partitions).toEqual([world.partitionOf(world.nameAt("b"))]);
});

test("a partition that moves is refused by its owner of before, and known to the next one", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const credentials = credentialsOf(ana);
  const atB = await world.client("b", { ...credentials, direct: true });
  const atC = await world.client("c", { ...credentials, direct: true });
  const name = world.nameAt("b");
  const token = await acquire(world, atB, name);
  world.move(world.partitionOf(name), "c");
  expect(await ask(world, atB, releaseBody(name, token))).toMatchObject({ value: { code: "not_owner" } });
  expect((await ask(world, atC, releaseBody(name, token))).$case).toBe("error"); // Its number 1 is the acquire's.
  expect((await ask(world, atC, releaseBody(name, token))).$case).toBe("release");
});
