import { type GetHistoryReply, Mode, type Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { MemoryFiles } from "../log/segment/memory-files.ts";
import { openSegmentEventLog } from "../log/segment/segment-event-log.ts";
import { HistoryReader, historyInLog, WAITING_MAX } from "./history.ts";
import { historyInFiles } from "./history-files.ts";
import type { Caller } from "./service.ts";
import { buildSnapshots } from "./snapshot-build.ts";
import { CALLER, NODE_LIMITS, settle, World } from "./testing/world.ts";

interface Wanted {
  readonly name?: string;
  readonly sinceMs?: number;
  readonly limit?: number;
}

async function historyOf(world: World, wanted: Wanted = {}, caller: Caller = CALLER): Promise<GetHistoryReply> {
  const value = { name: "", sinceMs: 0, limit: 0, ...wanted };
  const { body } = await new Promise<Reply>((resolve) => {
    const operation = { sequence: 1, keep: undefined, body: { $case: "getHistory" as const, value } };
    world.node.submit(caller, undefined, operation, resolve);
  });
  if (body?.$case !== "getHistory") throw new Error(`expected a history, not ${JSON.stringify(body)}`);
  return body.value;
}

/** One line an entry: how long ago, what, of which name, and the token by its order. */
function story({ entries }: GetHistoryReply): readonly string[] {
  const order: string[] = [];
  return entries.map(({ agoMs, kind, name, token, reason }) => {
    const key = `${name} ${token}`; // Tokens of two partitions may be the same.
    if (token !== 0n && !order.includes(key)) order.push(key);
    const grant = token === 0n ? "" : ` #${order.indexOf(key) + 1}`;
    return `${agoMs} ${kind} ${name}${grant}${reason === "" ? "" : ` (${reason})`}`;
  });
}

test("queued, granted and released are told oldest first, with tokens, clients and ages by the partition clock", async () => {
  const world = await World.open();
  const ana = world.client();
  const bo = world.client();
  const token = await ana.token(ana.acquire("a"));
  await world.clock.advance(2_000);
  await bo.acquire("a");
  await world.clock.advance(500);
  await ana.release("a", token);
  await world.clock.advance(250);
  const history = await historyOf(world, { name: "a" });
  expect(story(history)).toEqual(["2750 granted a #1", "750 queued a", "250 released a #1", "250 granted a #2"]);
  expect(history.entries.map(({ session }) => session)).toEqual(
    [ana, bo, ana, bo].map(({ opened }) => opened.session.id),
  );
  expect(new Set(history.entries.map(({ client }) => client))).toEqual(new Set(["test"]));
  expect(history.reachMs).toBe(2_750);
  expect(history.more).toBe(false);
});

async function restart(world: World): Promise<void> {
  await world.node.drain(); // Or its timers would go on beside the next one's.
  await world.restart();
}

test("a restart loses nothing, and ages count the service of all partitions: an idle one writes no time of its own", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("early");
  await ana.submit({ $case: "closeSession", value: {} });
  const bo = world.client();
  const name = world.nameBeside(["early"]);
  const token = await bo.token(bo.acquire(name));
  await world.clock.advance(10_000);
  await restart(world);
  bo.resume();
  await world.clock.advance(3_000);
  await bo.release(name, token);
  expect(story(await historyOf(world, { name: "early" }))).toEqual([
    "13000 granted early #1",
    "13000 released early #1",
  ]);
  const all = await historyOf(world);
  expect(story(all)).toEqual([
    "13000 granted early #1",
    "13000 released early #1",
    `13000 granted ${name} #2`,
    `0 released ${name} #2`,
  ]);
  expect(all.reachMs).toBe(13_000);
});

test("the newest entries are kept, and what was left out is said", async () => {
  const world = await World.open();
  const ana = world.client();
  for (let round = 0; round < 20; round += 1) {
    await ana.release("a", await ana.token(ana.acquire("a")));
    await world.clock.advance(1_000);
  }
  const cut = await historyOf(world, { name: "a", limit: 3 });
  expect(story(cut)).toEqual(["2000 released a #1", "1000 granted a #2", "1000 released a #2"]);
  expect(cut.more).toBe(true);
  const since = await historyOf(world, { name: "a", sinceMs: 2_000 });
  expect(story(since)).toEqual(["2000 granted a #1", "2000 released a #1", "1000 granted a #2", "1000 released a #2"]);
  expect(since.more).toBe(false);
  expect((await historyOf(world, { limit: 40 })).more).toBe(false);
});

