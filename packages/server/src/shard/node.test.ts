import { expect, test } from "vitest";
import { stateHash } from "../partition/hash.ts";
import { CALLER, describe, settle, World } from "./testing/world.ts";

const REQUEST_ID = "kept-request-0123456789ab";

test("an acquire is answered at once with reference and position, and the grant is pushed when it is durable", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const token = await ana.token(ana.acquire("a"));
  expect(describe(await bo.acquire("a"))).toBe("queued 1");
  await ana.release("a", token);
  await settle();
  expect(bo.ended()).toBe("granted 1");
});

test("elements of several partitions are taken together: all of them or none", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  const held = await ana.token(ana.acquire(other));
  expect(describe(await bo.acquireAll(["a", other]))).toBe("queued 0");
  await settle();
  // Reserved: it blocks others, and has no token.
  expect(describe(await ana.acquire("a", { waitMs: 0 }))).toBe("error busy");
  await ana.release(other, held);
  await settle();
  expect(bo.ended()).toBe("granted 2");
});

test("a batch that times out gives up what it had reserved", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  await ana.token(ana.acquire(other));
  await bo.acquireAll(["a", other], { waitMs: 500 });
  await world.clock.advance(600);
  expect(bo.ended()).toBe("ended timeout");
  expect(describe(await ana.acquire("a", { waitMs: 0 }))).toBe("granted 1");
});

test("a try of several partitions is refused when one element is not free", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  await ana.token(ana.acquire(other));
  await bo.acquireAll(["a", other], { waitMs: 0 });
  await settle();
  expect(bo.ended()).toBe("ended busy");
  expect(describe(await ana.acquire("a", { waitMs: 0 }))).toBe("granted 1");
});

test("a cancelled batch gives everything up", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  await ana.token(ana.acquire(other));
  await bo.acquireAll(["a", other]);
  const cancelled = await bo.submit({ $case: "cancel", value: { reference: "", sequence: bo.sequence } });
  expect(cancelled.body).toEqual({ $case: "cancel", value: { cancelled: true } });
  await settle();
  expect(bo.ended()).toBe("ended cancelled");
  expect(describe(await ana.acquire("a", { waitMs: 0 }))).toBe("granted 1");
});

test("a batch whose node crashed is driven on after the restart", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const other = world.nameBeside(["a"]);
  await ana.token(ana.acquire(other));
  await bo.acquireAll(["a", other]);
  await settle();
  await world.restart();
  const secret = bo.opened.secret ?? new Uint8Array();
  const sessionId = Buffer.from(bo.opened.session.id, "base64url");
  const resume = { sessionId, secret, open: undefined, client: "test", ttlMs: undefined };
  const { session } = world.node.resumeSession(CALLER, resume);
  const notices: unknown[] = [];
  world.node.listen(session, { notify: (notice) => notices.push(notice) });
  world.node.submit(
    CALLER,
    undefined,
    {
      sequence: 1,
      keep: undefined,
      body: { $case: "forceRelease", value: { name: other, token: 0n, reason: "test" } },
    },
    () => {},
  );
  await settle();
  await settle();
  expect(notices).toHaveLength(1);
  const welcome = await world.node.welcome(CALLER, { session, secret: undefined });
  expect(welcome.grants.map((grant) => grant.name).sort()).toEqual(["a", other].sort());
});

test("a cycle over partitions is found, and the cheapest waiter gets an error that names it", async () => {
  const world = await World.open();
  const clients = [world.client(), world.client(), world.client()];
  const names = ["a"];
  while (names.length < 3) names.push(world.nameBeside(names));
  for (const [index, client] of clients.entries()) await client.acquire(names[index] ?? "");
  for (const [index, client] of clients.entries()) await client.acquire(names[(index + 1) % 3] ?? "");
  await world.clock.advance(150);
  expect(clients.filter((client) => client.ended() !== undefined)).toEqual([]);
  await world.clock.advance(150);
  expect(clients.filter((client) => client.ended() === "ended deadlock")).toHaveLength(1);
});

