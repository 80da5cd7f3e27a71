import { expect, test } from "vitest";
import { acquireBody, type NativeClient, releaseBody } from "../edge/testing/edge-scene.ts";
import { HELD_REQUESTS_MAX } from "./held.ts";
import { ClusterWorld, HOLD_MS } from "./testing/cluster-world.ts";
import { acquire, ask, notices, told } from "./testing/conversation.ts";

/** Numbers of the partitions that the last answered heartbeat refreshed. */
function refreshed(client: NativeClient): readonly number[] | undefined {
  const beat = client.frames.findLast((frame) => frame.heartbeat !== undefined)?.heartbeat;
  return beat?.partitions.toSorted((a, b) => a - b);
}

/** A heartbeat connection of the session that `client` opened. */
async function heart(world: ClusterWorld, id: string, client: NativeClient): Promise<NativeClient> {
  const welcome = client.frames[0]?.welcome;
  if (welcome === undefined) throw new Error("no session was opened");
  const { sessionId, sessionSecret } = welcome;
  return await world.client(id, { purpose: 1, sessionId, sessionSecret });
}

async function beat(world: ClusterWorld, connection: NativeClient, number: number): Promise<readonly number[]> {
  connection.beat({ number, lagMs: 0, health: 0 });
  await world.until(() => connection.frames.some(({ heartbeat }) => heartbeat?.number === number));
  return refreshed(connection) ?? [];
}

test("a heartbeat at one node keeps the session alive at all, and its answer names the partitions of all", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a", { ttlMs: 3_000 });
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  const tokens = new Map<string, bigint>();
  for (const name of names) tokens.set(name, await acquire(world, ana, name));
  const partitions = names.map((name) => world.partitionOf(name)).sort((x, y) => x - y);
  const pulse = await heart(world, "a", ana);
  for (let number = 1; number <= 8; number += 1) {
    expect(await beat(world, pulse, number)).toEqual(partitions);
    await world.clock.advance(1_000);
  }
  for (const name of names)
    expect(told(await ask(world, ana, releaseBody(name, tokens.get(name) ?? 0n)))).toBe("release");
});

test("a heartbeat at a node that the client's requests do not go through finds where the session lives", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  const pulse = await heart(world, "c", ana);
  expect(await beat(world, pulse, 1)).toEqual([world.partitionOf(name)]);
});

test("a heartbeat is not answered while a node where the session lives cannot be asked", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  const pulse = await heart(world, "a", ana);
  await beat(world, pulse, 1);
  world.cut("b");
  await world.until(() => ana.isEnded || world.member("a").router.counters()["links"] === 0);
  pulse.beat({ number: 2, lagMs: 0, health: 0 });
  await world.clock.advance(500);
  expect(pulse.frames.some(({ heartbeat }) => heartbeat?.number === 2)).toBe(false);
});

test("a session that is silent at its node expires at all of them", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a", { ttlMs: 1_000 }), await world.client("b", { ttlMs: 300_000 })];
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  expect(told(await ask(world, bo, acquireBody(name)))).toBe("queued 1");
  await world.clock.advance(2_000);
  await world.until(() => notices(bo).includes("1 granted 1"));
});

test("requests that wait for an owner are carried out by it, once each and in their order", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const partition = world.partitionOf(name);
  const token = await acquire(world, ana, name);
  const from = world.release(partition);
  const appends = Array.from({ length: 40 }, (_, index) => {
    const value = { file: name, bytes: Buffer.from(`${index};`), token, element: "" };
    return { $case: "append", value } as const;
  });
  const sequences = ana.send(...appends);
  await world.until(() => world.member("a").router.counters()["requests_held"] === 40);
  world.take(partition, from, "c");
  const replies = (await world.until(ana.replies(sequences))) ?? [];
  expect(replies.map(({ $case }) => $case)).toEqual(appends.map(() => "append"));
  const read = await ask(world, ana, { $case: "readFile", value: { file: name, offset: 0, bytesMax: 0, version: 0 } });
  expect(read).toMatchObject({ value: { version: 40 } });
  expect(replies.map((body) => (body.$case === "append" ? body.value.index : -1))).toEqual(
    appends.map((_, index) => index),
  );
});

