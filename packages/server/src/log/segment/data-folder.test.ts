import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { codeOf, record, rejection } from "../contract.ts";
import { type DataFolderOptions, EPOCH_RAISE, folderIdentity, openDataFolder } from "./data-folder.ts";
import { nodeFiles } from "./files.ts";
import { lockFolder } from "./folder-lock.ts";
import { MemoryFiles } from "./memory-files.ts";
import { seeded } from "./scene.ts";
import { openSegmentEventLog } from "./segment-event-log.ts";

const here = { device: "8", inode: "42", machineId: "m1" };

function options(files: MemoryFiles, change: Partial<DataFolderOptions> = {}): DataFolderOptions {
  return {
    folder: "/data",
    files,
    partitions: 64,
    wallMs: 1_700_000_000_000,
    randomBytes: (bytes) => new Uint8Array(bytes).fill(0xab),
    identity: async () => here,
    lock: async () => ({ release: async () => undefined }),
    isRestored: false,
    ...change,
  };
}

async function openAndClose(files: MemoryFiles, change: Partial<DataFolderOptions> = {}) {
  const { format, epochFloor, close } = await openDataFolder(options(files, change));
  await close();
  return { format, epochFloor };
}

describe("the format record", () => {
  test("is made once and found again", async () => {
    const files = new MemoryFiles();
    const first = await openAndClose(files);
    expect(first.format).toEqual({
      formatVersion: 1,
      partitions: 64,
      hashKey: "ab".repeat(16),
      createdMs: 1_700_000_000_000,
      epochFloor: 0,
      ...here,
    });
    files.crash(seeded(1));
    const second = await openAndClose(files, { wallMs: 5, randomBytes: (bytes) => new Uint8Array(bytes) });
    expect(second).toEqual(first);
  });

  test("names the streams of the log while there are several, under a version that older releases refuse", async () => {
    const files = new MemoryFiles();
    const folder = await openDataFolder(options(files));
    const made = await folder.makeStream(1);
    const log = await openSegmentEventLog({ folder: made, files, segmentBytes: 16_384, notice: () => undefined });
    await log.close();
    await folder.keepStreams(2);
    await folder.close();
    files.crash(seeded(1));
    expect((await openAndClose(files)).format).toMatchObject({ formatVersion: 2, streams: 2 });
    const again = await openDataFolder(options(files));
    await again.keepStreams(1);
    await again.close();
    expect(await files.list(made)).toEqual([]);
    const { format } = await openAndClose(files);
    expect([format.formatVersion, format.streams]).toEqual([1, undefined]);
  });

  test("refuses another number of partitions, naming both", async () => {
    const files = new MemoryFiles();
    await openAndClose(files);
    const opening = openAndClose(files, { partitions: 32 });
    const error = String(await rejection(opening));
    expect(error).toMatch(/bad_setting.*32.*64/);
  });

  test("with any byte changed, or cut anywhere, is refused", async () => {
    const files = new MemoryFiles();
    await openAndClose(files);
    const bytes = files.contentOf("/data/format.json");
    for (let at = 0; at < bytes.byteLength; at++) {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      if ((await codeOf(openAndClose(files))) !== "log_damaged") expect.fail(`byte ${at}`);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    }
    const file = await files.open("/data/format.json", "create");
    await file.write(bytes.slice(0, 50), 0);
    expect(await codeOf(openAndClose(files))).toBe("log_damaged");
  });

  test("of a folder in use is missed when it is gone", async () => {
    const files = new MemoryFiles();
    const { logFolder } = await openDataFolder(options(files));
    const log = await openSegmentEventLog({ folder: logFolder, files, segmentBytes: 8192, notice: () => undefined });
    await log.close();
    await files.remove("/data/format.json");
    expect(await codeOf(openAndClose(files))).toBe("log_damaged");
  });
});

