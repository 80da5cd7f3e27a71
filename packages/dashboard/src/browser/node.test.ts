// The dashboard of a real server: what really happens reaches the page, and what is done on the page really happens.
import { connect, type ForelockClient } from "@forelock/client";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, expectAccessible, isChromiumThere, launch, open, type Watched } from "../testing/browser.ts";
import { build, RealNode } from "../testing/node.ts";

if (!isChromiumThere) console.warn(`node.test.ts: skipped, there is no ${CHROMIUM}.`);

const CROWD = 10_000;

describe.skipIf(!isChromiumThere)("the dashboard of a real server", () => {
  let browser: Browser;
  let node: RealNode;
  let ana: ForelockClient;
  let bo: ForelockClient;

  beforeAll(async () => {
    await build("build");
    [browser, node] = await Promise.all([launch(), RealNode.start("--files", "file_{0..2}")]);
    ana = await connect({ endpoints: node.address, client: "ana" });
    bo = await connect({ endpoints: node.address, client: "bo" });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await Promise.all([ana?.detach(), bo?.detach()]);
    await node?.[Symbol.asyncDispose]();
  });

  const visit = (hash = ""): Promise<Watched> => open(browser, `${node.url}${hash}`);
  const leave = async ({ page, problems }: Watched): Promise<void> => {
    await page.context().close();
    expect(problems).toEqual([]);
  };

  test("locks come and go on the page as they do on the server", async () => {
    const watched = await visit();
    const { page } = watched;
    await page.getByText("No lock is held.").waitFor();
    const lock = await ana.lock("live/1");
    const line = page.getByRole("row").filter({ hasText: "live/1" });
    await expect.poll(() => line.textContent(), { timeout: 10_000 }).toContain("ana");
    const wait = bo.lock("live/1");
    await expect.poll(() => line.getByRole("cell").nth(1).textContent(), { timeout: 10_000 }).toBe("1");
    await expectAccessible(page);
    await lock.release();
    await expect.poll(() => line.textContent(), { timeout: 10_000 }).toContain("bo");
    await (await wait).release();
    await page.getByText("No lock is held.").waitFor();
    await leave(watched);
  });

  test("a lock is released from its page, the reason reaches its holder, and the log shows it", async () => {
    const lock = await ana.lock("page/1");
    const next = bo.lock("page/1");
    const watched = await visit("#/lock/page%2F1");
    const { page } = watched;
    await page.getByText(/^page\/1 has been held by ana/).waitFor();
    await page.getByRole("button", { name: "Release …" }).click();
    await page.getByRole("dialog").getByLabel("Reason, kept in the log").fill("tried from the page");
    await page.keyboard.press("Enter");
    await page.getByText("Released 1 grant of page/1.").waitFor();
    await expect.poll(() => lock.signal.aborted).toBe(true);
    expect(String(lock.signal.reason)).toContain("tried from the page");
    await page.getByText(/^page\/1 has been held by bo/).waitFor();
    await page.getByText("As a table").click();
    await page.getByRole("row").filter({ hasText: "tried from the page" }).waitFor();
    await expectAccessible(page);
    await (await next).release();
    await leave(watched);
  });

  test("a session is ended from the page", async () => {
    const cy = await connect({ endpoints: node.address, client: "cy" });
    const lock = await cy.lock("session/1");
    const watched = await visit("#/sessions");
    const { page } = watched;
    await page.getByRole("button", { name: /^Details of cy/ }).click();
    await page.getByRole("link", { name: "session/1" }).waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "End session …" }).click();
    await page.getByRole("dialog").getByLabel("Reason, kept in the log").fill("no longer needed");
    await page.keyboard.press("Enter");
    await page.getByText(/^Ended session .*: 1 grant freed\.$/).waitFor();
    await expect.poll(() => lock.held).toBe(false);
    await leave(watched);
    await cy.close();
  });

  test.each(["prediction", "settings", "cluster", "files"])("the screen %s has something to say", async (screen) => {
    const watched = await visit(`#/${screen}`);
    const { page } = watched;
    await page.getByRole("heading", { level: 1 }).waitFor();
    await expect.poll(() => page.getByText("Loading …").count()).toBe(0);
    await page.getByText("Live", { exact: true }).waitFor();
    if (screen === "cluster") await page.getByText("64 partitions, all as they should be").waitFor();
    if (screen === "files") await page.getByRole("row").filter({ hasText: "file_2" }).waitFor();
    await expectAccessible(page);
    await leave(watched);
  });

  test("ten thousand locks are readable: the worst first, the others found by name, the past in reach", async () => {
    const names = Array.from({ length: CROWD }, (_, index) => `crowd/${String(index).padStart(5, "0")}`);
    const locks = await Promise.all(names.map((name) => ana.lock(name)));
    const patience = new AbortController();
    const wait = bo.lock("crowd/04242", { signal: patience.signal });
    wait.catch(() => {}); // It is given up below.
    const watched = await visit();
    const { page } = watched;
    await page.getByText("The 200 with the most pain.").waitFor();
    expect(await page.getByRole("rowheader").count()).toBe(200);
    await page.getByLabel("Name begins with").fill("crowd/0999");
    await expect.poll(() => page.getByRole("rowheader").allTextContents()).toHaveLength(10);
    await page.getByLabel("Name begins with").fill("crowd/04242");
    await expect.poll(() => page.getByRole("rowheader").allTextContents()).toHaveLength(1);
    expect(await page.getByRole("row").last().getByRole("cell").nth(1).textContent()).toBe("1");
    await page.getByRole("button", { name: "Look back" }).click();
    await page.getByRole("slider", { name: "Moment" }).waitFor();
    await leave(watched);
    patience.abort();
    await expect(wait).rejects.toThrow();
    await Promise.all(locks.map((lock) => lock.release()));
  });

  test("a lost connection is told, what was shown stays, and the page recovers when the server is back", async () => {
    const lock = await ana.lock("lasting/1");
    const { page, problems } = await visit();
    const line = page.getByRole("row").filter({ hasText: "lasting/1" });
    await line.waitFor();
    await node.stop();
    await page.getByRole("alert").filter({ hasText: "Connection lost" }).waitFor();
    expect(await line.count()).toBe(1);
    expect(await page.getByRole("status").first().textContent()).toBe("Connection lost");
    await node.start();
    await page.getByText("Live", { exact: true }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await expect.poll(() => line.textContent(), { timeout: 15_000 }).toContain("ana");
    await lock.release();
    await expect.poll(() => page.getByRole("rowheader").allTextContents(), { timeout: 15_000 }).toEqual([]);
    await page.context().close();
    // The browser notes each attempt that found nobody; there is nothing else to complain of.
    expect(
      problems.filter((problem) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET/.test(problem)),
    ).toEqual([]);
  });
});
