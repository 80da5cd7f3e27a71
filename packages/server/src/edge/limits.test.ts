import { connect } from "node:net";
import { Purpose } from "@forelock/protocol";
import { expect, test } from "vitest";
import { checkOptions } from "./options.ts";
import {
  acquireBody,
  clientFrame,
  edgeScene,
  framed,
  NativeClient,
  releaseBody,
  TEST_LIMITS,
  TEST_OPTIONS,
} from "./testing/edge-scene.ts";
import { bodyOf } from "./testing/examples.ts";

const TOKEN = "token-of-ana-0123456789";
const ANA = {
  name: "ana",
  token: TOKEN,
  tokenSha256: undefined,
  san: [],
  rights: [{ right: "lock", prefix: "" }],
} as const;

test("a port beyond loopback needs principals and TLS, or to be told", () => {
  const tls = { key: "k", cert: "c", clientCa: undefined, clientRequired: false };
  const check = (change: Partial<typeof TEST_OPTIONS>) => () => checkOptions({ ...TEST_OPTIONS, ...change });
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "example.org"]) {
    expect(check({ host })).toThrow(/authentication \(auth.principals\) and TLS/);
    expect(check({ host, principals: [ANA] })).toThrow(/TLS \(tls.cert, tls.key\) is not set/);
    expect(check({ host, tls })).toThrow(/authentication \(auth.principals\) is not set/);
    expect(check({ host, principals: [ANA], tls })).not.toThrow();
    expect(check({ host, allowInsecure: true })).not.toThrow();
  }
  for (const host of ["127.0.0.1", "127.3.2.1", "localhost", "::1"]) expect(check({ host })).not.toThrow();
  expect(check({ limits: { ...TEST_LIMITS, frameBytesMax: 2 ** 24 } })).toThrow(/frame.bytesMax/);
  expect(check({ principals: [{ ...ANA, token: "short" }] })).toThrow(/below 16 characters/);
  expect(check({ principals: [ANA, ANA] })).toThrow(/there twice/);
  expect(check({ principals: [{ ...ANA, rights: [{ right: "lock", prefix: "a/" }] }] })).toThrow(/prefix/);
});

test.each<[string, Buffer, string]>([
  ["0", Buffer.alloc(4), "bad_frame"],
  ["max + 1", Buffer.from([0, 0x10, 0, 1, 0]), "frame_too_large"],
  ["2^24 - 1", Buffer.from([0, 0xff, 0xff, 0xff]), "frame_too_large"],
])("a frame of length %s is refused before anything is allocated", async (_what, bytes, code) => {
  await using scene = await edgeScene();
  const client = await scene.open();
  client.socket.write(bytes);
  expect(await client.until((frame) => frame.closing !== undefined)).toMatchObject({ closing: { code } });
  await client.ended();
});

test("a frame of exactly the limit is taken, and a length that lies costs what was sent", async () => {
  await using scene = await edgeScene({ limits: { frameMs: 300 } });
  const client = await scene.open();
  // An unknown field of a newer protocol, long enough to fill the frame to the limit.
  const filler = Buffer.alloc(1_048_576, 1);
  filler.set([0xfa, 0x3f, 0xfb, 0xff, 0x3f]);
  client.socket.write(framed(filler));
  await client.ask(acquireBody("a"));
  const before = process.memoryUsage().rss;
  const liars = await Promise.all(Array.from({ length: 100 }, () => scene.open()));
  for (const liar of liars) liar.socket.write(Buffer.from([0, 0x10, 0, 0, 1]));
  await Promise.all(liars.map((liar) => liar.until((frame) => frame.closing?.code === "bad_frame")));
  expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
  expect(scene.edge.counters().connections_slow_total).toBe(100);
});

test("more than 1,000 operations in a frame are refused, one by one, and the connection lives", async () => {
  await using scene = await edgeScene();
  const client = await scene.open();
  const operations = Array.from({ length: 1_001 }, (_, index) => ({
    sequence: index + 1,
    keep: undefined,
    body: acquireBody("a"),
  }));
  client.socket.write(clientFrame({ operations }));
  const replies = await client.replies([1, 1_000]);
  expect(replies).toMatchObject([
    { value: { code: "bad_argument", message: expect.stringContaining("1001") } },
    { value: { code: "bad_argument" } },
  ]);
  expect(scene.service.submitted).toEqual([]);
  expect(await client.ask(bodyOf("why", "a"))).toBeDefined();
});

