// screenshots.ts: `npm run screenshots`: the pictures of docs/screenshots, of a real server with its demo load after a minute, and of a real
// cluster where etcd is installed. `npm run screenshots -- cluster` draws only the pictures whose file begins so.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { ROOT } from "./workspace.ts";

const CHROMIUM = "/usr/bin/chromium";
const FOLDER = "docs/screenshots";
/** Long enough for warnings, what comes of them, and forecasts with a history. */
const WARM_UP_MS = 70_000;
/** Charts draw after their data. */
const SETTLE_MS = 1_500;
const WAIT_MS_MAX = 90_000;

interface Picture {
  readonly file: string;
  readonly hash: string;
  readonly theme?: "dark";
  readonly height?: number;
  readonly settleMs?: number;
  /** Resolves when there is something to see. */
  readonly ready: (page: Page) => Promise<unknown>;
}

const anyRow = (page: Page): Promise<unknown> => page.getByRole("rowheader").first().waitFor();
const warned = (page: Page): Promise<unknown> => page.getByText("warned", { exact: true }).first().waitFor();

const PICTURES: readonly Picture[] = [
  { file: "now.png", hash: "", height: 760, ready: warned },
  { file: "now-dark.png", hash: "", height: 760, theme: "dark", ready: warned },
  { file: "lock.png", hash: "#/lock/demo%2Fbilling", height: 1_240, settleMs: 300, ready: pastThenWarned },
  {
    file: "prediction.png",
    hash: "#/prediction",
    height: 940,
    ready: (page) => page.locator(".plot canvas").waitFor(),
  },
  { file: "sessions.png", hash: "#/sessions", ready: openDetails },
  { file: "settings.png", hash: "#/settings", height: 620, ready: anyRow },
];

const CLUSTER_PICTURE: Picture = {
  file: "cluster.png",
  hash: "#/cluster",
  height: 1_560,
  settleMs: 5_000,
  ready: moved,
};
const wanted = ({ file }: Picture): boolean => file.startsWith(process.argv[2] ?? "");

/** A node is drained before the picture is taken: there is something to see of moves. */
async function moved(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Drain c" }).click();
  await page.getByLabel("Reason, kept in the log").fill("a new disk");
  await page.keyboard.press("Enter");
  await page.getByText("drained", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Close this message" }).click();
}

/** The countdown is short: what takes long comes before it. */
async function pastThenWarned(page: Page): Promise<void> {
  await page.locator(".gantt").waitFor();
  await page.locator(".plot canvas").waitFor();
  await warned(page);
}

async function openDetails(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Details of demo fleet-1/ }).click();
  await page.getByText("Locks held").waitFor();
}

async function takeAll(browser: Browser, url: string, pictures: readonly Picture[]): Promise<void> {
  for (const { file, hash, theme, height = 800, settleMs = SETTLE_MS, ready } of pictures) {
    const page = await browser.newPage({ viewport: { width: 1_280, height }, colorScheme: theme ?? "light" });
    page.setDefaultTimeout(WAIT_MS_MAX);
    await page.goto(`${url}${hash}`);
    await ready(page);
    await page.waitForTimeout(settleMs);
    await page.screenshot({ path: join(ROOT, FOLDER, file) });
    await page.close();
    process.stdout.write(`${FOLDER}/${file}\n`);
  }
}

interface Started {
  /** Of its dashboard. */
  readonly url: string;
  readonly server: ChildProcess;
}

const startDemo = (data: string): Promise<Started> =>
  start(["packages/server/bin/forelock.js", "serve", "--demo", "--port", "0", "--data", data]);

const startCluster = (data: string): Promise<Started> => start(["scripts/dist/cluster/main.js", "--data", data]);

function start(argv: readonly string[]): Promise<Started> {
  const server = spawn(process.execPath, argv, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
  return new Promise((resolve, reject) => {
    let out = "";
    server.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const url = /dashboard {2}(http:\/\/[^/\s]+\/)/.exec(out)?.[1];
      if (url !== undefined) resolve({ url, server });
    });
    server.once("exit", () => reject(new Error("The server did not start.")));
  });
}

async function stop(server: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await ended;
}

if (!existsSync(CHROMIUM)) throw new Error(`There is no ${CHROMIUM}: install Debian's package chromium.`);
await mkdir(join(ROOT, FOLDER), { recursive: true });
const data = await mkdtemp(join(tmpdir(), "forelock-screenshots-"));
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
try {
  await takeOfDemo(PICTURES.filter(wanted));
  await takeOfCluster([CLUSTER_PICTURE].filter(wanted));
} finally {
  await browser.close();
  await rm(data, { recursive: true, force: true, maxRetries: 5 });
}

async function takeOfDemo(pictures: readonly Picture[]): Promise<void> {
  if (pictures.length === 0) return;
  const { url, server } = await startDemo(join(data, "data"));
  try {
    process.stdout.write(`The demo runs for ${WARM_UP_MS / 1_000} s first.\n`);
    await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
    await takeAll(browser, url, pictures);
  } finally {
    await stop(server);
  }
}

async function takeOfCluster(pictures: readonly Picture[]): Promise<void> {
  if (pictures.length === 0) return;
  if (spawnSync("etcd", ["--version"]).status !== 0) {
    process.stdout.write("The program etcd is missing: there is no cluster to draw.\n");
    return;
  }
  const { url, server } = await startCluster(join(data, "cluster"));
  try {
    await takeAll(browser, url, pictures);
  } finally {
    await stop(server);
  }
}
