import { EventEmitter } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Clock } from "../../clock.ts";
import type { CallContext } from "../calls.ts";
import { createCounters } from "../counters.ts";
import { acquireBody, type EdgeScene, edgeScene, releaseBody } from "../testing/edge-scene.ts";
import { LIVE_ROWS_MAX, LIVE_STREAMS_MAX, streamLive } from "./live.ts";

let scene: EdgeScene;
const TOKEN = "a-token-of-sixteen-characters";
beforeAll(async () => {
  scene = await edgeScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

/** A reader of one screen. */
class Reader {
  readonly response: IncomingMessage;
  text = "";
  constructor(response: IncomingMessage) {
    this.response = response;
    response.on("error", () => {}); // Cut by the test itself.
    response.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
    });
  }

  /** The messages so far. */
  get messages(): readonly { readonly whole: boolean; readonly parts: Readonly<Record<string, unknown>> }[] {
    return [...this.text.matchAll(/^event: screen\nid: \d+\ndata: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
  }
}

const readers: Reader[] = [];
afterEach(async () => {
  for (const { response } of readers.splice(0)) response.destroy();
  await expect.poll(() => scene.edge.counters().live_streams).toBe(0);
});

async function open(query: string, { port = scene.edge.port, token = "" } = {}): Promise<Reader> {
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path: `/v1/live?${query}`, headers, agent: false }, resolve);
    asked.on("error", reject);
    asked.end();
  });
  const reader = new Reader(response);
  readers.push(reader);
  return reader;
}

test("a screen comes whole, and then only what changed", async () => {
  const client = await scene.open();
  const held = await client.ask(acquireBody("live/a"));
  const reader = await open("screen=now&prefix=live/");
  await expect.poll(() => reader.messages.length).toBe(1);
  expect(reader.messages[0]).toMatchObject({
    whole: true,
    parts: { locks: { list: { order: ["live/a"], more: false } } },
  });
  expect(reader.messages[0]?.parts["status"]).toMatchObject({ error: { code: "not_supported" } });
  const other = await scene.open();
  other.send(acquireBody("live/a"));
  await expect.poll(() => reader.messages.length, { timeout: 5_000 }).toBe(2);
  expect(reader.messages[1]).toEqual({
    whole: false,
    parts: { locks: { list: { rows: { "live/a": expect.objectContaining({ waiting: 1 }) } } } },
  });
  const { value } = held as { readonly value: { readonly grants: readonly { readonly token: bigint }[] } }; // AcquireReply.
  await client.ask(releaseBody("live/a", value.grants[0]?.token ?? 0n));
});

test("a lock's screen asks for it by name", async () => {
  const reader = await open("screen=lock&name=live/b");
  await expect.poll(() => reader.messages.length).toBe(1);
  expect(reader.messages[0]?.parts["why"]).toMatchObject({ value: { name: "live/b" } });
});

test.each([
  ["screen=nothing", 400, "screen: unknown"],
  ["screen=now&limit=0", 400, `limit: allowed 1 to ${LIVE_ROWS_MAX}`],
  [`screen=now&limit=${LIVE_ROWS_MAX + 1}`, 400, `limit: allowed 1 to ${LIVE_ROWS_MAX}`],
])("%s is refused before the stream begins", async (query, status, words) => {
  const reader = await open(query);
  await expect.poll(() => reader.text).toContain(words);
  expect(reader.response.statusCode).toBe(status);
});

test("live screens are capped, and given back", async () => {
  for (let index = 0; index < LIVE_STREAMS_MAX; index += 1) await open("screen=files");
  expect(scene.edge.counters().live_streams).toBe(LIVE_STREAMS_MAX);
  const refused = await open("screen=files");
  await expect.poll(() => refused.text).toContain("watchers_full");
  expect(refused.response.headers["retry-after"]).toBe("5");
});

test("a stranger gets no stream, and a principal no rows but his own", async () => {
  const rights = [{ right: "read", prefix: "mine" } as const];
  const principal = { name: "ana", token: TOKEN, tokenSha256: undefined, san: [], rights };
  await using guarded = await edgeScene({ principals: [principal] });
  const stranger = await open("screen=now", { port: guarded.edge.port });
  expect(stranger.response.statusCode).toBe(401);
  const reader = await open("screen=sessions", { port: guarded.edge.port, token: TOKEN });
  await expect.poll(() => reader.messages.length).toBe(1);
  expect(reader.messages[0]?.parts["sessions"]).toMatchObject({ error: { code: "permission_denied" } });
  const lock = await open("screen=lock&name=theirs", { port: guarded.edge.port, token: TOKEN });
  await expect.poll(() => lock.messages.length).toBe(1);
  expect(lock.messages[0]?.parts["why"]).toMatchObject({ error: { code: "permission_denied" } });
});

test("a reader that does not keep up is cut", async () => {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    wallMs: () => 0,
    monotonicMs: () => 0,
    after: (_delayMs, fire) => {
      timers.push(fire);
      return { dispose: () => {} };
    },
  };
  const counters = createCounters();
  const response = new StuckResponse();
  const calls = { caller: () => undefined, call: () => Promise.reject(new Error("It reads nothing: do not look.")) };
  const context = { signal: new AbortController().signal };
  // The parts of each that a stream touches.
  const parts = { calls, clock, counters } as unknown as Parameters<typeof streamLive>[3];
  streamLive(
    response as unknown as ServerResponse,
    context as CallContext,
    new URLSearchParams({ screen: "files" }),
    parts,
  );
  expect(counters.live_streams).toBe(1);
  for (let looks = 0; looks < 15; looks += 1) timers.shift()?.();
  expect(response.destroyed).toBe(false);
  timers.shift()?.();
  expect(response.destroyed).toBe(true);
  expect(counters).toMatchObject({ live_streams: 0, live_streams_slow_total: 1 });
  expect(timers).toEqual([]);
});

/** A response whose bytes nobody takes. */
class StuckResponse extends EventEmitter {
  readonly writableLength = 1_000_000;
  destroyed = false;
  writeHead(): void {}
  write(): void {}
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}