test("past its requests in flight a connection is told overloaded, but may still release and cancel", async () => {
  await using scene = await edgeScene({ limits: { requestsPerConnectionMax: 3 } });
  const client = await scene.open();
  scene.service.isStalled = true;
  client.send(...["a", "b", "c"].map((name) => acquireBody(name)));
  expect(await client.ask(acquireBody("d"))).toMatchObject({ value: { code: "overloaded", retryAfterMs: 100 } });
  const freeing = client.send(...Array.from({ length: 7 }, () => releaseBody("a", 1n)));
  const told = await client.replies(freeing.slice(6));
  expect(told).toMatchObject([{ value: { code: "overloaded" } }]);
  expect(scene.service.submitted.filter((operation) => operation.body?.$case === "release")).toHaveLength(6);
});

test("past the requests in flight of the node every connection is told overloaded", async () => {
  await using scene = await edgeScene({ limits: { requestsMax: 2 } });
  const [ana, bo] = [await scene.open(), await scene.open()];
  scene.service.isStalled = true;
  ana.send(acquireBody("a"), acquireBody("b"));
  await expect.poll(() => scene.service.submitted.length).toBe(2);
  expect(await bo.ask(acquireBody("c"))).toMatchObject({ value: { code: "overloaded" } });
});

test("watches and awaits are capped, and given back when a connection ends", async () => {
  await using scene = await edgeScene({ limits: { watchersMax: 2 } });
  const client = await scene.open();
  const replies = await client.replies(client.send(...Array.from({ length: 3 }, () => bodyOf("watch", "a"))));
  expect(replies).toMatchObject([{ $case: "watch" }, { $case: "watch" }, { value: { code: "watchers_full" } }]);
  client.socket.destroy();
  await expect.poll(() => scene.edge.counters().watchers).toBe(0);
});

test("watches are capped on each connection too, and others may still watch", async () => {
  await using scene = await edgeScene({ limits: { watchersPerConnectionMax: 1 } });
  const [ana, bo] = [await scene.open(), await scene.open()];
  const replies = await ana.replies(ana.send(bodyOf("watch", "a"), bodyOf("watch", "b")));
  expect(replies).toMatchObject([{ $case: "watch" }, { value: { code: "watchers_full" } }]);
  expect(await bo.ask(bodyOf("watch", "a"))).toMatchObject({ $case: "watch" });
});

test("a sequence that the log could not keep exactly is refused", async () => {
  await using scene = await edgeScene();
  const client = await scene.open();
  const operations = [0, 2 ** 52].map((sequence) => ({ sequence, keep: undefined, body: acquireBody("a") }));
  client.socket.write(clientFrame({ operations }));
  const replies = await client.replies([0, 2 ** 52]);
  expect(replies).toMatchObject([{ value: { code: "bad_argument" } }, { value: { code: "bad_argument" } }]);
  expect(scene.service.submitted).toEqual([]);
});

test("connections are capped by principal, by address and in all, with an answer", async () => {
  await using byPrincipal = await edgeScene({ limits: { connectionsPerPrincipalMax: 1 } });
  await byPrincipal.open();
  const second = await byPrincipal.open();
  expect(second.frames[0]?.closing).toMatchObject({ code: "connections_full" });
  await using byAddress = await edgeScene({ limits: { connectionsPerAddressMax: 1 } });
  await byAddress.open();
  const another = await byAddress.open();
  expect(another.frames[0]?.closing).toMatchObject({
    code: "connections_full",
    message: expect.stringContaining("from this address"),
  });
  await using inAll = await edgeScene({ limits: { connectionsMax: 1 } });
  const first = await inAll.open();
  expect((await inAll.open()).frames[0]?.closing).toMatchObject({ code: "connections_full" });
  first.socket.destroy();
  await expect.poll(() => inAll.edge.counters().connections).toBe(0);
  expect((await inAll.open()).frames[0]?.welcome).toBeDefined();
});

test("wrong tokens are refused, then limited, then logged once; right ones always pass", async () => {
  await using scene = await edgeScene({ principals: [ANA] });
  const codes: string[] = [];
  for (let attempt = 0; attempt < 100; attempt++) {
    const client = await scene.open({ token: `wrong-token-number-${attempt}` });
    codes.push(client.frames[0]?.closing?.code ?? "");
  }
  expect(codes.filter((code) => code === "unauthenticated").length).toBeLessThan(20);
  expect(codes.at(-1)).toBe("rate_limited");
  expect(scene.log.filter((line) => line.level === "warn")).toHaveLength(1);
  expect(JSON.stringify(scene.log)).not.toContain("wrong-token");
  expect((await scene.open({ token: TOKEN })).frames[0]?.welcome?.principal).toBe("ana");
});

