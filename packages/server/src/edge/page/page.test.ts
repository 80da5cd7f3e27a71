// page.test.ts: the status page in a real browser, against a server made of fixed answers under the edge's own headers.
import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { SAFE_HEADERS } from "../http/answer.ts";
import { PAGE } from "./page.ts";

const CHROMIUM = "/usr/bin/chromium";
const isThere = existsSync(CHROMIUM);
if (!isThere) console.warn(`page.test.ts: skipped, there is no ${CHROMIUM}.`);

/** Answers like a node; what it tells is set by each test. */
class FakeNode {
  locks: Record<string, unknown>[] = [];
  token: string | undefined;
  withEvents = true;
  reads = 0;
  #server: Server;
  #streams = new Set<ServerResponse>();

  constructor() {
    this.#server = this.#make();
  }

  #make(): Server {
    return createServer((request, response) => void this.#answer(request, response));
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port; // Cast: it listens on a port.
  }

  async stop(): Promise<void> {
    this.#streams.clear();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#server = this.#make();
  }

  announce(): void {
    for (const stream of this.#streams) stream.write('event: granted\ndata: {"kind":"granted"}\n\n');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://node");
    const file = PAGE.get(pathname);
    if (file !== undefined) {
      response.writeHead(200, { ...SAFE_HEADERS, "Content-Type": file.type }).end(file.body);
      return;
    }
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      json(response, 401, { message: "No token." });
      return;
    }
    if (pathname === "/v1/events") this.#stream(response);
    else if (pathname === "/v1/state") json(response, 200, this.#state());
    else json(response, 200, this.#call(pathname, await bodyOf(request)));
  }

  #stream(response: ServerResponse): void {
    if (!this.withEvents) {
      json(response, 429, { message: "No more watches." });
      return;
    }
    response.writeHead(200, { ...SAFE_HEADERS, "Content-Type": "text/event-stream" }).write("retry: 2000\n\n");
    this.#streams.add(response);
  }

  #state(): unknown {
    this.reads += 1;
    const status = { version: "0.1.0", partitions: 64, uptimeMs: 65_000, durable: true, logBytes: 2_048, grants: 3 };
    const session = { session: "s1", client: "ana", ttlMs: 30_000, silentMs: 1_000, grants: 1 };
    return {
      status,
      locks: this.locks.slice(0, 1_000),
      locksTotal: this.locks.length,
      sessions: [session],
      sessionsTotal: 1,
      files: [{ name: "file_0", length: 1_536, records: 2, version: "2" }],
      filesTotal: 1,
    };
  }

  #call(path: string, body: { readonly prefix?: string; readonly name?: string; readonly limit?: number }): unknown {
    if (path === "/v1/list-locks") {
      const found = this.locks.filter(({ name }) => String(name).startsWith(body.prefix ?? ""));
      return { locks: found.slice(0, body.limit), more: found.length > (body.limit ?? 0) };
    }
    if (path === "/v1/list-files") return {};
    const holders = [{ session: "s1", client: "ana", token: "7", heldMs: 12_300 }];
    const waiters = [{ reference: "p1.x", session: "s2", client: "bo", waitedMs: 4_200, position: 1 }];
    return { name: body.name, holders, waiters, waiting: 1, sentence: `${body.name} is held by ana. One waits.` };
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...SAFE_HEADERS, "Content-Type": "application/json" }).end(JSON.stringify(value));
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, never>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text || "{}");
}

const lock = (name: string) => ({
  name,
  holders: [{ session: "s1", client: "ana", token: "1099511627777", heldMs: 12_300 }],
  waiting: 2,
  waitedMs: 4_200,
});

let browser: Browser;
let page: Page;
let node: FakeNode;
let port: number;
let foreign: string[];
let complaints: string[];

beforeAll(async () => {
  if (isThere) browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
});
afterAll(() => browser?.close());

