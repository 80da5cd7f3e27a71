// browser.ts: Debian's chromium for tests: pages that remember what went wrong in them, and a few checks for those who do not see.
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

export const CHROMIUM = "/usr/bin/chromium";
export const isChromiumThere = existsSync(CHROMIUM);

export function launch(): Promise<Browser> {
  // Tests run as root in containers, where the sandbox has no user to switch to; the pages are our own.
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
}

export interface Watched {
  readonly page: Page;
  /** Errors of the console and of scripts, refused policies among them, and requests that left the server. */
  readonly problems: string[];
}

export async function open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) problems.push(`left the machine: ${request.url()}`);
  });
  await page.goto(url);
  return { page, problems };
}

/** What every screen owes to keyboards and screen readers. */
export async function expectAccessible(page: Page): Promise<void> {
  expect(await page.getByRole("banner").count()).toBe(1);
  expect(await page.getByRole("navigation").count()).toBe(1);
  expect(await page.getByRole("main").count()).toBe(1);
  expect(await page.getByRole("heading", { level: 1 }).count()).toBe(1);
  expect(await page.title()).toMatch(/ · Forelock$/);
  expect(await page.evaluate(namelessOf)).toEqual([]);
}

/** Runs in the page: controls, images, tables and headers that have no words. */
function namelessOf(): readonly string[] {
  const words = (element: Element): string => {
    const byId = element
      .getAttribute("aria-labelledby")
      ?.split(" ")
      .map((id) => document.getElementById(id)?.textContent);
    const labels = element instanceof HTMLInputElement || element instanceof HTMLSelectElement ? element.labels : null;
    const label = [...(labels ?? [])].map((each) => each.textContent).join("");
    const named = `${element.getAttribute("aria-label") ?? ""}${byId?.join("") ?? ""}${label}`.trim();
    return named === "" ? (element.textContent?.trim() ?? "") : named;
  };
  const controls = [
    ...document.querySelectorAll("a[href], button, input, select, textarea, summary, [role=img], dialog, th"),
  ];
  const nameless = controls.filter((element) => words(element) === "");
  const tables = [...document.querySelectorAll("table")].filter(
    (table) => table.caption === null || table.tHead === null,
  );
  const unscoped = [...document.querySelectorAll("th:not([scope])")];
  const twice = [...document.querySelectorAll("[id]")].filter(
    (element) => document.querySelectorAll(`[id="${CSS.escape(element.id)}"]`).length > 1,
  );
  return [...nameless, ...tables, ...unscoped, ...twice].map((element) => element.outerHTML.slice(0, 120));
}
