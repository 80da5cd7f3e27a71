import type { Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import type { OperationBody } from "../edge/authorize.ts";
import { acquireBody, type NativeClient } from "../edge/testing/edge-scene.ts";
import { READS_WAITING_MAX } from "./asks.ts";
import { ClusterWorld, HOLD_MS } from "./testing/cluster-world.ts";
import { acquire, ask, told } from "./testing/conversation.ts";

const locksPage = (limit: number, after = "", byPain = false): OperationBody => ({
  $case: "listLocks",
  value: { prefix: "", after, limit, stuck: false, heldMsMin: 0, byPain },
});

async function names(world: ClusterWorld, client: NativeClient, body: OperationBody): Promise<[string[], boolean]> {
  const reply = await ask(world, client, body);
  if (reply.$case === "listLocks") return [reply.value.locks.map(({ name }) => name), reply.value.more];
  if (reply.$case === "listFiles") return [reply.value.files.map(({ name }) => name), reply.value.more];
  throw new Error(told(reply));
}

test("a list of locks is one list over all nodes, page by page", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const all = ["a", "b", "c"].flatMap((id) => [0, 1, 2].map((index) => world.nameAt(id, index)));
  for (const name of all) await acquire(world, ana, name);
  const sorted = all.toSorted();
  const first = await names(world, ana, locksPage(4));
  expect(first).toEqual([sorted.slice(0, 4), true]);
  expect(await names(world, ana, locksPage(4, sorted[3]))).toEqual([sorted.slice(4, 8), true]);
  expect(await names(world, ana, locksPage(4, sorted[7]))).toEqual([sorted.slice(8), false]);
});

test("where most is waited for comes first, whichever node it is at", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const [calm, longer, short] = [world.nameAt("a"), world.nameAt("b"), world.nameAt("c")];
  for (const name of [calm, longer, short]) await acquire(world, ana, name);
  await ask(world, bo, acquireBody(longer));
  await world.clock.advance(2_000);
  await ask(world, bo, acquireBody(short));
  await world.clock.advance(1_000);
  expect(await names(world, ana, locksPage(0, "", true))).toEqual([[longer, short, calm], false]);
});

test("a session is listed once, with what it holds at all nodes, and counted once", async () => {
  await using world = await ClusterWorld.open();
  const [ana] = [await world.client("a"), await world.client("b")];
  const held = ["a", "b", "c"].map((id) => world.nameAt(id));
  for (const name of held) await acquire(world, ana, name);
  const listed = await ask(world, ana, { $case: "listSessions", value: { after: "", limit: 0 } });
  const rows = listed.$case === "listSessions" ? listed.value.sessions : [];
  expect(rows).toHaveLength(2);
  const row = rows.find(({ grants }) => grants > 0);
  expect(row?.grants).toBe(3);
  expect(row?.partitions).toEqual(held.map((name) => world.partitionOf(name)).toSorted((x, y) => x - y));
  const status = await ask(world, ana, { $case: "getStatus", value: {} });
  expect(status).toMatchObject({ value: { sessions: 2, grants: 3, stopped: "", durable: true } });
});

test("a list taken while partitions have no owner waits for the next one, and tells of everything once", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const all = ["a", "b", "c"].map((id) => world.nameAt(id));
  for (const name of all) await acquire(world, ana, name);
  world.table.unaware.add("b"); // It was named, and has not begun.
  let isAnswered = false;
  const listing = names(world, ana, locksPage(0)).finally(() => {
    isAnswered = true;
  });
  await world.clock.advance(500);
  expect(isAnswered).toBe(false);
  world.table.unaware.delete("b");
  world.table.changed();
  expect(await listing).toEqual([all.toSorted(), false]);
});

test("a list that stays torn is refused", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  world.table.unaware.add("b");
  const listing = ask(world, ana, locksPage(0));
  for (let passedMs = 0; passedMs <= HOLD_MS; passedMs += 500) await world.clock.advance(500);
  expect(await listing).toMatchObject({ value: { code: "unavailable" } });
});