beforeEach(async () => {
  if (!isThere) return;
  node = new FakeNode();
  port = await node.listen();
  page = await browser.newPage();
  foreign = [];
  complaints = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${port}/`)) foreign.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("Failed to load resource"))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
});

afterEach(async () => {
  if (!isThere) return;
  await page.close();
  await node.stop();
  expect(foreign).toEqual([]); // No request leaves the machine,
  expect(complaints).toEqual([]); // and the Content-Security-Policy has nothing to refuse.
});

const open = async (): Promise<void> => {
  await page.goto(`http://127.0.0.1:${port}/`);
};
const link = () => page.locator("#link");
const rows = () => page.locator("#locks tr");

test.runIf(isThere)("without locks it says so, and gives every figure its unit", async () => {
  await open();
  await link().filter({ hasText: "Live" }).waitFor();
  expect(await rows().allTextContents()).toEqual(["No lock is held."]);
  expect(await page.locator("#status").innerText()).toMatch(/Uptime\s+1 m 05 s[\s\S]*Log\s+2\.0 KiB/);
  expect(await page.locator("#files tr").innerText()).toMatch(/file_0\s+1\.5 KiB\s+2\s+2/);
});

test.runIf(isThere)("a lock shows holder, held time, token, queue and the first waiter's wait", async () => {
  node.locks = [lock("orders/42")];
  await open();
  await rows().filter({ hasText: "orders/42" }).waitFor();
  expect(await rows().innerText()).toMatch(/orders\/42\s+exclusive\s+ana\s+1\d\.\d s\s+1099511627777\s+2\s+\d\.\d s/);
});

test.runIf(isThere)("an event brings the change at once, and many events do not bring many reads", async () => {
  await open();
  await link().filter({ hasText: "Live" }).waitFor();
  const before = node.reads;
  node.locks = [lock("a")];
  for (let event = 0; event < 200; event += 1) node.announce();
  await rows().filter({ hasText: "ana" }).waitFor({ timeout: 3_000 });
  await page.waitForTimeout(1_000);
  expect(node.reads - before).toBeLessThanOrEqual(4);
});

test.runIf(isThere)("of 10,000 locks 200 are shown, and the filter finds any other", async () => {
  node.locks = Array.from({ length: 10_000 }, (_, index) => lock(`lock/${String(index).padStart(5, "0")}`));
  await open();
  await page.locator("#locks-count").filter({ hasText: "showing 200 of 10,000" }).waitFor();
  expect(await rows().count()).toBe(200);
  await page.locator("#filter").fill("lock/0987");
  await rows().filter({ hasText: "lock/09870" }).waitFor();
  expect(await rows().count()).toBe(10);
  await page.locator("#filter").fill("nothing");
  await rows().filter({ hasText: "No lock begins with nothing." }).waitFor();
});

test.runIf(isThere)("with the keyboard a lock is opened, read and closed, and the focus comes back", async () => {
  node.locks = [lock("orders/42")];
  await open();
  await page.getByRole("button", { name: "orders/42" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#why-sentence").filter({ hasText: "orders/42 is held by ana. One waits." }).waitFor();
  expect(await page.locator("#why-waiters").innerText()).toMatch(/1\s+bo\s+s2\s+exclusive\s+\d\.\d s\s+p1\.x/);
  expect(await page.evaluate("document.activeElement.id")).toBe("why-title");
  await page.keyboard.press("Escape");
  expect(await page.locator("#why").isVisible()).toBe(false);
  expect(await page.evaluate("document.activeElement.textContent")).toBe("orders/42");
});

test.runIf(isThere)("focus stays on a lock while figures change and others come and go", async () => {
  node.locks = [lock("b")];
  await open();
  await page.getByRole("button", { name: "b", exact: true }).focus();
  node.locks = [lock("a"), lock("b"), lock("c")];
  node.announce();
  await page.getByRole("button", { name: "c", exact: true }).waitFor();
  expect(await rows().locator("button").allTextContents()).toEqual(["a", "b", "c"]);
  expect(await page.evaluate("document.activeElement.textContent")).toBe("b");
});

test.runIf(isThere)("a name is text: it cannot become part of the page", async () => {
  node.locks = [lock("<img src=x onerror=alert(1)>")];
  await open();
  await page.getByRole("button", { name: "<img src=x onerror=alert(1)>" }).waitFor();
  expect(await page.locator("#locks img").count()).toBe(0);
});

test.runIf(isThere)("a lost connection is said, what is shown is dimmed, and it comes back by itself", async () => {
  node.locks = [lock("a")];
  await open();
  await link().filter({ hasText: "Live" }).waitFor();
  await node.stop();
  await link().filter({ hasText: "Connection lost" }).waitFor({ timeout: 10_000 });
  expect(await page.locator("body").getAttribute("data-stale")).toBe("");
  await node.listen(port);
  await link().filter({ hasText: "Live" }).waitFor({ timeout: 20_000 });
  expect(await page.locator("body").getAttribute("data-stale")).toBeNull();
});

test.runIf(isThere)("without the stream of events the state is polled, and the page says so", async () => {
  node.withEvents = false;
  node.locks = [lock("a")];
  await open();
  await link().filter({ hasText: "No live events; reading every 5 s" }).waitFor();
  expect(await rows().count()).toBe(1);
});

test.runIf(isThere)("a server with principals is asked with the token that a person gives", async () => {
  node.token = "a-secret-of-sixteen";
  node.locks = [lock("a")];
  await open();
  await page.locator("#token").fill("a-secret-of-sixteen");
  await page.keyboard.press("Enter");
  await rows().filter({ hasText: "ana" }).waitFor();
  await link().filter({ hasText: "Live" }).waitFor({ timeout: 15_000 });
  expect(await page.locator("#sign-in").isVisible()).toBe(false);
});

test.runIf(isThere)("all tables have a caption and column headers, all inputs a label", async () => {
  await open();
  const unnamed = await page.evaluate(`
    [...document.querySelectorAll("table")].filter((table) => !table.caption || table.tHead.rows[0].cells.length === 0).length +
    [...document.querySelectorAll("input")].filter((input) => input.labels.length === 0).length +
    document.querySelectorAll("[style], style, script:not([src])").length
  `);
  expect(unnamed).toBe(0);
});