test("a kept operation can be awaited by reference from another connection, and awaits have a limit", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const cy = world.client();
  const token = await ana.token(ana.acquire("a"));
  const queued = await bo.acquire("a", {}, { keep: { requestId: REQUEST_ID, keepMs: 0 } });
  const reference = queued.body?.$case === "acquire" ? queued.body.value.reference : "";
  const wanted = { $case: "getOperation", value: { reference, requestId: "", name: "", waitMs: 5_000 } } as const;
  const first = cy.submit(wanted);
  const second = cy.submit(wanted);
  await settle();
  expect(describe(await cy.submit(wanted))).toBe("error watchers_full");
  await ana.release("a", token);
  expect(describe(await first)).toBe("granted 1");
  expect(describe(await second)).toBe("granted 1");
  const byId = {
    $case: "getOperation",
    value: { reference: "", requestId: REQUEST_ID, name: "a", waitMs: 0 },
  } as const;
  expect(describe(await cy.submit(byId))).toBe("granted 1");
});

test("an await ends with its time, and says that the operation still waits", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  await ana.acquire("a");
  const queued = await bo.acquire("a");
  const reference = queued.body?.$case === "acquire" ? queued.body.value.reference : "";
  const answer = ana.submit({ $case: "getOperation", value: { reference, requestId: "", name: "", waitMs: 500 } });
  await world.clock.advance(600);
  expect(describe(await answer)).toBe("queued 1");
});

test("references of another principal find nothing", async () => {
  const world = await World.open();
  const ana = world.client();
  const queued = await ana.acquire("a");
  const reference = queued.body?.$case === "acquire" ? queued.body.value.reference : "";
  const mallory = world.client({ ...CALLER, principal: "mallory" });
  const wanted = { $case: "getOperation", value: { reference, requestId: "", name: "", waitMs: 0 } } as const;
  expect(describe(await mallory.submit(wanted))).toBe("error operation_unknown");
  const cancel = { $case: "cancel", value: { reference, sequence: 0 } } as const;
  expect(describe(await mallory.submit(cancel))).toBe("error operation_unknown");
});

test("a session that is not heard from for its ttl expires, and its holder's notice says so", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  await ana.acquire("a");
  await bo.acquire("a");
  for (let elapsed = 0; elapsed < 31_000; elapsed += 1_000) {
    world.node.heartbeat(bo.opened.session, elapsed, { lagMs: 0, health: 0 }, () => {});
    await world.clock.advance(1_000);
  }
  expect(ana.notices.map(({ body }) => (body?.$case === "lost" ? body.value.why : ""))).toContain("expired");
  expect(bo.ended()).toBe("granted 1");
});

test("a heartbeat after logged silence is answered only when it is durable, and lists the partitions", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  await world.clock.advance(4_000);
  const replies: number[][] = [];
  world.node.heartbeat(ana.opened.session, 1, { lagMs: 0, health: 0 }, (reply) => replies.push(reply.partitions));
  expect(replies).toEqual([]);
  await settle();
  expect(replies).toEqual([[world.node.partitionOf("a")]]);
});

test("a second heartbeat is not answered either while the sign of life of the first is on its way to the log", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  await world.clock.advance(4_000);
  const answered: number[] = [];
  for (const number of [1, 2])
    world.node.heartbeat(ana.opened.session, number, { lagMs: 0, health: 0 }, (reply) => answered.push(reply.number));
  expect(answered).toEqual([]);
  await settle();
  expect(answered).toEqual([1, 2]);
});

test("no heartbeat is answered whose sign of life the log lost", async () => {
  let isBroken = false;
  const world = await World.open({ fault: () => (isBroken ? "lost" : undefined) });
  const ana = world.client();
  await ana.acquire("a");
  await world.clock.advance(4_000);
  isBroken = true;
  const answered: number[] = [];
  world.node.heartbeat(ana.opened.session, 1, { lagMs: 0, health: 0 }, (reply) => answered.push(reply.number));
  await settle();
  expect(answered).toEqual([]);
});