test("a list lacks nothing, or is refused; the status says which node is missing", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  world.cut("c");
  expect(await ask(world, ana, locksPage(0))).toMatchObject({ value: { code: "unavailable" } });
  const status = await ask(world, ana, { $case: "getStatus", value: {} });
  expect(status).toMatchObject({ $case: "getStatus", value: { stopped: "Nodes that cannot be reached: c." } });
});

test("what is asked of one name is answered by its owner: why, profile, history, records", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  await ask(world, ana, { $case: "append", value: { file: name, bytes: Buffer.from("x"), token, element: "" } });
  expect(await ask(world, ana, { $case: "why", value: { name } })).toMatchObject({ value: { holders: [{ token }] } });
  expect((await ask(world, ana, { $case: "getProfile", value: { name } })).$case).toBe("getProfile");
  const history = await ask(world, ana, { $case: "getHistory", value: { name, sinceMs: 0, limit: 0 } });
  expect(history.$case === "getHistory" ? history.value.entries.map(({ kind }) => kind) : []).toEqual([
    "granted",
    "appended",
  ]);
  const records = await ask(world, ana, {
    $case: "readRecords",
    value: { file: name, index: 0, recordsMax: 0, version: 0 },
  });
  expect(records).toMatchObject({ value: { count: 1 } });
  const files = await names(world, ana, { $case: "listFiles", value: { prefix: "", after: "", limit: 0 } });
  expect(files).toEqual([[name], false]);
});

test("history of all names is that of all nodes, the oldest first", async () => {
  await using world = await ClusterWorld.open();
  const ana = await world.client("a");
  const inOrder = [world.nameAt("b"), world.nameAt("a"), world.nameAt("c")];
  for (const name of inOrder) {
    await acquire(world, ana, name);
    await world.clock.advance(50);
  }
  const history = await ask(world, ana, { $case: "getHistory", value: { name: "", sinceMs: 0, limit: 2 } });
  const entries = history.$case === "getHistory" ? history.value.entries : [];
  expect(entries.map(({ name }) => name)).toEqual(inOrder.slice(1));
  expect(history).toMatchObject({ value: { more: true } });
});

test("policies are kept by the owner of partition 0, whoever is asked", async () => {
  await using world = await ClusterWorld.open();
  expect(world.table.ownerIds[0]).toBe("a");
  const bo = await world.client("b");
  const set = { prefix: "orders", set: { policy: "warn" }, reason: "a test" };
  expect((await ask(world, bo, { $case: "setPolicy", value: set })).$case).toBe("setPolicy");
  const listed = await ask(world, bo, { $case: "listPolicies", value: {} });
  const prefixes = listed.$case === "listPolicies" ? listed.value.policies.map(({ prefix }) => prefix) : [];
  expect(prefixes).toEqual(["", "orders"]);
});

test("an operator's command is carried out by the owner, whose line says who asked and from where", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  await acquire(world, ana, name);
  const forced = await ask(world, bo, { $case: "forceRelease", value: { name, token: 0n, reason: "stuck" } });
  expect(forced).toMatchObject({ $case: "forceRelease", value: { released: [expect.anything()] } });
  const line = world.member("b").notes.find((note) => note.startsWith("forced release"));
  expect(line).toContain('"principal":"local","from":"127.0.0.1"');
});

test("an operator's command that could not be sent is sent when the owner can be reached again, once", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const name = world.nameAt("b");
  const token = await acquire(world, ana, name);
  world.cut("b");
  const [sequence] = bo.send({ $case: "forceRelease", value: { name, token, reason: "stuck" } });
  await world.clock.advance(300);
  world.mend("b");
  const [reply] = (await world.until(bo.replies([sequence ?? 0]))) ?? [];
  expect(reply).toEqual({ $case: "forceRelease", value: { released: [token], undone: 0 } });
});

test("a session is ended at every node that knows it", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  for (const id of ["a", "b"]) await acquire(world, ana, world.nameAt(id));
  const session = ana.frames[0]?.welcome?.sessionId.toString("base64url") ?? "";
  const ended = await ask(world, bo, { $case: "endSession", value: { session, reason: "a test" } });
  expect(ended).toEqual({ $case: "endSession", value: { grants: 2 } });
  for (const id of ["a", "b"]) await acquire(world, bo, world.nameAt(id), 0);
  const unknown = await ask(world, bo, { $case: "endSession", value: { session: "x".repeat(22), reason: "a test" } });
  expect(unknown).toMatchObject({ value: { code: "session_unknown" } });
});

