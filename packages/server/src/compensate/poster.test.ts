import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { realClock } from "../real-time.ts";
import type { Compensation } from "./compensation.ts";
import type { Attempt } from "./plan.ts";
import { postOver } from "./post.ts";
import { CALLS_MAX, ORIGIN_CALLS_MAX, Poster, type PosterOptions } from "./poster.ts";

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

type Answer = (response: ServerResponse, call: number) => void;

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A receiver on a port of its own. */
async function receiver(answer: Answer): Promise<{ readonly base: string; readonly received: readonly Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      received.push({ method: request.method, url: request.url, headers: request.headers, body });
      answer(response, received.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }; // Cast: it listens on a port.
}

const OWED: Compensation = {
  partition: 3,
  id: 9,
  url: "",
  argument: "order 42",
  element: "orders/42",
  token: 2n ** 60n + 1n,
  session: "AAAAAAAAAAAAAAAAAAAAAA",
  principal: "ana",
  why: "preempted",
};

interface Scene {
  readonly poster: Poster;
  readonly notes: (readonly [string, Readonly<Record<string, unknown>>])[];
  deliver(owed: Partial<Compensation>): Promise<boolean>;
}

function scene(allow: readonly string[], options: Partial<PosterOptions> = {}): Scene {
  const notes: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
  const poster = new Poster({
    allow,
    attemptsMax: 3,
    timeoutMs: 5_000,
    clock: HASTY,
    version: "0.1.0",
    note: (line, fields) => notes.push([line, fields]),
    post: postOver(realClock),
    ...options,
  });
  closers.push(() => poster.close());
  const deliver = (owed: Partial<Compensation>): Promise<boolean> =>
    new Promise((resolve) => poster.take({ ...OWED, ...owed }, resolve));
  return { poster, notes, deliver };
}

/** Retries come at once; the time of an attempt is real. */
const HASTY = { ...realClock, after: (_delayMs: number, fire: () => void) => realClock.after(1, fire) };

test("a call names the grant in JSON, with an idempotency key, and is delivered by 2xx", async () => {
  const { base, received } = await receiver((response) => response.writeHead(204).end());
  const { poster, notes, deliver } = scene([base]);
  expect(await deliver({ url: `${base}/undo?k=1` })).toBe(true);
  const [call] = received;
  expect(call).toMatchObject({ method: "POST", url: "/undo?k=1" });
  expect(call?.headers).toMatchObject({
    "content-type": "application/json",
    "idempotency-key": "forelock-AAAAAAAAAAAAAAAAAAAAAA-3-9",
    "forelock-attempt": "1",
    "user-agent": "forelock/0.1.0",
  });
  expect(JSON.parse(call?.body ?? "")).toEqual({
    event: "grant_lost",
    key: "forelock-AAAAAAAAAAAAAAAAAAAAAA-3-9",
    why: "preempted",
    element: "orders/42",
    token: "1152921504606846977",
    session: "AAAAAAAAAAAAAAAAAAAAAA",
    principal: "ana",
    argument: "order 42",
  });
  expect([poster.pending, poster.counts, notes]).toEqual([0, { delivered: 1, givenUp: 0 }, []]);
});

test("after a 500 the same call comes again, under the same key, and counts its attempts", async () => {
  const { base, received } = await receiver((response, call) => response.writeHead(call === 1 ? 500 : 200).end("no"));
  expect(await scene([base]).deliver({ url: base })).toBe(true);
  expect(received.map(({ headers }) => headers["forelock-attempt"])).toEqual(["1", "2"]);
  expect(new Set(received.map(({ headers, body }) => `${headers["idempotency-key"]} ${body}`)).size).toBe(1);
});

test("attempts are bounded; what was given up is noted without path, query, argument or answer", async () => {
  const { base, received } = await receiver((response) => response.writeHead(503).end("the receiver's secret"));
  const { poster, notes, deliver } = scene([base]);
  expect(await deliver({ url: `${base}/secret-path?secret=query`, argument: "secret argument" })).toBe(false);
  expect(received).toHaveLength(3);
  expect(poster.counts).toEqual({ delivered: 0, givenUp: 1 });
  const what = { element: "orders/42", token: "1152921504606846977", origin: base, attempts: 3, last: "status 503" };
  expect(notes).toEqual([["compensation given up", what]]);
  expect(JSON.stringify(notes)).not.toContain("secret");
});

test("a redirect is refused, not followed", async () => {
  const elsewhere = await receiver((response) => response.writeHead(200).end());
  const { base, received } = await receiver((response) =>
    response.writeHead(307, { location: `${elsewhere.base}/inside` }).end(),
  );
  const { notes, deliver } = scene([base, elsewhere.base], { attemptsMax: 2 });
  expect(await deliver({ url: base })).toBe(false);
  expect([received.length, elsewhere.received.length]).toEqual([2, 0]);
  expect(notes[0]?.[1]["last"]).toBe("status 307");
});

test("a receiver that does not answer costs the attempt its time", async () => {
  const { base, received } = await receiver((response, call) => {
    if (call === 2) response.writeHead(200).end(); // The first is never answered.
  });
  const { deliver } = scene([base], { timeoutMs: 150 });
  expect(await deliver({ url: base })).toBe(true);
  expect(received).toHaveLength(2);
});

