// The calls of a real server to a real receiver: what asks for one, what it carries, and what keeps an element until it is answered.
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serve } from "../serve.ts";
import { readSettings } from "../settings/read.ts";

interface Received {
  readonly key: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

let folder: string;
let hooks: string;
let answer: (response: ServerResponse) => void;
let received: Received[];
let closers: (() => Promise<unknown> | undefined)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "forelock-compensate-"));
  received = [];
  answer = (response) => response.writeHead(204).end();
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      received.push({ key: String(request.headers["idempotency-key"]), body: JSON.parse(body) });
      answer(response);
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  hooks = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hooks`; // Cast: it listens on a port.
  closers = [
    () => rm(folder, { recursive: true }),
    async () => {
      receiver.closeAllConnections();
      receiver.close();
    },
  ];
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Call = (method: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Answered>;
type Answered = Readonly<Record<string, unknown>>;

interface Server {
  readonly call: Call;
  stop(): Promise<void>;
}

async function start(): Promise<Server> {
  const abort = new AbortController();
  const flags = { port: "0", data: folder, partitions: "2", compensationAllow: hooks };
  const settings = readSettings({ flags, env: {}, fileText: undefined });
  const served = await serve(settings, { log: () => {}, signal: abort.signal });
  const stop = async (): Promise<void> => {
    abort.abort();
    await served.closed;
  };
  closers.push(stop);
  const call: Call = async (method, body, headers = {}) => {
    const answered = await fetch(`http://${served.address}/v1/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    return (await answered.json()) as Answered; // Cast: an answer is an object.
  };
  return { call, stop };
}

async function sessionOf({ call }: Server): Promise<Readonly<Record<string, string>>> {
  const { session } = await call("open-session", {});
  return { "forelock-session": String(session) };
}

/** Polls: what is waited for comes over two sockets. */
async function until(isThere: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const grantOf = (answered: Answered): unknown => (answered["grants"] as readonly unknown[] | undefined)?.[0];

test("a grant that is forced has its call made, and its element waits for the answer", async () => {
  const server = await start();
  const pending: ServerResponse[] = [];
  answer = (response) => pending.push(response);
  const compensation = { url: `${hooks}/undo`, argument: "order 42", blocks: true };
  const granted = await server.call("acquire", { name: "orders/42", compensation }, await sessionOf(server));
  expect(grantOf(granted)).toBeDefined();
  await server.call("force-release", { name: "orders/42", reason: "it hangs" });
  await until(() => received.length === 1);
  expect(received[0]?.body).toMatchObject({
    event: "grant_lost",
    why: "forced",
    element: "orders/42",
    argument: "order 42",
    token: (grantOf(granted) as { readonly token: string }).token, // Cast: it was granted.
  });
  expect(received[0]?.body["key"]).toBe(received[0]?.key);
  const next = await sessionOf(server);
  expect(grantOf(await server.call("acquire", { name: "orders/42", waitMs: 0 }, next))).toBeUndefined();
  for (const response of pending) response.writeHead(200).end();
  await until(async () => grantOf(await server.call("acquire", { name: "orders/42", waitMs: 0 }, next)) !== undefined);
  expect(received).toHaveLength(1);
});

test("a call without an answer is made again after a restart, under the same key", async () => {
  const server = await start();
  answer = () => {}; // Never.
  const compensation = { url: `${hooks}/undo`, argument: "", blocks: false };
  await server.call("acquire", { name: "a", compensation }, await sessionOf(server));
  await server.call("force-release", { name: "a", reason: "it hangs" });
  await until(() => received.length === 1);
  await server.stop();
  answer = (response) => response.writeHead(204).end();
  await start();
  await until(() => received.length === 2);
  expect(received[1]).toEqual(received[0]);
});

test("a request that names another URL is refused, and nothing is called for a grant that was released", async () => {
  const server = await start();
  const session = await sessionOf(server);
  const elsewhere = { url: hooks.replace("/hooks", "/admin"), argument: "", blocks: false };
  expect(await server.call("acquire", { name: "a", compensation: elsewhere }, session)).toMatchObject({
    code: "compensation_refused",
  });
  const compensation = { url: hooks, argument: "", blocks: false };
  const granted = await server.call("acquire", { name: "b", compensation }, session);
  const { token } = grantOf(granted) as { readonly token: string }; // Cast: it was granted.
  await server.call("release", { name: "b", token }, session);
  await new Promise((resolve) => setTimeout(resolve, 300)); // Three looks at what is owed.
  expect(received).toEqual([]);
});