test("a watch at one node sees what happens at all, under its own number, until it ends", async () => {
  await using world = await ClusterWorld.open();
  const [ana, bo] = [await world.client("a"), await world.client("c")];
  const [watch] = bo.send({ $case: "watch", value: { pattern: "*" } });
  await world.until(bo.replies([watch ?? 0]));
  await world.clock.advance(20);
  const held = ["a", "b", "c"].map((id) => world.nameAt(id));
  const events = (): readonly string[] =>
    bo.frames
      .flatMap((frame) => frame.notices)
      .flatMap(({ body }) =>
        body?.$case === "event" ? [`${body.value.watch} ${body.value.kind} ${body.value.name}`] : [],
      );
  for (const name of held) await acquire(world, ana, name);
  await world.until(() => events().length >= held.length);
  expect(events().toSorted()).toEqual(held.map((name) => `${watch} granted ${name}`).toSorted());
  await ask(world, bo, { $case: "unwatch", value: { watch: watch ?? 0 } });
  await world.clock.advance(20);
  for (const id of ["a", "b", "c"]) await acquire(world, ana, world.nameAt(id, 1));
  await world.clock.advance(20);
  expect(events()).toHaveLength(held.length);
});

test("a watcher is told that events are missed when a node cannot be heard", async () => {
  await using world = await ClusterWorld.open();
  const bo = await world.client("c");
  const [watch] = bo.send({ $case: "watch", value: { pattern: "*" } });
  await world.until(bo.replies([watch ?? 0]));
  await world.until(() => world.member("c").router.counters()["links"] === 2);
  world.cut("b");
  await world.until(() =>
    bo.frames.some(({ notices }) => notices.some(({ body }) => body?.$case === "event" && body.value.missed === 1)),
  );
});

test("single calls over HTTP go to the owner too, with a session that any node takes", async () => {
  await using world = await ClusterWorld.open();
  const post = async (id: string, path: string, body: unknown, session = ""): Promise<Record<string, unknown>> => {
    const headers = { "content-type": "application/json", ...(session === "" ? {} : { "forelock-session": session }) };
    const url = `http://127.0.0.1:${world.member(id).edge.port}/v1/${path}`;
    const response = await world.until(fetch(url, { method: "POST", headers, body: JSON.stringify(body) }));
    return (await world.until(response?.json() ?? Promise.resolve({}))) as Record<string, unknown>;
  };
  const { session } = (await post("a", "open-session", {})) as { session: string };
  const names = [world.nameAt("b", 0), world.nameAt("b", 1), world.nameAt("c")];
  const replies = await Promise.all(names.map((name) => post("a", "acquire", { name }, session)));
  expect(replies.map(({ state }) => state)).toEqual(names.map(() => "OPERATION_STATE_GRANTED"));
  const beat = await post("c", "heartbeat", { number: 1 }, session);
  const partitions = [...new Set(names.map((name) => world.partitionOf(name)))].toSorted((x, y) => x - y);
  expect((beat["partitions"] as number[]).toSorted((x, y) => x - y)).toEqual(partitions);
  expect(await post("c", "close-session", {}, session)).toEqual({});
  const bo = await world.client("a");
  for (const name of names) await acquire(world, bo, name, 0);
});

test("no more reads wait for an owner than may", async () => {
  await using world = await ClusterWorld.open();
  const name = world.nameAt("b");
  world.release(world.partitionOf(name));
  const { router } = world.member("a");
  const caller = { principal: "local", may: () => true, remoteAddress: "test" };
  const replies: string[] = [];
  for (let sequence = 1; sequence <= READS_WAITING_MAX + 1; sequence += 1) {
    const why: OperationBody = { $case: "why", value: { name } };
    const answer = ({ sequence: asked, body }: Reply): unknown => replies.push(`${asked} ${told(body)}`);
    router.submit(caller, undefined, { sequence, keep: undefined, body: why }, answer);
  }
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(replies).toEqual([`${READS_WAITING_MAX + 1} error unavailable`]);
});