test.each(["a", "b"])(
  "no request is lost or done twice while its partition moves away from node %s under load",
  async (owner) => {
    await using world = await ClusterWorld.open();
    const ana = await world.client("a");
    const name = world.nameAt(owner);
    const partition = world.partitionOf(name);
    const token = await acquire(world, ana, name);
    const sequences: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      const value = { file: name, bytes: Buffer.from("x"), token, element: "" };
      sequences.push(...ana.send({ $case: "append", value }, { $case: "append", value }, { $case: "append", value }));
      if (round === 7) world.move(partition, "c");
      if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const replies = (await world.until(ana.replies(sequences))) ?? [];
    expect(replies.map(({ $case }) => $case)).toEqual(sequences.map(() => "append"));
    const indexes = replies.map((body) => (body.$case === "append" ? body.value.index : -1));
    expect(indexes).toEqual(sequences.map((_, index) => index)); // In the order in which they were sent, too.
  },
);

test("who asks the next owner before it knows that it is asks again, and is answered once", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  world.table.unaware.add("c");
  world.move(world.partitionOf(name), "c");
  const value = { file: name, bytes: Buffer.from("x"), token, element: "" };
  const sequences = ana.send({ $case: "append", value }, { $case: "append", value });
  await world.until(() => (world.member("a").router.counters()["requests_sent_again_total"] ?? 0) > 8);
  world.table.unaware.delete("c");
  const replies = (await world.until(ana.replies(sequences))) ?? [];
  expect(replies.map((body) => (body.$case === "append" ? body.value.index : -1))).toEqual([0, 1]);
});

test.each(["a", "b"])(
  "a wait moves with its partition away from node %s, and its grant is told through the client's node",
  async (owner) => {
    await using world = await ClusterWorld.open();
    const [ana, bo] = [await world.client("a"), await world.client("a")];
    const name = world.nameAt(owner);
    const token = await acquire(world, ana, name);
    expect(told(await ask(world, bo, acquireBody(name)))).toBe("queued 1");
    world.move(world.partitionOf(name), "c");
    const pulse = await heart(world, "a", bo);
    expect(await beat(world, pulse, 1)).toEqual([world.partitionOf(name)]); // As after any take-over: until then others go first.
    await ask(world, ana, releaseBody(name, token));
    await world.until(() => notices(bo).includes("1 granted 1"));
  },
);

test("when a peer dies, what was on its way is carried out by the next owner, and the client is made to resume", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const partition = world.partitionOf(name);
  const token = await acquire(world, ana, name);
  world.die("b");
  const [sequence] = ana.send({ $case: "append", value: { file: name, bytes: Buffer.from("x"), token, element: "" } });
  await world.until(() => world.member("a").router.counters()["requests_held"] === 1);
  for (const [each, owner] of world.table.ownerIds.entries()) if (owner === undefined) world.take(each, "b", "c");
  await world.until(() => ana.isEnded);
  const { sessionId, sessionSecret } = ana.frames[0]?.welcome ?? {
    sessionId: Buffer.alloc(0),
    sessionSecret: Buffer.alloc(0),
  };
  const again = await world.client("a", { sessionId, sessionSecret, open: [BigInt(sequence ?? 0)] });
  expect(again.frames[0]?.welcome?.grants.map(({ token: held }) => held)).toEqual([token]);
  const read = await ask(world, again, {
    $case: "readFile",
    value: { file: name, offset: 0, bytesMax: 0, version: 0 },
  });
  expect(read).toMatchObject({ value: { length: 1 } });
  expect(world.table.ownerIds[partition]).toBe("c");
});

test("a client that resumes while a node cannot be reached, or a partition has no owner, is told to come again", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const partition = world.partitionOf(name);
  await acquire(world, ana, name);
  const { sessionId, sessionSecret } = ana.frames[0]?.welcome ?? {
    sessionId: Buffer.alloc(0),
    sessionSecret: Buffer.alloc(0),
  };
  const from = world.release(partition);
  const early = await world.client("c", { sessionId, sessionSecret });
  expect(early.frames[0]?.closing?.code).toBe("unavailable");
  world.take(partition, from, "a");
  expect((await world.client("c", { sessionId, sessionSecret })).frames[0]?.welcome?.grants).toHaveLength(1);
  world.cut("a");
  await world.clock.advance(200);
  const cut = await world.client("b", { sessionId, sessionSecret });
  expect(cut.frames[0]?.closing?.code).toBe("unavailable");
});