test("an answer without end is not read", async () => {
  let closed: Promise<void> | undefined;
  const { base } = await receiver((response) => {
    closed = new Promise((resolve) => response.on("close", resolve));
    response.writeHead(200);
    const more = (): void => {
      while (response.write("x".repeat(65_536)));
      response.once("drain", more);
    };
    more();
  });
  expect(await scene([base]).deliver({ url: base })).toBe(true);
  await closed; // The connection was cut behind the status.
});

test("a connection that is refused, and one that ends without an answer, are failed attempts", async () => {
  const rude = createTcpServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => rude.listen(0, "127.0.0.1", resolve));
  const { port } = rude.address() as AddressInfo; // Cast: it listens on a port.
  const url = `http://127.0.0.1:${port}/`;
  const { notes, deliver } = scene([url], { attemptsMax: 2 });
  expect(await deliver({ url })).toBe(false);
  await new Promise((resolve) => rude.close(resolve));
  expect(await deliver({ url, id: 10 })).toBe(false);
  expect(notes.map(([, { last }]) => last)).toEqual(["ECONNRESET", "ECONNREFUSED"]);
});

test("a URL that is not in the list, or not any more, is not called", async () => {
  const { base, received } = await receiver((response) => response.writeHead(200).end());
  const { poster, notes, deliver } = scene([`${base}/hooks`]);
  expect(poster.allows(`${base}/hooks/a`)).toBe(true);
  expect(poster.allows(`${base}/admin`)).toBe(false);
  expect(await deliver({ url: `${base}/admin` })).toBe(false);
  expect(await deliver({ url: "not a url", id: 10 })).toBe(false);
  expect(received).toHaveLength(0);
  expect(notes.map(([, { last, attempts }]) => [last, attempts])).toEqual([
    ["not_allowed", 1],
    ["not_allowed", 1],
  ]);
});

test("a call that is taken twice is made once", async () => {
  const { base, received } = await receiver((response) => response.writeHead(200).end());
  const { poster, deliver } = scene([base]);
  const done = deliver({ url: base });
  poster.take({ ...OWED, url: base }, () => {
    throw new Error("told twice");
  });
  expect(await done).toBe(true);
  expect(received).toHaveLength(1);
});

/** An attempt for each call, which ends when the test says so. */
function slowPost(): { readonly post: NonNullable<PosterOptions["post"]>; readonly ends: Map<string, () => void> } {
  const ends = new Map<string, () => void>();
  const post = ({ url }: { readonly url: string }): Promise<Attempt> =>
    new Promise((resolve) => {
      ends.set(url, () => {
        ends.delete(url);
        resolve({ kind: "answered", status: 200, retryAfterMs: 0 });
      });
    });
  return { post, ends };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a few calls are under way, fewer to one origin, and a receiver that hangs holds up no other", async () => {
  const { post, ends } = slowPost();
  const origins = Array.from({ length: 6 }, (_, index) => `http://h${index}.example`);
  const { poster, deliver } = scene(origins, { post });
  const done: Promise<boolean>[] = [];
  for (const [at, origin] of origins.entries())
    for (let index = 0; index < 10; index += 1) done.push(deliver({ url: `${origin}/${index}`, id: index * 10 + at }));
  const of = (origin: string): number => [...ends.keys()].filter((url) => url.startsWith(origin)).length;
  expect(ends.size).toBe(CALLS_MAX);
  expect(Math.max(...origins.map(of))).toBe(ORIGIN_CALLS_MAX);
  expect(poster.pending).toBe(60);
  for (let rounds = 0; rounds < 60; rounds += 1) {
    for (const [url, end] of [...ends]) if (!url.startsWith("http://h0.example")) end(); // The first one hangs.
    await settle();
    expect(ends.size).toBeLessThanOrEqual(CALLS_MAX);
  }
  expect([ends.size, of("http://h0.example"), poster.pending]).toEqual([ORIGIN_CALLS_MAX, ORIGIN_CALLS_MAX, 10]);
  while (ends.size > 0) {
    for (const end of [...ends.values()]) end();
    await settle();
  }
  expect(new Set(await Promise.all(done))).toEqual(new Set([true]));
});

test("after close nothing is told and nothing is tried again", async () => {
  const { post, ends } = slowPost();
  const told: boolean[] = [];
  const { poster } = scene(["http://h.example"], { post });
  poster.take({ ...OWED, url: "http://h.example/" }, (isDelivered) => told.push(isDelivered));
  poster.close();
  for (const end of ends.values()) end();
  poster.take({ ...OWED, url: "http://h.example/", id: 10 }, (isDelivered) => told.push(isDelivered));
  await settle();
  expect([told, poster.pending, ends.size]).toEqual([[], 0, 0]);
});

test("close cuts an attempt that is under way", async () => {
  let cut: Promise<void> | undefined;
  let reached = (): void => {};
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const { base } = await receiver((response) => {
    cut = new Promise((resolve) => response.on("close", resolve));
    reached();
  });
  const { poster, deliver } = scene([base]);
  void deliver({ url: base });
  await isReached;
  poster.close();
  await cut;
  expect(poster.pending).toBe(0);
});