test("everything is there after a restart: grants, waits, answers, tokens that rise", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const token = await ana.token(ana.acquire("a"));
  await bo.acquire("a");
  const hashes = world.node.shards.map(({ state }) => ({ ...state, epoch: 0 }).grants);
  await world.restart();
  expect(world.node.shards.map(({ state }) => state.grants)).toEqual(hashes);
  const sessionId = Buffer.from(ana.opened.session.id, "base64url");
  const wrong = { sessionId, secret: new Uint8Array(32), open: undefined, client: "", ttlMs: undefined };
  expect(() => world.node.resumeSession(CALLER, wrong)).toThrow("session_unknown");
  const secret = ana.opened.secret ?? new Uint8Array();
  world.node.resumeSession(CALLER, { ...wrong, secret });
  const released = await ana.release("a", token);
  expect(released.body?.$case).toBe("release");
  const next = await ana.token(ana.acquire("b"));
  expect(next).toBeGreaterThan(token);
});

test("when the log fails, callers learn that the outcome is unknown, and new work is refused", async () => {
  let isBroken = false;
  const world = await World.open({ fault: () => (isBroken ? "lost" : undefined) });
  const ana = world.client();
  isBroken = true;
  expect(describe(await ana.acquire("a"))).toBe("error outcome_unknown");
  expect(describe(await ana.acquire("b"))).toBe("error log_stopped");
  expect(world.node.unavailable).toBe("log_stopped");
});

test("status tells why the log stopped, and that file contents cannot be written", async () => {
  let isBroken = false;
  const world = await World.open({ fault: () => (isBroken ? "lost" : undefined) });
  const ana = world.client();
  world.bulk.stop(new Error("disk full"));
  await world.clock.advance(1_000);
  expect(world.notes).toContain("file contents stopped");
  const stopped = async (): Promise<string> => {
    const { body } = await ana.submit({ $case: "getStatus", value: {} });
    return body?.$case === "getStatus" ? body.value.stopped : "";
  };
  expect(await stopped()).toContain("bulk_stopped");
  isBroken = true;
  await ana.acquire("a");
  expect(await stopped()).toContain("log_stopped");
});

test("a watcher sees what happens to the names it may read, in order, when it is durable", async () => {
  const world = await World.open();
  const ana = world.client();
  const seen: string[] = [];
  const caller = { ...CALLER, may: (_right: string, name: string) => name.startsWith("a/") };
  const sink = {
    notify: ({ body }: { body?: { $case: string; value: unknown } | undefined }) =>
      seen.push(JSON.stringify(body?.value, bigintText)),
  };
  const stop = world.node.watch(caller, "*", 7, sink);
  const token = await ana.token(ana.acquire("a/1"));
  await ana.acquire("b/1");
  await ana.release("a/1", token);
  await settle();
  stop();
  await ana.acquire("a/1");
  await settle();
  expect(seen.map((text) => (JSON.parse(text) as { kind: string; name: string }).kind)).toEqual([
    "granted",
    "released",
  ]);
});

const bigintText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

test("closing a session releases everything it holds, everywhere, and opening has a limit", async () => {
  const world = await World.open({ limits: { sessionsMax: 2 } });
  const ana = world.client();
  const bo = world.client();
  expect(() => world.client()).toThrow("sessions_full");
  for (const name of ["a", "b", "c", "d"]) await ana.acquire(name);
  await ana.submit({ $case: "closeSession", value: {} });
  for (const name of ["a", "b", "c", "d"]) expect(describe(await bo.acquire(name, { waitMs: 0 }))).toBe("granted 1");
});

test("live tables hash like those of a replay", async () => {
  const world = await World.open();
  const ana = world.client();
  for (let index = 0; index < 50; index += 1) {
    const token = await ana.token(ana.acquire(`n${index}`));
    if (index % 3 === 0) await ana.release(`n${index}`, token);
  }
  const grants = world.node.shards.map(({ state }) => [...state.elements.keys()].sort());
  await world.restart();
  expect(world.node.shards.map(({ state }) => [...state.elements.keys()].sort())).toEqual(grants);
  const live = world.node.shards.map(({ state }) => stateHash(state));
  expect(new Set(live).size).toBeGreaterThan(1);
});