test("who does not read its answers is cut, and nobody else notices", async () => {
  await using scene = await edgeScene({ limits: { writeBufferBytesMax: 65_536, frameMs: 300 } });
  const slow = await scene.open();
  const other = await scene.open();
  slow.socket.pause();
  // Refusals that repeat a name of 300 bytes: much to say, nothing that the service has to do.
  const names = Array.from({ length: 1_000 }, (_, index) => bodyOf("why", `${index}${"/a".repeat(100)}//`));
  const flood = (): void => {
    if (slow.socket.destroyed) return;
    slow.send(...names);
    setTimeout(flood, 1);
  };
  flood();
  for (let round = 0; scene.edge.counters().connections_slow_total === 0 && round < 1_000; round++)
    await other.ask(acquireBody(`b/${round}`));
  expect(scene.edge.counters().connections_slow_total).toBe(1);
  expect(other.isEnded).toBe(false);
});

test("a watcher that does not read loses events, and is told how many", async () => {
  await using scene = await edgeScene({ limits: { writeBufferBytesMax: 65_536 } });
  const watcher = await scene.open();
  await watcher.ask(bodyOf("watch", "*"));
  watcher.socket.pause();
  const name = `big/${"x".repeat(500)}`;
  for (let round = 0; scene.edge.counters().events_missed_total === 0; round++) {
    for (let index = 0; index < 100; index++) scene.service.happen(name, "granted");
    await new Promise((resolve) => setImmediate(resolve));
    expect(round).toBeLessThan(10_000);
  }
  const { events_missed_total: missed } = scene.edge.counters();
  watcher.socket.resume();
  const told = () =>
    watcher.frames
      .flatMap((frame) => frame.notices)
      .flatMap(({ body }) => (body?.$case === "event" ? [body.value.missed] : []));
  await watcher.look(() => told().reduce((sum, each) => sum + each, 0) >= missed);
});

test("large reads are asked for only as fast as they are read", async () => {
  await using scene = await edgeScene();
  const client = await scene.open();
  const acquired = await client.ask(acquireBody("f"));
  const token = acquired.$case === "acquire" ? acquired.value.grants[0]!.token : 0n;
  for (let index = 0; index < 5; index++) {
    await client.ask({ $case: "append", value: { file: "f", bytes: Buffer.alloc(190_000), token, element: "" } });
  }
  client.socket.pause();
  const reads = client.send(...Array.from({ length: 40 }, () => bodyOf("readFile", "f")));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const asked = scene.service.submitted.filter((operation) => operation.body?.$case === "readFile").length;
  expect(asked).toBeLessThan(20);
  client.socket.resume();
  expect(await client.replies(reads)).toHaveLength(40);
});

test("a stop answers what is in flight, says why, and ends", async () => {
  const scene = await edgeScene();
  const client = await scene.open();
  const waiting = client.send(acquireBody("a"));
  await expect.poll(() => scene.service.submitted.length).toBe(1);
  const closing = scene.edge.close();
  await client.replies(waiting);
  expect(await client.until((frame) => frame.closing !== undefined)).toMatchObject({
    closing: { code: "unavailable" },
  });
  await closing;
  await expect(NativeClient.connect(scene.edge.port)).rejects.toThrow();
  await scene.edge.close();
});

test("a stop does not wait longer than its bound for answers that do not come", async () => {
  const scene = await edgeScene({ limits: { stopMs: 100 } });
  const client = await scene.open();
  scene.service.isStalled = true;
  client.send(acquireBody("a"));
  await expect.poll(() => scene.service.submitted.length).toBe(1);
  const startMs = performance.now();
  await scene.edge.close();
  expect(performance.now() - startMs).toBeLessThan(3_000);
  await client.ended();
  expect(client.frames.at(-1)?.closing).toMatchObject({ code: "unavailable" });
});

test("bytes of no carrier, and none at all, are cut", async () => {
  await using scene = await edgeScene({ limits: { helloMs: 100 } });
  for (const bytes of [
    Buffer.from([0x80, 1]),
    Buffer.from("get / HTTP/1.1\r\n"),
    Buffer.from([0x16, 3, 1]),
    Buffer.alloc(0),
  ]) {
    const socket = connect(scene.edge.port, "127.0.0.1");
    socket.on("error", () => socket.destroy()); // A reset is what we came for.
    socket.write(bytes);
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const heart = await scene.open({ purpose: Purpose.HEARTBEAT });
  expect(heart.frames[0]?.closing).toMatchObject({
    code: "bad_argument",
    message: expect.stringContaining("hello.session_id"),
  });
});
