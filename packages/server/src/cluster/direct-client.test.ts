// The client of this repository, going direct: which connections it has, and that no request fails for what becomes of them.
import { type ConnectOptions, connect, type ForelockClient } from "@forelock/client";
import { expect, test } from "vitest";
import { ClusterWorld } from "./testing/cluster-world.ts";

async function connected(world: ClusterWorld, id: string, options: ConnectOptions = {}): Promise<ForelockClient> {
  const others = ["a", "b", "c"].filter((other) => other !== id);
  const endpoints = [id, ...others].map((node) => `127.0.0.1:${world.member(node).edge.port}`);
  const client = await world.until(connect({ endpoints, ...options }));
  if (client === undefined) throw new Error("no client");
  return client;
}

function forwarded(world: ClusterWorld): number {
  return ["a", "b", "c"].reduce(
    (sum, id) => sum + (world.member(id).router.counters()["requests_forwarded_total"] ?? 0),
    0,
  );
}

/** Locks and releases until the requests take direct connections. */
async function goDirect(world: ClusterWorld, client: ForelockClient, names: readonly string[]): Promise<void> {
  for (const name of names) {
    for (let before = -1; before !== forwarded(world); ) {
      before = forwarded(world);
      const lock = await world.until(client.lock(name));
      await world.until(lock!.release());
    }
  }
}

test("the first request to an owner is forwarded, and later ones go to it directly", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a");
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  await goDirect(world, ana, names);
  const before = forwarded(world);
  const locks = await world.until(Promise.all(names.map((name) => ana.lock(name))));
  await world.until(Promise.all((locks ?? []).map((lock) => lock.release())));
  expect(forwarded(world)).toBe(before);
  await world.until(ana.close());
});

test("with `direct: false` everything goes through one node", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a", { direct: false });
  for (let round = 1; round <= 3; round += 1) {
    const lock = await world.until(ana.lock(world.nameAt("b")));
    await world.until(lock!.release());
    expect(forwarded(world)).toBe(2 * round);
  }
  await world.until(ana.close());
});

test("at `directMax` connections what other nodes own is forwarded", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a", { directMax: 1 });
  await goDirect(world, ana, [world.nameAt("b")]);
  const before = forwarded(world);
  for (const id of ["b", "c"]) {
    const lock = await world.until(ana.lock(world.nameAt(id)));
    await world.until(lock!.release());
  }
  expect(forwarded(world)).toBe(before + 2);
  await world.until(ana.close());
});

test("requests of one partition keep their order when they take a direct connection", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a");
  const name = world.nameAt("b");
  const order: number[] = [];
  const done: Promise<unknown>[] = [];
  for (let index = 0; index < 50; index += 1) {
    const lock = ana.lock(name);
    done.push(lock.then((held) => held.release()));
    lock.then(() => order.push(index)).catch(() => {}); // Told by the one above.
    if (index % 5 === 0) await world.clock.advance(1);
  }
  await world.until(Promise.all(done));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  await world.until(ana.close());
});

test("requests go on without a failure while partitions move, and every lock is held by one at a time", async () => {
  await using world = await ClusterWorld.open();
  const clients = [await connected(world, "a"), await connected(world, "b"), await connected(world, "c")];
  const names = Array.from({ length: 12 }, (_, index) => `n${index}`);
  const holders = new Map<string, number>();
  let rounds = 0;
  const work = clients.flatMap((client, index) =>
    names.map(async (name) => {
      for (let round = 0; round < 15; round += 1) {
        const lock = await client.lock(name);
        expect(holders.get(name)).toBeUndefined();
        holders.set(name, index);
        await Promise.resolve();
        holders.delete(name);
        await lock.release();
        rounds += 1;
      }
    }),
  );
  const all = Promise.all(work);
  let isDone = false;
  void all.finally(() => {
    isDone = true;
  });
  for (let at = 0; !isDone && at < 20_000; at += 1) {
    if (at % 7 === 0) world.move(at % world.table.ownerIds.length, ["a", "b", "c"][(at * 5 + rounds) % 3]!);
    await world.clock.advance(1);
  }
  await world.until(all);
  expect(rounds).toBe(15 * 12 * 3);
  expect(forwarded(world)).toBeLessThan(rounds); // Of two requests each.
  await world.until(Promise.all(clients.map((client) => client.close())));
});

test("a wait at an owner that dies is granted by the next owner, and locks of other owners are not touched", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await connected(world, "a"), await connected(world, "a")];
  const names = ["b", "c"].map((id) => world.nameAt(id));
  await goDirect(world, ana, names);
  await goDirect(world, bo, names);
  const held = (await world.until(Promise.all(names.map((name) => bo.lock(name))))) ?? [];
  const waiting = Promise.all(names.map((name) => ana.lock(name)));
  await world.clock.advance(20);
  world.die("b");
  const atC = await world.until(ana.lock(world.nameAt("c", 1)));
  await world.until(atC!.release());
  for (const [partition, owner] of world.table.ownerIds.entries())
    if (owner === undefined) world.take(partition, "b", "c");
  for (const lock of held) {
    expect(lock.signal.aborted).toBe(false);
    await world.until(lock.release());
  }
  const granted = (await world.until(waiting)) ?? [];
  expect(granted.map(({ name }) => name)).toEqual(names);
  for (const lock of granted) await world.until(lock.release());
  await world.until(Promise.all([ana.close(), bo.close()]));
});

