// A lockAll whose elements lie at several nodes: all or nothing, whatever becomes of the nodes meanwhile.
import { AcquireAllRequest } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import type { OperationBody } from "../edge/authorize.ts";
import { acquireBody, type NativeClient, releaseBody } from "../edge/testing/edge-scene.ts";
import { homeOf } from "../shard/requests.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";
import { acquire, notices as allNotices, ask, told } from "./testing/conversation.ts";

const NODES = ["a", "b", "c"] as const;

function all(names: readonly string[], waitMs?: number): OperationBody {
  return {
    $case: "acquireAll",
    value: AcquireAllRequest.fromPartial({
      elements: names.map((name) => ({ name })),
      ...(waitMs === undefined ? {} : { waitMs }),
    }),
  };
}

/** One name at each node, each of another partition. */
const oneEach = (world: ClusterWorld, index = 0): readonly string[] => NODES.map((id) => world.nameAt(id, index));

/** In all partitions of all nodes, as their owners have it. */
function counts(world: ClusterWorld): { readonly grants: number; readonly batches: number; readonly parts: number } {
  const states = world.table.ownerIds.map((id, partition) => world.member(id ?? "").node.shardAt(partition).state);
  const sum = (of: (state: (typeof states)[number]) => number): number =>
    states.reduce((total, state) => total + of(state), 0);
  return {
    grants: sum((state) => state.grants),
    batches: sum(({ batches }) => batches.size),
    parts: sum(({ parts }) => parts.size),
  };
}

const NOTHING = { grants: 0, batches: 0, parts: 0 };

async function isFree(world: ClusterWorld, client: NativeClient, names: readonly string[]): Promise<void> {
  for (const name of names) await acquire(world, client, name, 0);
}

/** The batch has reserved the part of `name`. */
async function reserved(world: ClusterWorld, name: string): Promise<void> {
  const partition = world.partitionOf(name);
  const isReserved = (): boolean => {
    const { state } = world.member(world.table.ownerIds[partition] ?? "").node.shardAt(partition);
    return [...state.parts.values()].some((part) => "element" in part && part.element.name === name && part.reserved);
  };
  await world.until(isReserved);
}

/** The names in the order in which a batch takes them. */
function inOrder(names: readonly string[]): readonly string[] {
  const left = [...names];
  const order: string[] = [];
  while (left.length > 0) {
    const next = homeOf(left.map((name) => ({ name }))) ?? "";
    order.push(...left.splice(left.indexOf(next), 1));
  }
  return order;
}

/** Its connection was ended, as a node that it lived at is gone: it goes on with another. */
async function resumed(world: ClusterWorld, client: NativeClient, open: readonly bigint[]): Promise<NativeClient> {
  const { welcome } = client.frames[0] ?? {};
  if (welcome === undefined) throw new Error("there was no Welcome");
  const { sessionId, sessionSecret } = welcome;
  client.socket.destroy();
  return world.client("a", { sessionId, sessionSecret, open: [...open] });
}

/** Owners change in these tests, and clients are told: that is not what they are about. */
const notices = (client: Parameters<typeof allNotices>[0]): readonly string[] =>
  allNotices(client).filter((notice) => notice !== "map");

