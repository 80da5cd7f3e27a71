import { AcquireAllRequest, GetOperationRequest } from "@forelock/protocol";
import { expect, test } from "vitest";
import type { OperationBody } from "../edge/authorize.ts";
import { acquireBody, clientFrame, releaseBody } from "../edge/testing/edge-scene.ts";
import { type ClusterOptions, ClusterWorld, HOLD_MS } from "./testing/cluster-world.ts";
import { acquire, ask, notices, told } from "./testing/conversation.ts";

test("a lock is acquired, appended under and released through a node that does not own it", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  const bytes = Buffer.from("one record");
  const appended = await ask(world, ana, { $case: "append", value: { file: name, bytes, token, element: "" } });
  expect(appended).toMatchObject({ $case: "append", value: { length: 10 } });
  const read = await ask(world, ana, { $case: "readFile", value: { file: name, offset: 0, bytesMax: 0, version: 0 } });
  expect(read.$case === "readFile" ? read.value.bytes.toString() : read).toBe("one record");
  expect((await ask(world, ana, releaseBody(name, token))).$case).toBe("release");
  expect(await ask(world, ana, releaseBody(name, token))).toMatchObject({ value: { code: "stale_token" } });
});

test("what this node owns is not forwarded", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  await acquire(world, ana, world.nameAt("a"));
  expect(world.member("a").router.counters()).toMatchObject({ requests_forwarded_total: 0, links: 0 });
});

test("the grant arrives through the node that the client is connected to, whoever owns the lock and whoever held it", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  expect(told(await ask(world, bo, acquireBody(name)))).toBe("queued 1");
  await ask(world, ana, releaseBody(name, token));
  await world.until(() => notices(bo).length > 0);
  expect(notices(bo)).toEqual(["1 granted 1"]);
});

test("a wait is cancelled and asked about by its reference, and by its number, from the wrong node", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  const queued = await ask(world, bo, acquireBody(name));
  const reference = queued.$case === "acquire" ? queued.value.reference : "";
  const about = { $case: "getOperation", value: GetOperationRequest.fromPartial({ reference }) } as const;
  expect(told(await ask(world, bo, about))).toBe("queued 1");
  const cancelled = await ask(world, bo, { $case: "cancel", value: { reference, sequence: 0 } });
  expect(cancelled).toEqual({ $case: "cancel", value: { cancelled: true } });
  expect(told(await ask(world, bo, about))).toBe("ended cancelled");
  expect(told(await ask(world, bo, acquireBody(name)))).toBe("queued 1");
  const bySequence = await ask(world, bo, { $case: "cancel", value: { reference: "", sequence: 5 } });
  expect(bySequence).toEqual({ $case: "cancel", value: { cancelled: true } });
});

test("an await through the wrong node is answered when the operation ends", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  const queued = await ask(world, bo, acquireBody(name));
  const reference = queued.$case === "acquire" ? queued.value.reference : "";
  const value = GetOperationRequest.fromPartial({ reference, waitMs: 60_000 });
  const [awaited] = bo.send({ $case: "getOperation", value });
  await ask(world, ana, releaseBody(name, token));
  const [reply] = (await world.until(bo.replies([awaited ?? 0]))) ?? [];
  expect(told(reply)).toBe("granted 1");
});

test("elements of one owner are locked together through another node", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const all = (...names: string[]): OperationBody => ({
    $case: "acquireAll",
    value: AcquireAllRequest.fromPartial({ elements: names.map((name) => ({ name })) }),
  });
  expect(told(await ask(world, ana, all("{b0}/x", "{b0}/y")))).toBe("granted 2");
  await ask(world, ana, all(world.nameAt("b", 0), world.nameAt("b", 1)));
  await world.until(() => notices(ana).includes("2 granted 2"));
});

test("a client that resumes at any node is told what it holds and waits for at all of them, and what ended meanwhile", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("b")];
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  for (const name of names) await acquire(world, ana, name);
  const [wanted, granted] = [world.nameAt("b", 1), world.nameAt("c", 1)];
  await acquire(world, bo, wanted);
  const token = await acquire(world, bo, granted);
  expect(told(await ask(world, ana, acquireBody(wanted)))).toBe("queued 1");
  expect(told(await ask(world, ana, acquireBody(granted)))).toBe("queued 1");
  const welcome = ana.frames[0]?.welcome;
  ana.socket.destroy();
  await ask(world, bo, releaseBody(granted, token));
  const { sessionId, sessionSecret } = welcome ?? { sessionId: Buffer.alloc(0), sessionSecret: Buffer.alloc(0) };
  const again = await world.client("c", { sessionId, sessionSecret, open: [4n, 5n] });
  const told_ = again.frames[0]?.welcome;
  expect(told_?.grants.map(({ name }) => name).sort()).toEqual([...names, granted].sort());
  expect(told_?.waits.map(({ sequence }) => sequence)).toEqual([4]);
  expect(told_?.missed.map(({ body }) => (body?.$case === "operation" ? body.value.sequence : 0))).toEqual([5]);
  expect(told_?.ledPartitions).toEqual([]);
});

