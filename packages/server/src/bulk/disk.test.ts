import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ANA, appendTexts, bulkStoreContract, codeOf, recordsOf, textOf } from "./contract.ts";
import { DiskBulkStore } from "./disk.ts";
import { ENTRY_BYTES } from "./entry.ts";
import { type Files, nodeFiles, type OpenFile } from "./files.ts";
import { SimulatedFiles } from "./simulated-files.ts";

let root = "";
let stores = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "forelock-bulk-"));
});
afterAll(() => rm(root, { recursive: true }));

const openReal = (folder: string, openFilesMax = 64): Promise<DiskBulkStore> =>
  DiskBulkStore.open({ folder, files: nodeFiles, openFilesMax });

const openSimulated = (files: SimulatedFiles, openFilesMax = 2): Promise<DiskBulkStore> =>
  DiskBulkStore.open({ folder: "/bulk", files, openFilesMax });

bulkStoreContract("DiskBulkStore on a disk", () => {
  stores += 1;
  return openReal(join(root, `contract-${stores}`));
});
bulkStoreContract("DiskBulkStore with two open files", () => openSimulated(new SimulatedFiles(() => 0.9)));

/** Counts what a store asks of the disk. */
function counting(files: Files): { readonly files: Files; readonly story: string[]; readonly most: () => number } {
  const story: string[] = [];
  let inFlight = 0;
  let most = 0;
  const call = async <Result>(name: string, run: () => Promise<Result>): Promise<Result> => {
    story.push(name);
    inFlight += 1;
    most = Math.max(most, inFlight);
    return run().finally(() => {
      inFlight -= 1;
    });
  };
  const wrap = (path: string, file: OpenFile): OpenFile => ({
    read: (into, position) => call(`read ${path}`, () => file.read(into, position)),
    write: (bytes, position) => call(`write ${path} ${bytes.length}@${position}`, () => file.write(bytes, position)),
    truncate: (length) => call(`cut ${path} ${length}`, () => file.truncate(length)),
    length: () => call(`length ${path}`, () => file.length()),
    sync: () => call(`sync ${path}`, () => file.sync()),
    close: () => call(`close ${path}`, () => file.close()),
  });
  const counted: Files = {
    open: async (path) => {
      const file = await call(`open ${path}`, () => files.open(path));
      return file === undefined ? undefined : wrap(path, file);
    },
    create: async (path) => wrap(path, await call(`create ${path}`, () => files.create(path))),
    createFolder: (path) => call(`createFolder ${path}`, () => files.createFolder(path)),
    syncFolder: (path) => call(`syncFolder ${path}`, () => files.syncFolder(path)),
  };
  return { files: counted, story, most: () => most };
}

const countedStore = async () => {
  const counted = counting(new SimulatedFiles(() => 0.9));
  const store = await DiskBulkStore.open({ folder: "/bulk", files: counted.files, openFilesMax: 4 });
  return { ...counted, store };
};

test("the data file holds the bytes of the records and nothing else", async () => {
  const folder = join(root, "plain");
  const store = await openReal(folder);
  appendTexts(store, ANA, ["one\n", "two\n"]);
  await store.sync();
  expect(await readFile(join(folder, "3/1.data"), "utf8")).toBe("one\ntwo\n");
  expect(await readFile(join(folder, "3/1.index"))).toHaveLength(2 * ENTRY_BYTES);
  await store.close();
});

test("a store that is opened again reads what was written", async () => {
  const folder = join(root, "again");
  const first = await openReal(folder);
  appendTexts(first, ANA, ["one", "two"]);
  await first.close();
  const second = await openReal(folder);
  expect(await recordsOf(second, ANA, 2)).toEqual(["one", "two"]);
  await second.close();
});

test("appends to one file that wait together become one write", async () => {
  const { store, story } = await countedStore();
  appendTexts(
    store,
    ANA,
    Array.from({ length: 1_000 }, () => "0123456789"),
  );
  await store.sync();
  expect(story.filter((call) => call.startsWith("write"))).toEqual([
    "write /bulk/3/1.data 10000@0",
    `write /bulk/3/1.index ${1_000 * ENTRY_BYTES}@0`,
  ]);
});

test("at most two file operations are in flight", async () => {
  const { store, most } = await countedStore();
  for (let file = 1; file <= 20; file += 1) {
    appendTexts(store, { partition: file % 3, file }, ["one", "two"]);
    void store.read({ partition: file % 3, file }, { offset: 0, bytesMax: 6, length: 6 });
  }
  await Promise.all([store.sync(), store.sync()]);
  expect(most()).toBe(2);
});