describe("a batch over three owners", () => {
  test.each(NODES)(
    "is granted whole through node %s, each part with its token, and released one by one",
    async (id) => {
      await using world = await ClusterWorld.open();
      const ana = await world.client(id);
      const names = oneEach(world);
      expect(told(await ask(world, ana, all(names)))).toBe("queued 0");
      await world.until(() => notices(ana).length > 0);
      expect(notices(ana)).toEqual(["1 granted 3"]);
      const granted = ana.frames.flatMap((frame) => frame.notices)[0]?.body;
      const grants = granted?.$case === "operation" ? granted.value.grants : [];
      expect(grants.map(({ name }) => name).sort()).toEqual([...names].sort());
      for (const { name, token } of grants)
        expect((await ask(world, ana, releaseBody(name, token))).$case).toBe("release");
      expect(counts(world)).toEqual(NOTHING);
    },
  );

  test("that must not wait is refused busy when one of them is held, and keeps none", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    await acquire(world, bo, names[2] ?? "");
    await ask(world, ana, all(names, 0));
    await world.until(() => notices(ana).length > 0);
    expect(notices(ana)).toEqual(["1 ended busy"]);
    expect(counts(world)).toEqual({ ...NOTHING, grants: 1 });
  });

  test("waits for what is held, holding the others back from everybody else, and is granted with it", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    const token = await acquire(world, bo, names[1] ?? "");
    await ask(world, ana, all(names));
    await reserved(world, names[0] ?? "");
    expect(told(await ask(world, bo, acquireBody(names[0] ?? "", 0)))).toBe("error busy");
    expect(notices(ana)).toEqual([]);
    await ask(world, bo, releaseBody(names[1] ?? "", token));
    await world.until(() => notices(ana).length > 0);
    expect(notices(ana)).toEqual(["1 granted 3"]);
  });

  test("that is cancelled while it waits gives back what it has", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    await acquire(world, bo, names[2] ?? "");
    const queued = await ask(world, ana, all(names));
    const reference = queued.$case === "acquire" ? queued.value.reference : "";
    await reserved(world, names[1] ?? "");
    const cancelled = await ask(world, ana, { $case: "cancel", value: { reference, sequence: 0 } });
    expect(cancelled).toEqual({ $case: "cancel", value: { cancelled: true } });
    await world.until(() => counts(world).parts === 0 && counts(world).batches === 0);
    expect(notices(ana)).toEqual(["1 ended cancelled"]);
    await isFree(world, bo, names.slice(0, 2));
  });

  test("that times out gives back what it has", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    await acquire(world, bo, names[2] ?? "");
    await ask(world, ana, all(names, 300));
    await reserved(world, names[1] ?? "");
    await world.clock.advance(400);
    await world.until(() => notices(ana).length > 0);
    expect(notices(ana)).toEqual(["1 ended timeout"]);
    expect(counts(world)).toEqual({ ...NOTHING, grants: 1 });
  });

  test("ends with its session, and gives back what it has", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    await acquire(world, bo, names[2] ?? "");
    await ask(world, ana, all(names));
    await reserved(world, names[1] ?? "");
    await ask(world, ana, { $case: "closeSession", value: {} });
    await world.until(() => counts(world).parts === 0 && counts(world).batches === 0);
    await isFree(world, bo, names.slice(0, 2));
  });
});

describe("a batch whose nodes change meanwhile", () => {
  test("is driven on by the next owner of its home partition, and granted once", async () => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("b")];
    const names = inOrder(oneEach(world));
    const token = await acquire(world, bo, names[2] ?? "");
    await ask(world, ana, all(names));
    await reserved(world, names[1] ?? "");
    const home = world.partitionOf(names[0] ?? "");
    const next = world.table.ownerIds[home] === "c" ? "b" : "c";
    world.move(home, next);
    await world.clock.advance(200);
    expect(counts(world)).toMatchObject({ batches: 1 });
    await ask(world, bo, releaseBody(names[2] ?? "", token));
    await world.until(() => notices(ana).length > 0);
    expect(notices(ana)).toEqual(["1 granted 3"]);
    expect(counts(world)).toEqual({ grants: 3, batches: 0, parts: 3 });
  });

  test.each([1, 2])("goes on when the owner of part %i dies and its standby takes over", async (index) => {
    await using world = await ClusterWorld.open({ ids: ["a", "b", "c", "d"] });
    const names = inOrder(["b", "c", "d"].map((id) => world.nameAt(id)));
    const [ana, bo] = [await world.client("a"), await world.client("a")];
    const token = await acquire(world, bo, names[2] ?? "");
    await ask(world, ana, all(names));
    await reserved(world, names[1] ?? "");
    const partition = world.partitionOf(names[index] ?? "");
    const dead = world.table.ownerIds[partition] ?? "";
    const lost = world.table.ownerIds.flatMap((id, each) => (id === dead ? [each] : []));
    world.die(dead);
    await world.clock.advance(100);
    for (const each of lost) world.take(each, dead, "a");
    await world.clock.advance(100);
    const [anaAgain, boAgain] = [await resumed(world, ana, [1n]), await resumed(world, bo, [1n])];
    expect(await acquire(world, boAgain, names[2] ?? "")).toBe(token); // Its first request, made again.
    await ask(world, boAgain, releaseBody(names[2] ?? "", token));
    await world.until(() => notices(anaAgain).length > 0);
    expect(notices(anaAgain)).toEqual(["1 granted 3"]);
    expect(counts(world)).toEqual({ grants: 3, batches: 0, parts: 3 });
  });

  test("is given up as a whole when it ends while an owner is away, once that partition has an owner again", async () => {
    await using world = await ClusterWorld.open({ ids: ["a", "b", "c", "d"] });
    const names = inOrder(["b", "c", "d"].map((id) => world.nameAt(id)));
    const [ana, bo] = [await world.client("a"), await world.client("a")];
    await acquire(world, bo, names[2] ?? "");
    const queued = await ask(world, ana, all(names));
    const reference = queued.$case === "acquire" ? queued.value.reference : "";
    await reserved(world, names[1] ?? "");
    const partition = world.partitionOf(names[1] ?? "");
    const from = world.release(partition);
    await ask(world, ana, { $case: "cancel", value: { reference, sequence: 0 } });
    await world.clock.advance(200);
    world.take(partition, from, "a");
    await world.until(() => counts(world).parts === 0 && counts(world).batches === 0);
    await isFree(world, bo, names.slice(0, 2));
  });
});

