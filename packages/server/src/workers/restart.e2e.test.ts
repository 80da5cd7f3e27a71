// The real binary with several workers on one folder: killed while partitions move, and started with another number each time.
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ForelockClient } from "@forelock/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build, forelock, type Running } from "../cli/testing/real-server.ts";

const PARTITIONS = 16;
const FILES = Array.from({ length: 12 }, (_, index) => `file_${index}`);

/** So that snapshots are taken and segments freed on the way. */
const FILLER = "x".repeat(16_000);

let folder: string;
beforeAll(async () => {
  await build();
  folder = await mkdtemp(join(tmpdir(), "forelock-workers-"));
}, 120_000);
afterAll(async () => {
  for (const running of started) running.kill("SIGKILL"); // What a test that failed has left.
  await Promise.all(started.map(({ ended }) => ended));
  await rm(folder, { recursive: true, force: true });
});

const started: Running[] = [];

interface Serving {
  readonly address: string;
  readonly running: Running;
}

async function start(workers: number, ...flags: readonly string[]): Promise<Serving> {
  const own = ["--data", join(folder, "data"), "--partitions", String(PARTITIONS), "--workers", String(workers)];
  const small = ["--log-segment-bytes", "4MiB", "--log-snapshot-bytes", "16MiB"];
  const running = forelock(["serve", "--port", "0", ...own, ...small, ...flags]);
  started.push(running);
  const address = await running.until(({ out }) => /serving on (\S+)/.exec(out)?.[1]);
  await running.until(({ out }) => out.includes("Ctrl-C stops it."));
  return { address, running };
}

async function stop({ running }: Serving, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  running.kill(signal);
  const { code } = await running.ended;
  if (signal === "SIGTERM") expect(code, running.err).toBe(0);
}

/** What was acknowledged: by file, its records, and the highest token of its lock. */
class Book {
  readonly records = new Map<string, string[]>();
  readonly tokens = new Map<string, bigint>();

  /** Appends to every file in turn until the server is gone. A record whose answer was lost may be there or not. */
  async write(client: ForelockClient, rounds: number): Promise<void> {
    await Promise.all(
      FILES.map(async (name) => {
        const own = this.records.get(name) ?? [];
        this.records.set(name, own);
        for (let round = 0; round < rounds; round += 1) {
          const lock = await client.lock(name);
          expect(lock.token).toBeGreaterThan(this.tokens.get(name) ?? 0n);
          this.tokens.set(name, lock.token);
          const record = `${name} ${own.length} ${FILLER}\n`;
          own.push(`?${record}`);
          await client.file(name).append(record, { lock });
          own[own.length - 1] = record;
          await lock.release();
        }
      }),
    );
  }

  /** Every acknowledged record is in its file, once and in order; one that was not may be. */
  async check(client: ForelockClient): Promise<void> {
    for (const name of FILES) {
      const parts: Uint8Array[] = [];
      for await (const record of client.file(name).records()) parts.push(record);
      const found = parts.map((part) => Buffer.from(part).toString());
      const told = this.records.get(name) ?? [];
      const kept = told.filter((record) => !record.startsWith("?") || found.includes(record.slice(1)));
      expect(found).toEqual(kept.map((record) => record.replace("?", "")));
      this.records.set(name, found);
    }
  }
}

/** Until it fails: the server is gone. */
async function moveAround(client: ForelockClient, workers: number, moves: { count: number }): Promise<void> {
  for (let number = 0; ; number += 1) {
    const change = {
      action: "move",
      partition: (number * 7) % PARTITIONS,
      node: `worker-${number % workers}`,
    } as const;
    const { partitions } = await client.changeCluster(change, { reason: "a test" });
    moves.count += partitions;
  }
}

test("what was acknowledged is there after kills amid moves, with any number of workers", {
  timeout: 240_000,
}, async () => {
  const book = new Book();
  const moves = { count: 0 };
  for (const [round, workers] of [3, 1, 2, 4, 3].entries()) {
    const server = await start(workers);
    const client = await connect({ endpoints: server.address, ttlMs: 5_000 }); // What a killed round held is soon free.
    if (round > 0) await book.check(client);
    await book.write(client, 5);
    const work = [book.write(client, 100_000).catch(() => {})];
    if (workers > 1) work.push(moveAround(client, workers, moves).catch(() => {}));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await stop(server, "SIGKILL");
    await client.close().catch(() => {});
    await Promise.all(work);
  }
  expect(moves.count).toBeGreaterThan(10); // Else nothing was shown.
  expect((await streams()).length).toBeGreaterThan(1);
  const data = join(folder, "data");
  const verified = await forelock(["log", "verify", data]).ended;
  expect([verified.code, verified.out.includes("/log/"), verified.out.includes("/log-1/")]).toEqual([0, true, true]);
  const exported = await forelock(["export", join(folder, "export"), "--data", data]).ended;
  expect(exported.code, exported.err).not.toBe(0);
  expect(exported.err).toContain("--workers 1");
  const server = await start(1);
  const client = await connect(server.address);
  await book.check(client);
  await client.close();
  await stop(server, "SIGTERM");
  expect(await streams()).toEqual(["log"]);
  const whole = await forelock(["export", join(folder, "export"), "--data", data]).ended;
  expect(whole.code, whole.err).toBe(0);
});

test("a release with one worker finds one stream, and no worker is asked for more partitions than there are", async () => {
  const refused = forelock([
    "serve",
    "--port",
    "0",
    "--data",
    join(folder, "none"),
    "--partitions",
    "2",
    "--workers",
    "3",
  ]);
  const { code, err } = await refused.ended;
  expect(code).not.toBe(0);
  expect(err).toContain("workers: is 3, above partitions, 2");
  expect(existsSync(join(folder, "none"))).toBe(false);
});

/** Folders of streams that hold anything. */
async function streams(): Promise<readonly string[]> {
  const names = (await readdir(join(folder, "data"))).filter((name) => name.startsWith("log")).sort();
  const used = await Promise.all(names.map(async (name) => (await readdir(join(folder, "data", name))).length > 0));
  return names.filter((_, index) => used[index]);
}