test("closing ends the session everywhere", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("b")];
  const names = ["a", "b", "c"].map((id) => world.nameAt(id));
  for (const name of names) await acquire(world, ana, name);
  expect(await ask(world, ana, { $case: "closeSession", value: {} })).toEqual({ $case: "closeSession", value: {} });
  for (const name of names) await acquire(world, bo, name, 0);
  expect(world.member("a").router.counters()["links"]).toBe(0);
});

test("a peer without the secret of the cluster is refused, and its clients are told that the owner cannot be reached", async () => {
  await using world = await ClusterWorld.open({ secrets: { a: "the secret of somebody else" } });
  const ana = await world.client("a");
  const [sequence] = ana.send(acquireBody(world.nameAt("b")));
  await world.until(() => world.member("a").notes.some((note) => note.startsWith("a peer does not believe this node")));
  await world.clock.advance(HOLD_MS + 100);
  const [reply] = (await world.until(ana.replies([sequence ?? 0]))) ?? [];
  expect(told(reply)).toBe("error unavailable");
});

const PRINCIPALS: ClusterOptions["principals"] = [
  {
    ...{ name: "ana", token: "the token of ana", tokenSha256: undefined, san: [] },
    rights: [
      { right: "lock", prefix: "" },
      { right: "read", prefix: "n0" },
    ],
  },
];

test("each forwarded operation is authorised by the node that carries it out, and forwarded lists are filtered there", async () => {
  await using world = await ClusterWorld.open({ principals: PRINCIPALS });
  const ana = await world.client("a", { token: "the token of ana" });
  const name = world.nameAt("b", 3);
  await acquire(world, ana, name);
  const bytes = Buffer.from("x");
  const append: OperationBody = { $case: "append", value: { file: name, bytes, token: 1n, element: "" } };
  expect(await ask(world, ana, append)).toMatchObject({ value: { code: "permission_denied" } });
  expect(await ask(world, ana, { $case: "why", value: { name } })).toMatchObject({
    value: { code: "permission_denied" },
  });
  const page = { prefix: "", after: "", limit: 0, stuck: false, heldMsMin: 0, byPain: false };
  expect(await ask(world, ana, { $case: "listLocks", value: page })).toMatchObject({ value: { locks: [] } });
});

test("what a node has forwarded is not forwarded again", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const { router, node } = world.member("c");
  const caller = { principal: "local", may: () => true, remoteAddress: "test", forwardedBy: "a" };
  const replies: string[] = [];
  const why: OperationBody = { $case: "why", value: { name } };
  router.submit(caller, undefined, { sequence: 1, keep: undefined, body: why }, ({ body }) => replies.push(told(body)));
  const { session } = node.openSession(caller, { ttlMs: undefined, client: "" });
  const body = acquireBody(name);
  router.submit(caller, session, { sequence: 2, keep: undefined, body }, (reply) => replies.push(told(reply.body)));
  await world.until(() => replies.length === 2);
  expect(replies).toEqual(["error not_owner", "error not_owner"]);
  expect(router.counters()["links"]).toBe(0);
  await acquire(world, ana, name);
});

test("what the client says that it has the answer to is forgotten by the owner too", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  const asked = { keep: undefined, body: acquireBody(name) };
  ana.socket.write(clientFrame({ lowestUnanswered: 2, operations: [{ ...asked, sequence: 2 }] }));
  await world.until(ana.replies([2]));
  ana.socket.write(clientFrame({ operations: [{ ...asked, sequence: 1 }] }));
  const isForgotten = (): boolean =>
    ana.frames
      .flatMap(({ replies }) => replies)
      .some(({ body }) => body?.$case === "error" && body.value.code === "request_forgotten");
  await world.until(isForgotten);
});

test("notices go to the client's own connection to the owner while there is one, and else through the node that forwards", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("b"), await world.client("c")];
  const [first, second] = [world.nameAt("b", 0), world.nameAt("b", 1)];
  const tokens = [await acquire(world, bo, first), await acquire(world, bo, second)];
  for (const name of [first, second]) expect(told(await ask(world, ana, acquireBody(name)))).toBe("queued 1");
  const { sessionId, sessionSecret } = ana.frames[0]?.welcome ?? {
    sessionId: Buffer.alloc(0),
    sessionSecret: Buffer.alloc(0),
  };
  const other = await world.client("a", { sessionId, sessionSecret, open: [1n, 2n] });
  await ask(world, bo, releaseBody(first, tokens[0] ?? 0n));
  await world.until(() => notices(ana).includes("1 granted 1"));
  ana.socket.destroy();
  await world.clock.advance(50);
  await ask(world, bo, releaseBody(second, tokens[1] ?? 0n));
  await world.until(() => notices(other).length > 0);
  expect(notices(other)).toEqual(["2 granted 1"]);
});

test("who resumes a session with a guessed secret at a node that does not know it is refused, and bars nobody", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  const { sessionId, sessionSecret } = ana.frames[0]?.welcome ?? {
    sessionId: Buffer.alloc(0),
    sessionSecret: Buffer.alloc(0),
  };
  const thief = await world.client("c", { sessionId, sessionSecret: Buffer.alloc(32, 9) });
  expect(thief.frames[0]?.closing?.code).toBe("session_unknown");
  const again = await world.client("c", { sessionId, sessionSecret });
  expect(again.frames[0]?.welcome?.grants.map((grant) => grant.token)).toEqual([token]);
});