test("a late step of a driver that was deposed changes nothing that its successor did", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("b")];
  const names = inOrder(oneEach(world));
  await acquire(world, bo, names[2] ?? "");
  await ask(world, ana, all(names));
  await reserved(world, names[1] ?? "");
  const home = world.partitionOf(names[0] ?? "");
  const before = world.table.ownerIds[home] ?? "";
  const { state } = world.member(before).node.shardAt(home);
  const fence = { home, number: state.epoch * 2 ** 30 };
  const part = `batch.${home}.${[...state.batches.keys()][0] ?? 0}.1`;
  const next = world.table.ownerIds[home] === "c" ? "b" : "c";
  world.move(home, next);
  const shard = world.member("a").node.shardAt(world.partitionOf(names[1] ?? ""));
  const owner = world.member(world.table.ownerIds[shard.partition] ?? "").node.shardAt(shard.partition);
  await world.until(() => (owner.state.fences.get(home) ?? 0) > fence.number);
  let refused: string | undefined;
  owner.submit(
    { kind: "abandon_part", part, fence },
    (_state, refusal) => {
      refused = refusal?.code;
      return undefined;
    },
    () => {},
  );
  await world.until(() => refused !== undefined);
  expect(refused).toBe("fenced");
  expect(owner.state.parts.has(part)).toBe(true);
});

test("two batches that name the same elements in opposite order do not wait for each other", async () => {
  await using world = await ClusterWorld.open();
  const clients = [await world.client("a"), await world.client("b"), await world.client("c")];
  const names = oneEach(world);
  const orders = [names, [...names].reverse(), [names[1] ?? "", names[0] ?? "", names[2] ?? ""]];
  for (const [index, client] of clients.entries()) client.send(all(orders[index] ?? []));
  const left = new Set(clients);
  while (left.size > 0) {
    await world.until(() => [...left].some((client) => notices(client).includes("1 granted 3")));
    const [client] = [...left].filter((each) => notices(each).includes("1 granted 3"));
    if (client === undefined) break;
    left.delete(client);
    await ask(world, client, { $case: "closeSession", value: {} });
  }
  expect(clients.map(notices)).toEqual(clients.map(() => ["1 granted 3"]));
});

test("who resumes while a batch is open is told of its wait and of none of its parts", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("b")];
  const names = inOrder(oneEach(world));
  const token = await acquire(world, bo, names[2] ?? "");
  await ask(world, ana, all(names));
  await reserved(world, names[1] ?? "");
  const home = world.partitionOf(names[0] ?? "");
  const { node } = world.member(world.table.ownerIds[world.partitionOf(names[1] ?? "")] ?? "");
  const shard = node.shardOf(names[1] ?? "");
  const batch =
    [
      ...world
        .member(world.table.ownerIds[home] ?? "")
        .node.shardAt(home)
        .state.batches.keys(),
    ][0] ?? 0;
  shard.submit(
    { kind: "confirm_part", part: `batch.${home}.${batch}.1` },
    () => undefined,
    () => {},
  );
  await world.until(
    () =>
      shard.state.parts.size === 1 &&
      [...shard.state.parts.values()].every((part) => "element" in part && !part.reserved),
  );
  // As if the driver had confirmed it, and had not come to the others yet.
  const again = await resumed(world, ana, [1n]);
  const welcome = again.frames[0]?.welcome;
  expect(welcome?.grants).toEqual([]);
  expect(welcome?.waits.map(({ sequence }) => sequence)).toEqual([1]);
  expect(welcome?.openBatches).toEqual([]);
  await ask(world, bo, releaseBody(names[2] ?? "", token));
  await world.until(() => notices(again).length > 0);
  expect(notices(again)).toEqual(["1 granted 3"]);
});
