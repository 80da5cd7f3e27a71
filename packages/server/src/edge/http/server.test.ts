import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EdgeScene, edgeScene } from "../testing/edge-scene.ts";

let scene: EdgeScene;
beforeAll(async () => {
  scene = await edgeScene({ limits: { helloMs: 1_000 } });
});
afterAll(() => scene[Symbol.asyncDispose]());

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** With node:http, not fetch: fetch does not let a test lie about Host and Origin. */
function ask(path: string, body?: string, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const options = {
    port: scene.edge.port,
    path,
    method: body === undefined ? "GET" : "POST",
    headers: { ...type, ...headers },
    agent: false,
  } as const;
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", ...options }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const post = async (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) => {
  const told = await ask(path, typeof body === "string" ? body : JSON.stringify(body), headers);
  const parsed: unknown = JSON.parse(told.body);
  return { ...told, body: parsed };
};

const openSession = async (): Promise<Record<string, string>> => {
  const { body } = await post("/v1/open-session", { client: "curl" });
  return { "Forelock-Session": (body as { session: string }).session }; // OpenSessionReply.
};

test("curl opens a session, acquires, appends, reads and releases", async () => {
  const session = await openSession();
  const acquired = await post("/v1/acquire", { name: "file_1" }, session);
  expect(acquired).toMatchObject({ status: 200, body: { state: "OPERATION_STATE_GRANTED" } });
  const [{ token }] = (acquired.body as { grants: [{ token: string }] }).grants; // AcquireReply.
  expect(token).toMatch(/^\d+$/);
  const bytes = Buffer.from("hello\n").toString("base64");
  const appended = await post("/v1/append", { file: "file_1", bytes, token }, session);
  expect(appended.body).toEqual({ length: 6, version: "1" });
  expect(appended.headers["forelock-request-id"]).toMatch(/^[\w-]{24}$/);
  expect((await post("/v1/read-file", { file: "file_1" })).body).toMatchObject({ bytes, length: 6, version: "1" });
  expect(await post("/v1/release", { name: "file_1", token }, session)).toMatchObject({ status: 200, body: {} });
  const again = await post("/v1/release", { name: "file_1", token: Number(token) }, session);
  expect(again).toMatchObject({ status: 409, body: { code: "stale_token", hint: expect.any(String) } });
  expect((await post("/v1/heartbeat", { number: 3 }, session)).body).toMatchObject({ number: 3 });
});

test("an acquire that ends without a grant is an error with its status", async () => {
  const [ana, bo] = [await openSession(), await openSession()];
  await post("/v1/acquire", { name: "busy" }, ana);
  expect(await post("/v1/acquire", { name: "busy", waitMs: 0 }, bo)).toMatchObject({
    status: 409,
    body: { code: "busy" },
  });
});

test.each([
  ['{"name":"a","name":"b"}', "body.name: is there twice"],
  ['{"name":"a","wait_ms":1,"waitMs":2}', "waitMs: is there twice"],
  ['{"name":"a","colour":1}', '"colour": no such field; allowed: name, mode, permits'],
  ['{"name":"a","__proto__":{"mode":1}}', '"__proto__": no such field'],
  ['{"name":"a","constructor":1}', '"constructor": no such field'],
  ['{"name":7}', "name: not a string"],
  ['{"name":"a","priority":NaN}', "body.priority: not a JSON value"],
  ['{"name":"a","priority":1.5}', 'priority: "1.5"; allowed 0 to 4294967295'],
  ['{"name":"a","priority":-1}', 'priority: "-1"; allowed 0'],
  ['{"name":"a","priority":10}', "priority: 10; allowed 0 to 9"],
  ['{"name":"a","reenter":9007199254740993}', "above 2^53 - 1: write it as a string"],
  [
    '{"name":"a","reenter":"99999999999999999999"}',
    'reenter: "99999999999999999999"; allowed 0 to 18446744073709551615',
  ],
  ['{"name":"a","mode":"MODE_ODD"}', 'mode: "MODE_ODD"; allowed MODE_EXCLUSIVE, MODE_SHARED, MODE_PERMIT'],
  ['{"name":"a"} x', "something follows the value"],
  ['{"name":"a"', "not closed by }"],
  ['"a', "not a JSON string"],
  ["[1]", "body: not an object"],
  [`${"[".repeat(10_000)}`, "more than 16 deep"],
  ['{"name":"\\ud800"}', "holds a control character or is not UTF-8"],
])("%s is refused, and the message says what is wrong", async (body, message) => {
  const told = await post("/v1/acquire", body, await openSession());
  expect(told).toMatchObject({ status: 400, body: { message: expect.stringContaining(message) } });
});

test("bodies are bounded, wrong types and foreign pages are refused", async () => {
  expect((await ask("/v1/why", `{"name":"${"a".repeat(1_048_600)}"}`)).status).toBe(413);
  expect((await ask("/v1/why", "{}", { "Content-Type": "text/plain" })).status).toBe(400);
  expect((await ask("/v1/why", "{}", { Origin: "http://evil.example" })).status).toBe(403);
  expect((await ask("/v1/why", "{}", { "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
  expect((await ask("/v1/state", undefined, { Host: "evil.example" })).status).toBe(403);
  expect((await ask("/v1/nothing", "{}")).status).toBe(501);
  const own = { Host: `localhost:${scene.edge.port}`, Origin: `http://localhost:${scene.edge.port}` };
  const told = await ask("/v1/why", '{"name":"a"}', own);
  expect(told.status).toBe(200);
  expect(told.headers["access-control-allow-origin"]).toBeUndefined();
});

test("health, readiness, metrics, state and the page are served", async () => {
  expect(await ask("/healthz")).toMatchObject({ status: 200, body: "ok\n" });
  expect(await ask("/readyz")).toMatchObject({ status: 200, body: "ready\n" });
  scene.service.unavailable = "starting";
  expect(await ask("/readyz")).toMatchObject({ status: 503, body: "starting\n" });
  scene.service.unavailable = undefined;
  const metrics = await ask("/metrics");
  expect(metrics.body).toMatch(/^forelock_turns_total 12$/m);
  expect(metrics.body).toMatch(/^forelock_edge_connections \d+$/m);
  expect(JSON.parse((await ask("/v1/state")).body)).toHaveProperty("locks");
  const page = await ask("/");
  expect(page.body).toContain("<title>Forelock</title>");
  expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
  expect((await ask("/assets/none.js")).status).toBe(404);
});

test("events are streamed while the reader stays", async () => {
  const before = scene.edge.counters().watchers;
  const text = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port: scene.edge.port, path: "/v1/events?pattern=orders/*" },
      (response) => {
        let seen = "";
        response.on("data", (chunk: Buffer) => {
          seen += chunk.toString();
          if (seen.includes("data:")) response.destroy();
        });
        response.on("close", () => resolve(seen));
        scene.service.happen("other/1", "granted");
        scene.service.happen("orders/1", "granted");
      },
    );
    request.on("error", reject);
    request.end();
  });
  expect(text).toContain('event: granted\ndata: {"kind":"granted","name":"orders/1"');
  expect(text).not.toContain("other/1");
  await expect.poll(() => scene.edge.counters().watchers).toBe(before);
});

test("who sends headers too slowly is cut", async () => {
  const socket = connect(scene.edge.port, "127.0.0.1");
  socket.write("GET /healthz HT");
  const startMs = performance.now();
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
  expect(performance.now() - startMs).toBeLessThan(5_000);
});
