import { describe, expect, test } from "vitest";
import { appendRun, codeOf, recordsOf, rejection, snapshot } from "../contract.ts";
import { faultyFiles } from "./faulty-files.ts";
import type { MemoryFiles } from "./memory-files.ts";
import { FOLDER, newFiles, openLog } from "./scene.ts";
import type { SegmentEventLog } from "./segment-event-log.ts";

const fileOf = (generation: number): string => `${FOLDER}/snapshot-000000000${generation}.snap`;

/** Two generations over a log of several segments; perhaps truncated. */
async function twoGenerations(files: MemoryFiles): Promise<SegmentEventLog> {
  const log = await openLog(files);
  await appendRun(log, 0, 5);
  await log.saveSnapshots([snapshot(0, 5)]);
  await appendRun(log, 0, 5);
  await log.saveSnapshots([snapshot(0, 10)]);
  return log;
}

function flip(files: MemoryFiles, path: string, at: number): void {
  const bytes = files.contentOf(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

describe("a damaged newest generation", () => {
  test("is passed over, loudly, and the older one and the log make the whole", async () => {
    const files = await newFiles();
    const log = await twoGenerations(files);
    await log.truncate();
    await log.close();
    flip(files, fileOf(2), 70);
    const notices: string[] = [];
    const again = await openLog(files, (kind) => notices.push(kind));
    expect(notices).toEqual(["snapshot_damaged"]);
    expect(await again.loadSnapshots()).toEqual([snapshot(0, 5)]);
    expect((await recordsOf(again, () => 5)).map((one) => one.sequence)).toEqual([6, 7, 8, 9, 10]);
    await again.saveSnapshots([snapshot(0, 10)]);
    expect((await files.list(FOLDER)).filter((name) => name.endsWith(".snap")).sort()).toEqual([
      "snapshot-0000000001.snap",
      "snapshot-0000000003.snap",
    ]);
    await again.close();
  });

  test("is refused when the log does not reach back to the older one", async () => {
    const files = await newFiles();
    const log = await twoGenerations(files);
    await log.close();
    flip(files, fileOf(2), 70);
    await files.remove(`${FOLDER}/segment-0000000001.log`);
    await files.remove(`${FOLDER}/segment-0000000002.log`);
    expect(await codeOf(openLog(files))).toBe("log_damaged");
  });

  test("is refused when there is no older one", async () => {
    const files = await newFiles();
    const log = await twoGenerations(files);
    await log.close();
    flip(files, fileOf(1), 70);
    flip(files, fileOf(2), 70);
    expect(await codeOf(openLog(files))).toBe("log_damaged");
  });
});

test("a log that ends before its snapshot was saved is refused", async () => {
  const files = await newFiles();
  const log = await twoGenerations(files);
  await log.close();
  const { length } = (await files.list(FOLDER)).filter((name) => name.endsWith(".log"));
  for (let generation = length; generation > 2; generation--)
    await files.remove(`${FOLDER}/segment-000000000${generation}.log`);
  expect(String(await rejection(openLog(files)))).toContain("was saved after commit");
});

test("a generation that cannot be written leaves the log healthy and the one before in place", async () => {
  const files = await newFiles();
  let isFull = false;
  const log = await openLog(
    faultyFiles(files, (call, path) => (isFull && call === "write" && path.endsWith(".tmp") ? "ENOSPC" : undefined)),
  );
  await appendRun(log, 0, 1);
  await log.saveSnapshots([snapshot(0, 1)]);
  isFull = true;
  await rejection(log.saveSnapshots([snapshot(0, 1)]));
  expect(log.stopped).toBeUndefined();
  isFull = false;
  expect(await log.loadSnapshots()).toEqual([snapshot(0, 1)]);
  await log.saveSnapshots([snapshot(0, 1)]);
  await log.close();
});

test("truncation recycles segments, keeps one that is read, and keeps the newest with a commit", async () => {
  const files = await newFiles();
  const log = await twoGenerations(files);
  const segments = async () => (await files.list(FOLDER)).filter((name) => name.startsWith("segment-")).length;
  const before = await segments();
  const reading = log.read(() => 0)[Symbol.asyncIterator]();
  await reading.next();
  await log.truncate();
  expect(await segments()).toBe(before);
  await reading.return?.();
  await log.saveSnapshots([snapshot(0, 10)]);
  await log.truncate();
  expect(await segments()).toBeLessThan(before);
  await appendRun(log, 0, 8);
  expect((await recordsOf(log, () => 10)).length).toBe(8);
  await log.close();
  const again = await openLog(files);
  expect(again.lastSequence(0)).toBe(18);
  await again.close();
});

test("a state of several chunks comes back whole", async () => {
  const files = await newFiles();
  const log = await openLog(files);
  await appendRun(log, 0, 1);
  const state = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 253);
  await log.saveSnapshots([snapshot(0, 1, { state })]);
  const [loaded] = await log.loadSnapshots();
  expect(Buffer.compare(loaded?.state ?? new Uint8Array(0), state)).toBe(0);
  await log.close();
});