describe("the epoch floor", () => {
  async function folderWithEpoch(epoch: number): Promise<MemoryFiles> {
    const files = new MemoryFiles();
    const { logFolder, close } = await openDataFolder(options(files));
    const log = await openSegmentEventLog({ folder: logFolder, files, segmentBytes: 8192, notice: () => undefined });
    await log.append(record(0, 1, { epoch }));
    await log.close();
    await close();
    return files;
  }

  test.each([
    ["device", { ...here, device: "9" }],
    ["inode", { ...here, inode: "43" }],
    ["machine", { ...here, machineId: "m2" }],
  ])("rises above every epoch of the folder when it is found on another %s, and stays", async (_, there) => {
    const files = await folderWithEpoch(70_000);
    expect((await openAndClose(files)).epochFloor).toBe(0);
    const moved = await openAndClose(files, { identity: async () => there });
    expect(moved.epochFloor).toBe(70_000 + EPOCH_RAISE);
    files.crash(seeded(2));
    expect((await openAndClose(files, { identity: async () => there })).epochFloor).toBe(70_000 + EPOCH_RAISE);
    expect((await openAndClose(files)).epochFloor).toBe(70_000 + 2 * EPOCH_RAISE);
  });

  test("rises after a restore", async () => {
    const files = await folderWithEpoch(3);
    expect((await openAndClose(files, { isRestored: true })).epochFloor).toBe(3 + EPOCH_RAISE);
  });
});

describe("the lock of a data folder", () => {
  let drawn = 0;
  const randomBytes = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(++drawn);

  async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
    const base = await mkdtemp(`${tmpdir()}/forelock-folder-`);
    const folder = `${base}/${"deep-".repeat(30)}`; // Longer than a socket's address may be.
    await mkdir(folder);
    try {
      await body(folder);
    } finally {
      await rm(base, { recursive: true });
    }
  }

  test("keeps a second server off, names the first, and lets the next in", () =>
    withFolder(async (folder) => {
      const lock = await lockFolder(folder, randomBytes);
      const error = String(await rejection(lockFolder(folder, randomBytes)));
      expect(error).toMatch(new RegExp(`data_in_use.*process ${process.pid} on`));
      await lock.release();
      const next = await lockFolder(folder, randomBytes);
      await next.release();
      expect(await readdir(folder)).toEqual(["lock.pid"]);
    }));

  test("is had by exactly one of many that start at once, also over dead ones", () =>
    withFolder(async (folder) => {
      for (let round = 0; round < 5; round++) {
        const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, randomBytes)));
        const held = tries.filter((one) => one.status === "fulfilled").map((one) => one.value);
        expect(held.length).toBe(1);
        await held[0]?.release();
      }
    }));

  test("ends with its process, even when that is killed", () =>
    withFolder(async (folder) => {
      const script = `
        const { createServer } = require("node:net");
        const { openSync } = require("node:fs");
        createServer().listen("/proc/self/fd/" + openSync(${JSON.stringify(folder)}, "r") + "/lock-7.sock", () => console.log("up"));`;
      const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      expect(await codeOf(lockFolder(folder, randomBytes))).toBe("data_in_use");
      child.kill("SIGKILL");
      await once(child, "exit");
      expect(await readdir(folder)).toContain("lock-7.sock"); // Nobody cleaned up.
      const lock = await lockFolder(folder, randomBytes);
      expect((await readdir(folder)).sort()).toEqual(["lock-8.sock", "lock.pid"]);
      await lock.release();
    }));

  test("guards a real data folder with its log", () =>
    withFolder(async (folder) => {
      const real: DataFolderOptions = {
        ...options(new MemoryFiles()),
        folder: `${folder}/data`,
        files: nodeFiles,
        identity: folderIdentity,
        lock: lockFolder,
        randomBytes,
      };
      const open = await openDataFolder(real);
      expect(await codeOf(openDataFolder(real))).toBe("data_in_use");
      await open.close();
      const again = await openDataFolder(real);
      expect([again.epochFloor, again.format.hashKey]).toEqual([0, open.format.hashKey]);
      expect(await readFile(`${folder}/data/lock.pid`, "utf8")).toContain(String(process.pid));
      await again.close();
    }));
});