test("a sync touches only files written since the last, and folders with new files", async () => {
  const { store, story } = await countedStore();
  appendTexts(store, ANA, ["one"]);
  appendTexts(store, { partition: 4, file: 1 }, ["one"]);
  await store.sync();
  const first = story.filter((call) => call.startsWith("sync")).sort();
  story.length = 0;
  appendTexts(store, ANA, ["two"], ["one"]);
  await store.sync();
  await store.sync();
  const second = story.filter((call) => call.startsWith("sync"));
  expect(first).toEqual([
    "sync /bulk/3/1.data",
    "sync /bulk/3/1.index",
    "sync /bulk/4/1.data",
    "sync /bulk/4/1.index",
    "syncFolder /",
    "syncFolder /bulk",
    "syncFolder /bulk/3",
    "syncFolder /bulk/4",
  ]);
  expect(second).toEqual(["sync /bulk/3/1.data", "sync /bulk/3/1.index"]);
});

test("a replayed append is written and synced again: the process before may have died before its sync", async () => {
  const { files } = counting(new SimulatedFiles(() => 0.9));
  const before = await DiskBulkStore.open({ folder: "/bulk", files, openFilesMax: 4 });
  appendTexts(before, ANA, ["one"]);
  await before.close();
  const counted = counting(files);
  const store = await DiskBulkStore.open({ folder: "/bulk", files: counted.files, openFilesMax: 4 });
  appendTexts(store, ANA, ["one"]);
  await store.sync();
  expect(counted.story).toContain("write /bulk/3/1.data 3@0");
  expect(counted.story).toContain("sync /bulk/3/1.data");
  expect(counted.story).toContain("syncFolder /bulk/3");
});

test("no more files are open than allowed, however many are used", async () => {
  const files = new SimulatedFiles(() => 0.9);
  const store = await openSimulated(files, 5);
  let most = 0;
  for (let file = 1; file <= 50; file += 1) {
    appendTexts(store, { partition: 0, file }, ["one"]);
    await store.read({ partition: 0, file }, { offset: 0, bytesMax: 3, length: 3 });
    most = Math.max(most, files.openFiles);
  }
  expect(most).toBe(10); // Two descriptors each.
  expect(await textOf(store, { partition: 0, file: 1 }, 3)).toBe("one");
  await store.close();
  expect(files.openFiles).toBe(0);
});

test("reading on through a long file finds each place without a search", async () => {
  const { store, story } = await countedStore();
  const texts = Array.from({ length: 1_000 }, () => "0123456789");
  appendTexts(store, ANA, texts);
  await store.sync();
  story.length = 0;
  for (let offset = 0; offset < 10_000; offset += 500) await store.read(ANA, { offset, bytesMax: 500, length: 10_000 });
  expect(story.filter((call) => call.includes(".index")).length).toBeLessThan(40);
});

test.each(["data", "index"])(
  "a changed byte in the %s file is told with file, record and offset",
  async (extension) => {
    const files = new SimulatedFiles(() => 0.9);
    const store = await openSimulated(files);
    appendTexts(store, ANA, ["one", "two", "three"]);
    await store.sync();
    const length = files.contents(`/bulk/3/1.${extension}`)?.length ?? 0;
    for (let at = 0; at < length; at += 1) {
      const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, place) => (place === at ? byte ^ 1 : byte));
      files.damage(`/bulk/3/1.${extension}`, flip);
      for (const read of [() => textOf(store, ANA, 11), () => recordsOf(store, ANA, 3)]) {
        const details = { file: "/bulk/3/1.data", record: expect.any(Number), offset: expect.any(Number) };
        await expect(read()).rejects.toMatchObject({ code: "bulk_damaged", details });
      }
      files.damage(`/bulk/3/1.${extension}`, flip);
    }
    expect(await textOf(store, ANA, 11)).toBe("onetwothree");
  },
);

test("a closed store refuses", async () => {
  const store = await openSimulated(new SimulatedFiles(() => 0.9));
  await store.close();
  await store.close();
  expect(await codeOf(store.sync())).toBe("bulk_stopped");
});

test("a store that forgets a partition sees what another has written to it meanwhile", async () => {
  const files = new SimulatedFiles(() => 0.9);
  const [first, second] = [await openSimulated(files), await openSimulated(files)];
  const one = { index: 0, offset: 0, bytes: Buffer.from("one"), checksum: crc32("one") };
  const two = { index: 1, offset: 3, bytes: Buffer.from("two"), checksum: crc32("two") };
  first.append(ANA, one);
  await first.sync();
  second.append(ANA, two);
  await second.sync();
  await first.forget(ANA.partition);
  expect(Buffer.from(await first.read(ANA, { offset: 0, bytesMax: 10, length: 6 })).toString()).toBe("onetwo");
  await Promise.all([first.close(), second.close()]);
});
