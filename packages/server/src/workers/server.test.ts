// A server with three workers in this process, as clients and operators see it: one server.
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ForelockClient, type ForelockError } from "@forelock/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serve } from "../serve.ts";
import { readSettings } from "../settings/read.ts";

const WORKERS = 3;
/** One on each of three partitions of different workers, and more. */
const NAMES = Array.from({ length: 24 }, (_, index) => `n${index}`);

let folder: string;
let address: string;
let stop: () => Promise<void>;
const clients: ForelockClient[] = [];

async function start(flags: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const abort = new AbortController();
  const own = { port: "0", data: folder, workers: String(WORKERS), partitions: "12", prediction: "off" };
  const files = { files: "audit,ledger_{0..9}" };
  const settings = readSettings({ flags: { ...own, ...files, ...flags }, env: {}, fileText: undefined });
  const served = await serve(settings, { log: () => {}, signal: abort.signal });
  address = served.address;
  stop = async () => {
    abort.abort();
    await served.closed;
  };
}

async function client(options: Parameters<typeof connect>[0] = {}): Promise<ForelockClient> {
  const opened = await connect({ endpoints: address, ...(options as object) });
  clients.push(opened);
  return opened;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "forelock-workers-"));
  await start();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()));
  await stop();
  await rm(folder, { recursive: true });
});

test("lists, status and sessions are of all workers", async () => {
  const ana = await client();
  const locks = await Promise.all(NAMES.map((name) => ana.lock(name)));
  const { locks: listed } = await ana.listLocks();
  expect(listed.map(({ name }) => name)).toEqual([...NAMES].sort());
  const status = await ana.status();
  expect([status.grants, status.sessions, status.stopped]).toEqual([NAMES.length, 1, ""]);
  const { sessions } = await ana.listSessions();
  expect(sessions.map(({ grants }) => grants)).toEqual([NAMES.length]);
  expect((await ana.listFiles()).files.length).toBe(11);
  await Promise.all(locks.map((lock) => lock.release()));
});

test("every worker owns a share, and an operator moves partitions between them", async () => {
  const ana = await client();
  const before = await ana.cluster();
  expect(before.nodes.map(({ id, owned }) => [id, owned])).toEqual([
    ["worker-0", 4],
    ["worker-1", 4],
    ["worker-2", 4],
  ]);
  const held = await ana.lock("orders/42");
  const { partition } = await ana.why("orders/42");
  const from = before.partitions[partition]?.owner;
  const to = from === "worker-1" ? "worker-2" : "worker-1";
  await ana.changeCluster({ action: "move", partition, node: to }, { reason: "a test" });
  expect((await ana.cluster()).partitions[partition]?.owner).toBe(to);
  expect(held.held).toBe(true);
  const bo = await client();
  const waiting = bo.lock("orders/42");
  await held.release();
  expect((await waiting).token).toBeGreaterThan(held.token);
});

test("a session is resumed with what it holds at every worker, also by the next start with another number of them", async () => {
  const ana = await client();
  for (const name of NAMES) await ana.lock(name);
  const saved = ana.session;
  await stop();
  await start({ workers: "2" });
  const again = await client({ session: saved! }); // It has one.
  const { sessions } = await again.listSessions();
  expect(sessions.map(({ session, grants }) => [session, grants])).toEqual([[saved?.id, NAMES.length]]);
  await again.close();
  const bo = await client();
  for (const name of NAMES) expect((await bo.lock(name)).held).toBe(true);
});

test("a policy holds at every worker, also when its partition has moved, and from the next start on", async () => {
  const ana = await client();
  const expectRefused = async (asker: ForelockClient, prefix: string): Promise<void> => {
    const never = (name: string): Promise<string> =>
      asker.lock(`${prefix}/${name}`, { preemptible: "never" }).then(
        () => "granted",
        (error: ForelockError) => error.code,
      );
    for (const name of NAMES) await expect.poll(() => never(name), { timeout: 5_000 }).toBe("preemption_required");
  };
  for (const [round, node] of ["worker-0", "worker-2"].entries()) {
    await ana.changeCluster({ action: "move", partition: 0, node }, { reason: "a test" });
    await ana.setPolicy(`r${round}`, { never: "refuse" }, { reason: "a test" });
    await expectRefused(ana, `r${round}`);
  }
  await ana.close();
  await stop();
  await start();
  await expectRefused(await client(), "r1");
});

test("a watch sees events of all workers, and the history those of every name", async () => {
  const ana = await client();
  const events: string[] = [];
  const watching = (async () => {
    for await (const event of ana.watch("n*")) {
      if (event.kind === "granted") events.push(event.name);
      if (events.length === NAMES.length) return;
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (const name of NAMES) await (await ana.lock(name)).release();
  await watching;
  expect(events.sort()).toEqual([...NAMES].sort());
  const { entries } = await ana.history("");
  expect(new Set(entries.map(({ name }) => name))).toEqual(new Set(NAMES));
});

test("figures tell the processor time of every thread", async () => {
  await expect
    .poll(async () =>
      (await (await fetch(`http://${address}/metrics`)).text()).match(/forelock_worker_\d_cpu_seconds_total \d/g),
    )
    .toHaveLength(WORKERS);
  expect((await fetch(`http://${address}/readyz`)).status).toBe(200);
});

test("a newer connection of a session ends the older one", async () => {
  const ana = await client();
  const lock = await ana.lock("orders/42");
  const other = await client({ session: ana.session! }); // It has one.
  await other.status();
  expect((await other.listSessions()).sessions.length).toBe(1);
  expect(lock.token).toBeGreaterThan(0n);
});

test("a stream that cannot be written stops its partitions and no others", async () => {
  await stop();
  await start({ logSegmentBytes: "4MiB" });
  const ana = await client({ requestMs: 2_000 });
  const { partitions } = await ana.cluster();
  const ownerOf = async (name: string): Promise<string | undefined> =>
    partitions[(await ana.why(name)).partition]?.owner;
  const owners = new Map<string, string>();
  for (let number = 0; number < 40; number += 1)
    owners.set((await ownerOf(`ledger_${number}`)) ?? "", `ledger_${number}`);
  const [lost = "", kept = ""] = [owners.get("worker-1"), owners.get("worker-0")];
  await rename(join(folder, "log-1"), join(folder, "gone")); // What is open can still be written, and nothing new is made.
  const lock = await ana.lock(lost);
  const bytes = new Uint8Array(180_000);
  const writing = (async () => {
    for (;;) await ana.file(lost).append(bytes, { lock });
  })();
  expect(["outcome_unknown", "log_stopped"]).toContain(await writing.catch((error: ForelockError) => error.code));
  await ana.withLock(kept, (other) => ana.file(kept).append("goes on", { lock: other }));
  await expect.poll(async () => (await fetch(`http://${address}/readyz`)).status, { timeout: 5_000 }).toBe(503);
});