test("when the session's own node dies, what is held at others is kept, and the session goes on at another node", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a");
  const names = ["b", "c"].map((id) => world.nameAt(id));
  await goDirect(world, ana, names);
  const held = (await world.until(Promise.all(names.map((name) => ana.lock(name))))) ?? [];
  await world.until(world.member("a").edge.close());
  world.die("a");
  for (const [partition, owner] of world.table.ownerIds.entries())
    if (owner === undefined) world.take(partition, "a", "c");
  for (const lock of held) {
    expect(lock.signal.aborted).toBe(false);
    await world.until(lock.release());
  }
  await world.until(ana.close());
});

test("closing ends the session at every node, also where it was only asked directly", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await connected(world, "a"), await connected(world, "c")];
  const name = world.nameAt("b");
  await goDirect(world, ana, [name]);
  await world.until(ana.lock(name));
  await world.until(ana.close());
  const lock = await world.until(bo.lock(name));
  expect(lock?.held).toBe(true);
  await world.until(bo.close());
});

test("a wait that was asked directly is cancelled at its owner", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await connected(world, "a"), await connected(world, "c")];
  const name = world.nameAt("b");
  await goDirect(world, ana, [name]);
  const held = await world.until(bo.lock(name));
  const aborting = new AbortController();
  const waiting = ana.lock(name, { signal: aborting.signal });
  waiting.catch(() => {});
  await world.clock.advance(20);
  aborting.abort(new Error("no more"));
  await expect(waiting).rejects.toThrow("no more");
  await world.until(() => world.member("b").node.shards.every((shard) => shard.state.sessions.size < 99));
  await world.until(held!.release());
  expect((await world.until(bo.tryLock(name)))?.held).toBe(true);
  await world.until(Promise.all([ana.close(), bo.close()]));
});

/** Lets sockets and the client's own clock go on, while that of the nodes stands still. */
async function eventually(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test("a lock whose owner is gone is lost when its own time is over; the others are kept by their owners' heartbeats", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a", { ttlMs: 3_000 });
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  await goDirect(world, ana, names);
  const [atA, atB, atC] = (await world.until(Promise.all(names.map((name) => ana.lock(name))))) ?? [];
  const lost = new Promise((resolve) => atB!.signal.addEventListener("abort", resolve));
  await world.until(world.member("b").edge.close());
  world.die("b");
  expect(atB!.held).toBe(true);
  expect(atB!.safeMs).toBeGreaterThan(0);
  await lost;
  expect(atB!.signal.reason).toMatchObject({ code: "lock_lost" });
  expect(atB!.safeMs).toBe(0);
  // Home cannot answer for all while nobody owns what was at `b`: it answers for itself, as `c` does.
  expect([atA!.held, atC!.held]).toEqual([true, true]);
  const safeMs = Math.min(atA!.safeMs, atC!.safeMs);
  await eventually(() => atA!.safeMs > safeMs && atC!.safeMs > safeMs); // The next heartbeats were answered.
  for (const [partition, owner] of world.table.ownerIds.entries())
    if (owner === undefined) world.take(partition, "b", "c");
  let isReleased = false;
  void Promise.all([atA!.release(), atC!.release()]).then(() => {
    isReleased = true;
  });
  while (!isReleased) {
    await world.clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await world.until(ana.close());
});

test("an end that went to a connection which was lost is learned from the owner's next Welcome", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await connected(world, "a"), await connected(world, "c")];
  const name = world.nameAt("b");
  await goDirect(world, ana, [name]);
  const held = await world.until(bo.lock(name));
  const waiting = ana.lock(name);
  await world.clock.advance(20);
  const { id, secret } = ana.session!;
  const credentials = { sessionId: Buffer.from(id, "base64url"), sessionSecret: Buffer.from(secret, "base64url") };
  // Takes the place of the client's own connection to the owner, and hears of the grant in its stead.
  const other = await world.client("b", { ...credentials, direct: true });
  await world.until(held!.release());
  const lock = await world.until(waiting);
  expect(lock?.held).toBe(true);
  await world.until(() => other.isEnded);
  await world.until(lock!.release());
  await world.until(Promise.all([ana.close(), bo.close()]));
});

test("a lock that moves is kept alive by its new owner", async () => {
  await using world = await ClusterWorld.open();
  const ana = await connected(world, "a", { ttlMs: 30_000 });
  const name = world.nameAt("b");
  await goDirect(world, ana, [name]);
  const lock = await world.until(ana.lock(name));
  world.move(world.partitionOf(name), "c");
  await world.clock.advance(200); // The map is told.
  const { safeMs } = lock!;
  await eventually(() => lock!.safeMs > safeMs); // It falls with time, but for what the new owner acknowledges.
  expect(lock!.held).toBe(true);
  await world.until(lock!.release());
  await world.until(ana.close());
});
