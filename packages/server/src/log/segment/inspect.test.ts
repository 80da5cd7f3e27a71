import { expect, test } from "vitest";
import { appendRun, codeOf } from "../contract.ts";
import { dumpLog, type Finding, verifyLog } from "./inspect.ts";
import { MemoryFiles } from "./memory-files.ts";
import { FOLDER, imageFiles, newFiles, openLog, smallLog } from "./scene.ts";

async function findings(...args: Parameters<typeof verifyLog>): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const finding of verifyLog(...args)) found.push(finding);
  return found;
}

async function sequences(...args: Parameters<typeof dumpLog>): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const batch of dumpLog(...args))
    seen.push(...batch.map(({ record, offset }) => `${record.partition}:${record.sequence}@${offset}`));
  return seen;
}

test("a sound log is listed by snapshots and segments, and dumped with offsets", async () => {
  const files = imageFiles(await smallLog({ isSnapshotSaved: true }));
  const found = await findings(files, FOLDER);
  expect(found.map(({ kind }) => kind)).toEqual(["snapshots", "segment", "segment", "segment"]);
  expect(found[1]).toEqual({
    kind: "segment",
    file: `${FOLDER}/segment-0000000001.log`,
    commits: 3,
    records: 3,
    endOffset: 16_384,
  });
  expect(await sequences(files, FOLDER)).toEqual([
    "0:1@4096",
    "0:2@8192",
    "1:1@12288",
    "1:2@4096",
    "1:3@8192",
    "1:4@12288",
    "2:1@4096",
  ]);
});

test("damage is reported with file, offset and what to do, behind what is sound", async () => {
  const image = await smallLog({ isSnapshotSaved: true });
  const bytes = image.get("segment-0000000002.log") ?? new Uint8Array(0);
  bytes[8192 + 100] = 1;
  const files = imageFiles(image);
  const found = await findings(files, FOLDER);
  expect(found.map(({ kind }) => kind)).toEqual(["snapshots", "segment", "segment", "damage"]);
  expect(found.at(-1)).toMatchObject({ file: `${FOLDER}/segment-0000000002.log`, offset: 8192 });
  expect(JSON.stringify(found.at(-1))).toContain("Restore the file");
  expect(await codeOf(sequences(files, FOLDER))).toBe("log_damaged");
});

test("a torn tail is told from damage, and left as it is", async () => {
  const image = await smallLog({ isSnapshotSaved: false });
  const bytes = image.get("segment-0000000003.log") ?? new Uint8Array(0);
  bytes.fill(0, 4096 + 512, 4096 + 1024);
  const found = await findings(imageFiles(image), FOLDER);
  expect(found.at(-1)).toEqual({ kind: "torn_tail", file: `${FOLDER}/segment-0000000003.log`, offset: 4096 });
});

test("a log that a server is writing to is never called damaged", async () => {
  const files = await newFiles();
  const log = await openLog(files);
  let isDone = false;
  const writing = (async () => {
    while (!isDone) await Promise.all(Array.from({ length: 4 }, (_, partition) => appendRun(log, partition, 1)));
  })();
  for (let round = 0; round < 5; round++) {
    const found = await findings(files, FOLDER);
    expect(found.map(({ kind }) => kind)).not.toContain("damage");
  }
  isDone = true;
  await writing;
  await log.close();
});

test("an empty folder has nothing to find", async () => {
  const files = new MemoryFiles();
  await files.makeFolder(FOLDER);
  expect(await findings(files, FOLDER)).toEqual([]);
});
