import { Purpose } from "@forelock/protocol";
import { expect, test } from "vitest";
import { acquireBody, clientFrame, edgeScene, framed, releaseBody } from "../testing/edge-scene.ts";

test("a client says hello, acquires, releases, and each is answered", async () => {
  await using scene = await edgeScene();
  const client = await scene.open();
  const welcome = client.frames[0]?.welcome;
  expect(welcome).toMatchObject({ principal: "local", partitions: 64, serverVersion: "0.0.0-test" });
  expect(welcome?.sessionSecret).toHaveLength(32);
  expect(welcome?.limits).toMatchObject({ frameBytes: 1_048_576, frameOperations: 1_000, nameBytes: 512 });

  const acquired = await client.ask(acquireBody("orders/42"));
  expect(acquired).toMatchObject({
    $case: "acquire",
    value: { grants: [{ name: "orders/42", token: 2n ** 40n + 1n }] },
  });
  expect(await client.ask(releaseBody("orders/42", 2n ** 40n + 1n))).toMatchObject({ $case: "release" });
  expect(await client.ask(releaseBody("orders/42", 2n ** 40n + 1n))).toMatchObject({ value: { code: "stale_token" } });
});

test("operations sent with the hello are carried out after the welcome", async () => {
  await using scene = await edgeScene();
  const client = await scene.connect();
  const operations = [{ sequence: 1, keep: undefined, body: acquireBody("a") }];
  client.socket.write(Buffer.concat([clientFrame({ hello: {}, operations }), clientFrame({ lowestUnanswered: 1 })]));
  await client.replies([1]);
  expect(client.frames[0]?.welcome).toBeDefined();
  expect(client.frames[1]?.replies).toHaveLength(1);
  await expect.poll(() => scene.service.acknowledged?.lowestUnanswered).toBe(1);
});

test("a hello that comes byte by byte is answered, and so are operations that do", async () => {
  await using scene = await edgeScene();
  const client = await scene.connect();
  const operations = [{ sequence: 1, keep: undefined, body: acquireBody("a") }];
  const bytes = Buffer.concat([clientFrame({ hello: {} }), clientFrame({ operations })]);
  for (const byte of bytes) {
    client.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve)); // Each byte in a write of its own.
  }
  await client.replies([1]);
  expect(client.frames[0]?.welcome).toBeDefined();
});

test("the answers of one tick come in one frame", async () => {
  await using scene = await edgeScene();
  const client = await scene.open();
  await client.replies(client.send(...Array.from({ length: 500 }, (_, index) => acquireBody(`lock/${index}`))));
  expect(client.frames.filter((frame) => frame.replies.length > 0)).toHaveLength(1);
});

test("a waiter is told its grant when the holder releases", async () => {
  await using scene = await edgeScene();
  const ana = await scene.open();
  const bo = await scene.open();
  await ana.ask(acquireBody("a"));
  expect(await bo.ask(acquireBody("a"))).toMatchObject({ value: { state: 0, position: 1 } });
  await ana.ask(releaseBody("a", 2n ** 40n + 1n));
  const { notices } = await bo.until((frame) => frame.notices.length > 0);
  expect(notices).toMatchObject([
    { body: { $case: "operation", value: { sequence: 1, grants: [{ token: 2n ** 40n + 2n }] } } },
  ]);
});

test("heartbeats are answered on a connection of their own", async () => {
  await using scene = await edgeScene();
  const ana = await scene.open();
  const { sessionId, sessionSecret } = ana.frames[0]!.welcome!;
  const heart = await scene.open({ purpose: Purpose.HEARTBEAT, sessionId, sessionSecret });
  heart.beat({ number: 1, lagMs: 3, health: 0 });
  heart.beat({ number: 2, lagMs: 3, health: 0 });
  await heart.look(() => heart.frames.filter((frame) => frame.heartbeat !== undefined).length === 2);
  expect(heart.frames.flatMap((frame) => frame.heartbeat?.number ?? [])).toEqual([1, 2]);
  heart.send(acquireBody("a"));
  expect(await heart.until((frame) => frame.closing !== undefined)).toMatchObject({ closing: { code: "bad_frame" } });
  ana.beat({ number: 1, lagMs: 0, health: 0 });
  expect(await ana.until((frame) => frame.closing !== undefined)).toMatchObject({ closing: { code: "bad_frame" } });
});

test("a resumed session ends its older connection, whose unread frames are discarded", async () => {
  await using scene = await edgeScene();
  const old = await scene.open();
  await old.ask(acquireBody("a"));
  const { sessionId, sessionSecret } = old.frames[0]!.welcome!;
  const fresh = await scene.open({ sessionId, sessionSecret });
  expect(fresh.frames[0]?.welcome?.grants).toMatchObject([{ name: "a" }]);
  expect(await old.until((frame) => frame.closing !== undefined)).toMatchObject({ closing: { code: "cancelled" } });
  old.send(acquireBody("late"));
  await old.ended();
  expect(scene.service.submitted.map((operation) => operation.sequence)).toEqual([1]);
});

test("a wrong secret, and a hello that is missing, late in coming or out of range, are refused with their reason", async () => {
  await using scene = await edgeScene({ limits: { helloMs: 100 } });
  const sessionId = Buffer.alloc(16, 1);
  const refused = async (bytes: Buffer) => {
    const client = await scene.connect();
    client.socket.write(bytes);
    const { closing } = await client.until((frame) => frame.closing !== undefined);
    await client.ended();
    return closing;
  };
  const sessionSecret = Buffer.alloc(32, 2);
  expect(await refused(clientFrame({ hello: { sessionId, sessionSecret } }))).toMatchObject({
    code: "session_unknown",
  });
  expect(await refused(clientFrame({ hello: { version: 2 } }))).toMatchObject({ code: "not_supported" });
  expect(await refused(clientFrame({ hello: { ttlMs: 5 } }))).toMatchObject({
    code: "bad_argument",
    message: "hello.ttl_ms: 5; allowed 1000 to 300000.",
  });
  expect(await refused(clientFrame({ hello: { sessionId: Buffer.alloc(3) } }))).toMatchObject({ code: "bad_argument" });
  expect(await refused(clientFrame({ lowestUnanswered: 4 }))).toMatchObject({ code: "bad_frame" });
  expect(await refused(framed(Buffer.from([0xff, 0xff])))).toMatchObject({ code: "bad_frame" });
  const silent = await scene.connect();
  await silent.ended();
  expect(scene.edge.counters().connections_slow_total).toBe(1);
});