test("a client that resumes while a partition has no owner is welcomed when it has one, without coming again", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const partition = world.partitionOf(name);
  const token = await acquire(world, ana, name);
  const { sessionId, sessionSecret } = ana.frames[0]?.welcome ?? {
    sessionId: Buffer.alloc(0),
    sessionSecret: Buffer.alloc(0),
  };
  const from = world.release(partition);
  const coming = world.client("c", { sessionId, sessionSecret });
  await world.until(() => world.member("c").router.counters()["links"] === 2); // It has asked the others.
  world.take(partition, from, "a");
  const again = await coming;
  expect(again.frames[0]?.welcome?.grants.map(({ token: held }) => held)).toEqual([token]);
});

test("what waits for an owner too long is answered unavailable, with when to ask again", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  world.release(world.partitionOf(name));
  const [sequence] = ana.send(acquireBody(name));
  await world.until(() => world.member("a").router.counters()["requests_held"] === 1);
  await world.clock.advance(HOLD_MS + 100);
  const [reply] = (await world.until(ana.replies([sequence ?? 0]))) ?? [];
  expect(reply).toMatchObject({ value: { code: "unavailable", retryAfterMs: 500 } });
});

test("no more requests wait for an owner than may", async () => {
  await using world = await ClusterWorld.open();
  const name = world.nameAt("b");
  world.release(world.partitionOf(name));
  const { router, node } = world.member("a");
  const caller = { principal: "local", may: () => true, remoteAddress: "test" };
  const { session } = router.openSession(caller, { ttlMs: undefined, client: "" });
  const replies: string[] = [];
  for (let sequence = 1; sequence <= HELD_REQUESTS_MAX + 1; sequence += 1) {
    const operation = { sequence, keep: undefined, body: acquireBody(name) };
    router.submit(caller, session, operation, (reply) => replies.push(`${reply.sequence} ${told(reply.body)}`));
  }
  await new Promise((resolve) => node.options.defer(() => resolve(undefined)));
  expect(replies).toEqual([`${HELD_REQUESTS_MAX + 1} error unavailable`]);
});

test("there are no more connections to peers than may be, and who needs one more is told so", async () => {
  await using world = await ClusterWorld.open({ linksMax: 1 });
  const [ana, bo] = [await world.client("a"), await world.client("a")];
  await acquire(world, ana, world.nameAt("b"));
  expect(told(await ask(world, bo, acquireBody(world.nameAt("b", 1))))).toBe("error connections_full");
});

test("a link closes when a heartbeat finds that nothing of the session lives there", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const pulse = await heart(world, "a", ana);
  const refused = await ask(world, ana, releaseBody(world.nameAt("b"), 1n));
  expect(told(refused)).toBe("error stale_token");
  const links = (): number | undefined => world.member("a").router.counters()["links"];
  expect(links()).toBe(1);
  expect(await beat(world, pulse, 1)).toEqual([]);
  expect(links()).toBe(0);
});

test("a node that stops when its partitions have moved away interrupts nobody", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  for (const [partition, owner] of world.table.ownerIds.entries()) if (owner === "b") world.move(partition, "c");
  await world.clock.advance(2_500);
  world.cut("b");
  await world.clock.advance(200);
  expect(told(await ask(world, ana, releaseBody(name, token)))).toBe("release");
  expect(ana.isEnded).toBe(false);
});

test("that one waits is not told by an earlier owner when the next one has told the end", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  const partition = world.partitionOf(name);
  await acquire(world, ana, world.nameAt("b", 1)); // The link is there.
  const token = await acquire(world, bo, name);
  world.stall("b");
  let answer: string | undefined;
  void ana.ask(acquireBody(name)).then((body) => {
    answer = told(body);
  });
  await world.until(() => world.member("b").node.shardAt(partition).state.waits.size === 1);
  world.move(partition, "c");
  bo.send(releaseBody(name, token));
  await world.until(() => notices(ana).includes("2 granted 1"));
  expect(answer).toBeUndefined();
  world.flow("b");
  await world.until(() => answer !== undefined);
  expect(answer).toBe("granted 1");
});
