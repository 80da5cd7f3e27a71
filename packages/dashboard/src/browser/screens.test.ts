// Every screen in a real browser, with all that a node can tell, from a fixture: states that a real one reaches slowly.
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CHROMIUM, expectAccessible, isChromiumThere, launch, open } from "../testing/browser.ts";
import { FixtureNode } from "../testing/fixture-node.ts";
import { alone, history, PARTS, policies } from "../testing/fixtures.ts";
import { build } from "../testing/node.ts";

if (!isChromiumThere) console.warn(`screens.test.ts: skipped, there is no ${CHROMIUM}.`);

describe.skipIf(!isChromiumThere)("in a browser", () => {
  let browser: Browser;
  let node: FixtureNode;
  let page: Page;
  let problems: string[];

  beforeAll(async () => {
    await build("pages");
    browser = await launch();
  }, 180_000);
  afterAll(() => browser?.close());
  beforeEach(async () => {
    node = await FixtureNode.start();
    node.parts = PARTS;
    node.replies.set("/v1/get-history", history);
    node.replies.set("/v1/list-policies", policies);
  });
  afterEach(async () => {
    expect(problems).toEqual([]);
    await page?.context().close();
    await node[Symbol.asyncDispose]();
  });

  const visit = async (hash: string, options = {}): Promise<void> => {
    ({ page, problems } = await open(browser, `${node.url}${hash}`, options));
  };
  const row = (text: string) => page.getByRole("row").filter({ hasText: text });
  const shows = async (text: string | RegExp): Promise<void> => {
    await page.getByText(text).first().waitFor();
  };

  test("Now shows the locks by pain, with holder, age against the forecast, and risk", async () => {
    await visit("");
    await row("billing/nightly").waitFor();
    const names = await page.getByRole("rowheader").allTextContents();
    expect(names.map((name) => name.trim())).toEqual(["billing/nightly", "orders/42", "catalog"]);
    const line = row("billing/nightly");
    await expect.poll(() => line.textContent()).toMatch(/1 min 2\d s2billing-1\s+warned4\d s.*more0\.87 \/ 0\.80/);
    expect(await line.getByRole("img").getAttribute("aria-label")).toMatch(
      /^Held 4\d s; likely .* more, .*from 240 holds \(pair\)/,
    );
    await expectAccessible(page);
    await page.getByRole("button", { name: "Lock" }).click();
    expect(await page.getByRole("columnheader", { name: "Lock" }).getAttribute("aria-sort")).toBe("ascending");
  });

  test("Now without a lock says so, and how to take one", async () => {
    node.parts = { ...PARTS, locks: { list: { order: [], rows: {}, more: false } } };
    await visit("");
    await shows("No lock is held.");
    await expectAccessible(page);
  });

  test("the slider looks back at the locks of a moment, and returns to now", async () => {
    await visit("");
    await page.getByRole("button", { name: "Look back" }).click();
    const slider = page.getByRole("slider", { name: "Moment" });
    await slider.focus();
    await page.keyboard.press("Home");
    await expect.poll(() => slider.getAttribute("aria-valuetext")).toMatch(/^2 min ago/);
    await shows("The log tells of no lock at that moment.");
    await page.getByRole("button", { name: "To the next event" }).click();
    await row("billing-2").waitFor();
    expect(await page.getByRole("columnheader", { name: "Risk" }).count()).toBe(0);
    await page.getByRole("button", { name: "Back to now" }).click();
    await row("orders/42").waitFor();
  });

  test("a moment of the past shows what the log recorded of a warned holder, and says that it is no more", async () => {
    await visit("");
    await page.getByRole("button", { name: "Look back" }).click();
    await page.getByRole("slider", { name: "Moment" }).focus();
    await page.keyboard.press("Home");
    for (let event = 0; event < 5; event += 1) await page.getByRole("button", { name: "To the next event" }).click();
    await shows(/The log keeps no forecasts; of holders that had been warned it has the score/);
    await expect.poll(() => row("billing-3").textContent()).toMatch(/0\.87.*warned .* before, to be forced in 10 s/);
    await expectAccessible(page);
    await visit("#/lock/billing%2Fnightly");
    const past = page.getByRole("region", { name: "As the log recorded it" });
    for (let event = 0; event < 7; event += 1) await page.getByRole("button", { name: "To the event before" }).click();
    await expect.poll(() => past.textContent()).toMatch(/billing-3 had held it for 28 s.*Recorded then: 0\.87/);
    await past.getByText("The score as it was recorded").click();
    await past.getByText("Parts of the risk score").waitFor({ state: "attached" });
    await expectAccessible(page);
  });

  test("a lock shows why, its queue with ETA, its histogram and its past", async () => {
    await visit("#/lock/billing%2Fnightly");
    await shows("billing-1 was warned 2 s ago and has 8 s to release.");
    await expect.poll(() => row("billing-2").first().textContent()).toMatch(/1billing-2.*s to 3\d s/);
    await page.getByRole("img", { name: /^Histogram of hold times\. 240 past holds.*held 4\d s\. p50 55 s/ }).waitFor();
    await expect.poll(() => page.locator(".plot canvas").count()).toBe(1);
    await page.getByRole("img", { name: /^Timeline of the last .*4 holds, 1 of them lost/ }).waitFor();
    await page.getByText("As a table").click();
    await row("not released in time").waitFor();
    await shows(/Score 0.87, threshold 0.80, policy enforce/);
    await expectAccessible(page);
  });

  test("warn, release and policy ask for a reason and send it", async () => {
    node.replies.set("/v1/warn", { warnings: ["w1"] });
    node.replies.set("/v1/force-release", { released: ["1099511627777"] });
    node.replies.set("/v1/set-policy", {});
    await visit("#/lock/billing%2Fnightly");
    const dialog = page.getByRole("dialog");
    const reason = dialog.getByLabel("Reason, kept in the log");

    await page.getByRole("button", { name: "Warn …" }).click();
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "Warn" }).click();
    expect(await dialog.getByRole("alert").textContent()).toBe("Give a reason.");
    await dialog.getByLabel("Countdown in seconds").fill("5");
    await reason.fill("the nightly run must begin");
    await page.keyboard.press("Enter");
    await shows("Warned 1 holder of billing/nightly.");
    expect(await dialog.count()).toBe(0);

    await page.getByRole("button", { name: "Release …" }).click();
    await reason.fill("it hangs");
    await dialog.getByRole("button", { name: "Release" }).click();
    await shows("Released 1 grant of billing/nightly.");

    await page.getByRole("button", { name: "Policy …" }).click();
    await dialog.getByLabel("Prefix").selectOption("billing");
    await dialog.getByLabel("threshold").fill("0.7");
    await reason.fill("too many waits");
    await dialog.getByRole("button", { name: "Set" }).click();
    await shows("Changed 1 field of the policy of billing.");

    expect(node.asked.filter(({ path }) => !/history|list/.test(path))).toEqual([
      { path: "/v1/warn", body: { name: "billing/nightly", reason: "the nightly run must begin", countdownMs: 5_000 } },
      { path: "/v1/force-release", body: { name: "billing/nightly", reason: "it hangs" } },
      { path: "/v1/set-policy", body: { prefix: "billing", set: { threshold: "0.7" }, reason: "too many waits" } },
    ]);
  });

  test("a refusal is shown in the dialog, and Escape closes it with the focus back where it was", async () => {
    node.replies.set("/v1/warn", { status: 403, error: { code: "permission_denied", message: "Lacks the right." } });
    await visit("#/lock/billing%2Fnightly");
    await page.getByRole("button", { name: "Warn …" }).click();
    await page.getByRole("dialog").getByLabel("Reason, kept in the log").fill("because");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "Lacks the right." }).waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Warn …");
    expect(problems.splice(0).every((problem) => problem.includes("403"))).toBe(true); // The browser's own note of the answer.
  });

  test("Sessions shows jitter, suspicion and risk, and ends one with a reason", async () => {
    node.replies.set("/v1/list-locks", {
      locks: [{ name: "billing/nightly", holders: [{ session: "bCdmYNQuXiZoMnhqFsfAkA", heldMs: 5_000 }] }],
    });
    node.replies.set("/v1/end-session", { grants: 1 });
    await visit("#/sessions");
    await expect
      .poll(() => row("billing-1").textContent())
      .toMatch(/batch.*1\d s ago passed over420 ms1.3 s93 %degraded0.87/);
    await page.getByRole("button", { name: /^Details of billing-1/ }).click();
    await page.getByRole("link", { name: "billing/nightly" }).waitFor();
    await page.getByRole("row", { name: /^suspicion/ }).waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "End session …" }).click();
    await page.getByRole("dialog").getByLabel("Reason, kept in the log").fill("it is gone");
    await page.keyboard.press("Enter");
    await shows("Ended session bCdmYNQu…: 1 grant freed.");
    expect(node.asked.at(-1)).toEqual({
      path: "/v1/end-session",
      body: { session: "bCdmYNQuXiZoMnhqFsfAkA", reason: "it is gone" },
    });
  });

  test("Prediction shows calibration, what came of warnings, what acting would have saved, and every decision", async () => {
    await visit("#/prediction");
    await shows("released in time: 73 % of them");
    const figures = await page.locator(".figures dt, .figures dd:not(.note)").allTextContents();
    expect(figures.join(" ")).toBe(
      "Warnings 40 Right 29 Wrong 2 Ignored 6 Forced 6 Only observed 120 Would have saved 1 h 30 min",
    );
    await page.getByRole("img", { name: /^Calibration/ }).waitFor();
    await expect.poll(() => row("wait (ETA)").first().textContent()).toContain("53 %");
    await row("It did not release within 10 s.").waitFor();
    await expectAccessible(page);
  });

  test("Settings shows the policy of each prefix, and changes one", async () => {
    node.replies.set("/v1/set-policy", {});
    await visit("#/settings");
    await expect
      .poll(() => row("Observed for a week").textContent())
      .toMatch(/billing.*enforce.*0\.82.*policy enforce.*ana/);
    await page.getByRole("button", { name: "Set a policy …" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Prefix").fill("reports");
    await dialog.getByLabel("policy").selectOption("warn");
    await dialog.getByText("All fields").click();
    await dialog.getByLabel("coolDownMs").fill("5000");
    await dialog.getByLabel("Reason, kept in the log").fill("a trial");
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "Set", exact: true }).click();
    await shows("Changed 2 fields of the policy of reports.");
    expect(node.asked.at(-1)?.body).toEqual({
      prefix: "reports",
      set: { policy: "warn", coolDownMs: "5000" },
      reason: "a trial",
    });
  });

  test("Cluster shows nodes, partitions by owner, etcd and moves", async () => {
    await visit("#/cluster");
    await page.getByRole("heading", { level: 1, name: "Cluster prod" }).waitFor();
    expect(await row("10.0.0.4:7420").textContent()).toMatch(/d10\.0\.0\.4:74200\.1\.0silent001 min 1\d s ago/);
    await shows("16 partitions, 2 not as they should be");
    const cell = (partition: number) => page.getByRole("button", { name: new RegExp(`^Partition ${partition}:`) });
    expect(await cell(3).getAttribute("aria-label")).toBe(
      "Partition 3: owned by b, epoch 3, record 1,203, standbys a (12 behind). Move …",
    );
    expect(await cell(14).textContent()).toContain("is to go to b");
    expect(await cell(15).textContent()).toContain("has no owner");
    const colours = await Promise.all(
      [0, 2, 1].map((each) => cell(each).evaluate((it) => getComputedStyle(it).backgroundColor)),
    );
    expect(colours[0]).toBe(colours[1]);
    expect(colours[0]).not.toBe(colours[2]);
    expect(await row("10.0.0.2:2379").textContent()).toContain("no_space");
    expect(await row("10.0.0.3:2379").textContent()).toContain("does not answer");
    await shows("Growth is refused: 80 % of etcd's quota are in use");
    await page.getByRole("img", { name: /^4 moves within 5 min, 1 of them taken over/ }).waitFor();
    await page.getByText("As a table").click();
    await row("b took it over from d, which was silent").waitFor();
    await expectAccessible(page);
  });

  test("Cluster drains, takes back, moves and rebalances, each with a reason", async () => {
    node.replies.set("/v1/change-cluster", { partitions: 7 });
    await visit("#/cluster");
    const dialog = page.getByRole("dialog");
    const because = async (reason: string): Promise<void> => {
      await dialog.getByLabel("Reason, kept in the log").fill(reason);
      await page.keyboard.press("Enter");
    };
    await page.getByRole("button", { name: "Drain b" }).click();
    await expectAccessible(page);
    await page.keyboard.press("Enter");
    expect(await dialog.getByRole("alert").textContent()).toBe("Give a reason.");
    await because("a new disk");
    await shows("b is to be drained: 7 partitions to give away.");
    await page.getByRole("button", { name: "Take c back" }).click();
    await because("the disk is in");
    await shows("c takes its share again.");
    await page.getByRole("button", { name: "Rebalance …" }).click();
    await because("cool again");
    await shows("Forgot 7 moves by hand.");
    await page.getByRole("button", { name: /^Partition 0:/ }).click();
    expect(await dialog.getByLabel("To node").locator("option").allTextContents()).toEqual([
      "a (its owner: stay there)",
      "b",
    ]);
    await because("hot");
    await shows("Partition 0 is to move to b.");
    expect(node.asked.map(({ body }) => body)).toEqual([
      { action: "drain", node: "b", reason: "a new disk" },
      { action: "undrain", node: "c", reason: "the disk is in" },
      { action: "rebalance", reason: "cool again" },
      { action: "move", partition: 0, node: "b", reason: "hot" },
    ]);
  });

  test("the partitions are one stop for the keyboard, and arrows go from one to the next", async () => {
    await visit("#/cluster");
    const first = page.getByRole("button", { name: /^Partition 0:/ });
    await first.focus();
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label")?.split(":")[0]);
    for (const [key, wanted] of [
      ["ArrowRight", "Partition 1"],
      ["End", "Partition 15"],
      ["ArrowRight", "Partition 15"],
      ["Home", "Partition 0"],
    ] as const) {
      await page.keyboard.press(key);
      expect(await focused()).toBe(wanted);
    }
    await page.keyboard.press("ArrowDown");
    const below = Number((await focused())?.split(" ")[1]);
    expect(below).toBeGreaterThan(1);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: `Move partition ${below}` }).waitFor();
    await page.keyboard.press("Escape");
    expect(await focused()).toBe(`Partition ${below}`);
    await page.keyboard.press("Shift+Tab");
    expect(await focused()).not.toMatch(/^Partition/);
  });

  test("Cluster of a server that runs alone is one node, and nothing to do", async () => {
    node.parts = { ...PARTS, cluster: { value: alone } };
    await visit("#/cluster");
    await shows("This server runs alone: it is its one node, and owns every partition.");
    await shows("2 partitions, all as they should be");
    expect(await page.getByRole("button", { name: /Drain|Rebalance|Take|Move/ }).count()).toBe(0);
    expect(await page.getByText("etcd").count()).toBe(0);
    expect(await page.getByRole("list", { name: "Partitions" }).getByRole("button").count()).toBe(0);
    await expectAccessible(page);
  });

  test("a node that wants a token is given one, which stays in the tab", async () => {
    node.token = "a-token-of-sixteen-characters";
    await visit("");
    const field = page.getByLabel("Bearer token of a principal");
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "The token is not known." }).waitFor();
    await field.fill(node.token);
    await page.keyboard.press("Enter");
    await row("billing/nightly").waitFor();
    expect(await page.evaluate(() => [location.href.includes("token"), localStorage.length])).toEqual([false, 0]);
    expect(problems.splice(0).every((problem) => problem.includes("401"))).toBe(true); // As above.
  });

  test("the keyboard alone goes from the first screen to a lock and opens a dialog", async () => {
    await visit("");
    await row("billing/nightly").waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
    await page.keyboard.press("/");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("type"))).toBe("search");
    await page.getByRole("link", { name: "billing/nightly" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "billing/nightly" }).waitFor();
    await page.getByRole("button", { name: "Warn …" }).focus();
    await page.keyboard.press("Space");
    await page.getByRole("dialog", { name: "Warn the holder of billing/nightly" }).waitFor();
  });

  test.each(["light", "dark"] as const)("text can be read on its ground in %s", async (theme) => {
    await visit("", { colorScheme: theme });
    await row("billing/nightly").waitFor();
    const contrasts = await page.evaluate(contrastsOf);
    expect(Object.entries(contrasts).filter(([, ratio]) => ratio < 4.5)).toEqual([]);
    await page.getByLabel("Theme").selectOption(theme === "dark" ? "Light" : "Dark");
    await expect
      .poll(() => page.evaluate(() => getComputedStyle(document.body).backgroundColor))
      .toBe(theme === "dark" ? "rgb(247, 248, 249)" : "rgb(20, 23, 27)");
  });
});

/** Runs in the page. WCAG 2.2, 1.4.3: each colour of text against the ground and the card. */
function contrastsOf(): Readonly<Record<string, number>> {
  const style = getComputedStyle(document.documentElement);
  const brightness = (name: string): number => {
    const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
    const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const pairs = [
    ...["text", "quiet", "accent", "warn", "bad"].flatMap((text) => [`${text} on ground`, `${text} on card`]),
    "warn on warn-soft",
    "bad on bad-soft",
    "accent-text on accent",
    "quiet on soft",
  ];
  return Object.fromEntries(
    pairs.map((pair) => {
      const [text = "", ground = ""] = pair.split(" on ");
      return [pair, ratio(brightness(text), brightness(ground))];
    }),
  );
}