test("a history fits half a frame, whatever its limit", async () => {
  const world = await World.open({ limits: { frameBytesMax: 4_096 } });
  const ana = world.client();
  const name = "n".repeat(400);
  for (let round = 0; round < 10; round += 1) await ana.release(name, await ana.token(ana.acquire(name)));
  const { entries, more } = await historyOf(world, { limit: 10_000 });
  expect(entries).toHaveLength(4);
  expect(more).toBe(true);
});

test("what the caller may not read is not told, and does not use up the limit", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("open/a");
  for (let index = 0; index < 20; index += 1) await ana.acquire(`secret/${index}`);
  const caller = { ...CALLER, may: (_right: string, name: string) => name.startsWith("open/") };
  expect(story(await historyOf(world, { limit: 5 }, caller))).toEqual(["0 granted open/a #1"]);
  expect(story(await historyOf(world, { name: "secret/1" }, caller))).toEqual([]);
});

test("an upgrade, an inner release, a forced one and the end of a session are told as what they are", async () => {
  const world = await World.open();
  const ana = world.client();
  const shared = await ana.token(ana.acquire("a", { mode: Mode.SHARED }));
  const upgrade = { $case: "upgrade", value: { name: "a", token: shared, waitMs: undefined } } as const;
  const token = await ana.token(ana.submit(upgrade));
  await ana.acquire("a", { reenter: token });
  await ana.release("a", token); // The inner one.
  const bo = world.client();
  await bo.acquire("a");
  const force = { $case: "forceRelease", value: { name: "a", token: 0n, reason: "it hangs" } } as const;
  await ana.submit(force);
  const cy = world.client();
  await cy.acquire("a");
  await cy.submit({ $case: "closeSession", value: {} });
  expect(story(await historyOf(world, { name: "a" }))).toEqual([
    "0 granted a #1",
    "0 released a #1 (upgraded)",
    "0 granted a #2",
    "0 queued a",
    "0 forced a #2 (it hangs)",
    "0 granted a #3",
    "0 queued a",
    "0 ended a (its session ended: closed)",
  ]);
});

test("parts of a batch are granted when all are", async () => {
  const world = await World.open();
  const ana = world.client();
  const other = world.nameBeside(["a"]);
  const bo = world.client();
  const token = await bo.token(bo.acquire(other));
  void ana.acquireAll(["a", other]);
  await settle();
  expect(story(await historyOf(world, { name: "a" }))).toEqual([]);
  await bo.release(other, token);
  await settle();
  expect(story(await historyOf(world, { name: "a" }))).toEqual(["0 granted a #1"]);
});

test("one look at a time, a few wait, and the next is told overloaded", async () => {
  const world = await World.open();
  let running = 0;
  let most = 0;
  const reader = new HistoryReader({
    shards: world.node.shards,
    log: world.node.options.log,
    partitionOf: world.node.partitionOf,
    frameBytesMax: NODE_LIMITS.frameBytesMax,
    read: async (work, mayRead) => {
      running += 1;
      most = Math.max(most, running);
      await settle();
      running -= 1;
      return historyInLog(world.node.options.log)(work, mayRead);
    },
  });
  const request = { name: "a", sinceMs: 0, limit: 0 };
  const taken = Array.from({ length: WAITING_MAX + 1 }, () => reader.get(CALLER, request));
  await expect(reader.get(CALLER, request)).rejects.toMatchObject({ code: "overloaded", retryAfterMs: 1_000 });
  await Promise.all(taken);
  expect(most).toBe(1);
  expect((await reader.get(CALLER, request)).entries).toEqual([]);
});

