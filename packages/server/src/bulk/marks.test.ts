import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SyncedMarks } from "./marks.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "forelock-marks-"));
});
afterEach(() => rm(folder, { recursive: true }));

const marksOf = (identity = "this disk") => new SyncedMarks({ folder, identity, partitions: 3 });

test("marks survive a restart on the same disk", async () => {
  await marksOf().save([1, 0, 7]);
  await marksOf().save([2, 0, 9]);
  expect(await marksOf().load()).toEqual([2, 0, 9]);
});

test("a disk without marks claims nothing", async () => {
  expect(await marksOf().load()).toEqual([0, 0, 0]);
});

test("a copy on another disk, or a disk of another cluster, claims nothing", async () => {
  await marksOf().save([1, 2, 3]);
  expect(await marksOf("another disk").load()).toEqual([0, 0, 0]);
});

test("damaged marks claim nothing", async () => {
  await marksOf().save([1, 2, 3]);
  const path = join(folder, "synced.json");
  const text = await readFile(path, "utf8");
  for (const damaged of [text.replace("[1,2,3]", "[9,9,9]"), text.slice(0, -3), "", "{}"]) {
    await writeFile(path, damaged);
    expect(await marksOf().load()).toEqual([0, 0, 0]);
  }
});

test("marks for another number of partitions claim nothing", async () => {
  await marksOf().save([1, 2]);
  expect(await marksOf().load()).toEqual([0, 0, 0]);
});