/** A log in files, written by hand of the same records that a world has made. */
async function filesOf(world: World): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder(FOLDER);
  const log = await openSegmentEventLog({ folder: FOLDER, files, segmentBytes: 16_384, notice: () => {} });
  let written = 0;
  for await (const records of world.node.options.log.read(() => 0)) {
    for (const record of records) {
      await log.append(record);
      written += 1;
      if (written % 100 > 0) continue;
      const through = world.node.shards.map((_, partition) => log.lastSequence(partition));
      await log.saveSnapshots(await buildSnapshots(files, { logFolder: FOLDER, through }));
      await log.truncate();
    }
  }
  await log.close();
  return files;
}

const FOLDER = "/log";

test("after truncation the history begins at the older snapshot, without a gap", async () => {
  const world = await World.open({ limits: { unansweredMax: 1_000 } });
  const ana = world.client();
  for (let round = 0; round < 300; round += 1) {
    await ana.release("a", await ana.token(ana.acquire("a")));
    await world.clock.advance(10);
  }
  const files = await filesOf(world);
  expect((await files.list(FOLDER)).filter((name) => name.endsWith(".snap"))).toHaveLength(2);
  const { log } = world.node.options;
  const ends = world.node.shards.map(({ partition, state }) => {
    return { through: log.lastSequence(partition), clockMs: state.clockMs };
  });
  const partition = world.node.partitionOf("a");
  const work = { name: "a", partition, sinceMs: 0, limit: 10_000, bytesMax: 1e6, mayReadAll: false, ends };
  const all = async (names: readonly string[]): Promise<readonly boolean[]> => names.map(() => true);
  const whole = await historyInLog(log)(work, all);
  expect(whole.entries).toHaveLength(600);
  const left = await historyInFiles(files, FOLDER, work, all);
  expect(left.entries.length).toBeGreaterThan(100);
  expect(left.entries.length).toBeLessThan(600);
  expect(left.entries).toEqual(whole.entries.slice(-left.entries.length));
  expect(left.reachMs).toBeGreaterThanOrEqual(left.entries[0]?.agoMs ?? 0);
  expect(left.reachMs).toBeLessThan(whole.reachMs);
});

test("a log that ends before what is asked for is looked at again, then refused", async () => {
  const world = await World.open();
  const files = await filesOf(world);
  const ends = world.node.shards.map(() => ({ through: 1_000, clockMs: 0 }));
  const work = { name: "", partition: undefined, sinceMs: 0, limit: 1, bytesMax: 1e6, mayReadAll: false, ends };
  await expect(historyInFiles(files, FOLDER, work, async () => [])).rejects.toMatchObject({ code: "overloaded" });
});

test("a warning, its acknowledgement and the forced release are told with their reasons, also of a wait", async () => {
  const world = await World.open();
  const ana = world.client();
  const token = await ana.token(ana.acquire("a"));
  const bo = world.client();
  await bo.acquire("a");
  const shard = world.node.shardOf("a");
  const [wait] = [...shard.state.waits.values()];
  const cause = {
    countdownMs: 1_000,
    enforce: true,
    score: 0.9,
    threshold: 0.8,
    parts: [],
    reason: "it hangs",
    by: "",
  };
  const warn = (target: { readonly token: bigint; readonly wait: number }): void =>
    shard.submit(
      { kind: "warn", name: "a", ...target, cause },
      () => undefined,
      () => {},
    );
  warn({ token, wait: 0 });
  warn({ token: 0n, wait: wait?.id ?? 0 });
  await settle();
  await world.clock.advance(5_000);
  const { entries } = await historyOf(world, { name: "a" });
  const risks = entries.map(({ kind, risk }) => `${kind} ${risk?.score ?? "-"} ${risk?.countdownMs ?? "-"}`);
  expect(risks.slice(2, 5)).toEqual(["warned 0.9 1000", "warned 0.9 1000", "preempted - -"]);
  const told = entries.map(({ kind, session, token: of, reason }) => {
    const who = session === ana.opened.session.id ? "ana" : "bo";
    return `${who} ${kind}${of === token ? " #1" : ""} ${reason}`.trim();
  });
  expect(told.slice(0, 5)).toEqual([
    "ana granted #1",
    "bo queued",
    "ana warned #1 it hangs",
    "bo warned it hangs",
    "ana preempted #1 it hangs",
  ]);
  expect(told[5]).toBe("bo granted");
});
