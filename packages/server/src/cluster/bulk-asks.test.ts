import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { MemoryBulkStore } from "../bulk/memory.ts";
import { createState } from "../partition/state.ts";
import { BulkSource } from "./bulk-source.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";
import { acquire, ask, told } from "./testing/conversation.ts";

async function written(world: ClusterWorld): Promise<{ readonly partition: number; readonly file: string }> {
  const ana = await world.client("a");
  const file = world.nameAt("b");
  const token = await acquire(world, ana, file);
  for (const text of ["one", "two"])
    await ask(world, ana, { $case: "append", value: { file, bytes: Buffer.from(text), token, element: "" } });
  return { partition: world.partitionOf(file), file };
}

test("a node gets the records of a file from a peer, each with its checksum", async () => {
  await using world = await ClusterWorld.open();
  const wanted = { ...(await written(world)), number: 1, undos: 0, index: 0, end: 9 };
  const [peer] = world.table.ownersFor("a").peers();
  if (peer === undefined) throw new Error("there is no peer");
  const records = await world.until(world.member("a").router.fetchBulk(peer, wanted));
  expect(records?.map(({ bytes, checksum }) => [Buffer.from(bytes).toString(), checksum])).toEqual([
    ["one", crc32("one")],
    ["two", crc32("two")],
  ]);
});

test.each([{ number: 2 }, { undos: 1 }, { index: 2, end: 3 }])(
  "a peer whose state differs gives nothing: %j",
  async (other) => {
    await using world = await ClusterWorld.open();
    const wanted = { ...(await written(world)), number: 1, undos: 0, index: 0, end: 9, ...other };
    const [peer] = world.table.ownersFor("a").peers();
    if (peer === undefined) throw new Error("there is no peer");
    await expect(world.until(world.member("a").router.fetchBulk(peer, wanted))).rejects.toMatchObject({
      code: "unavailable",
    });
  },
);

test("a client is refused what only nodes ask of one another", async () => {
  await using world = await ClusterWorld.open();
  const wanted = { ...(await written(world)), number: 1, undos: 0, index: 0, end: 9 };
  const bo = await world.client("b");
  expect(told(await ask(world, bo, { $case: "readBulk", value: wanted }))).toContain("permission_denied");
});

test("a node serves two peers at once, and sends any of them no more than 256 KiB", async () => {
  const bulk = new MemoryBulkStore();
  const state = createState(0);
  const bytes = new Uint8Array(100_000);
  const row = { number: 1, name: "f", hash: 0, guard: "", length: 0, count: 9, version: 9, undos: 0 };
  state.files.set("f", { ...row, checksum: 0, provisionalFrom: -1 });
  for (let index = 0; index < 9; index += 1)
    bulk.append({ partition: 0, file: 1 }, { index, offset: index * bytes.length, bytes, checksum: crc32(bytes) });
  const source = new BulkSource({ bulk, stateOf: () => state });
  const request = { partition: 0, file: "f", number: 1, undos: 0, index: 0, end: 9 };
  const served = [source.read(request), source.read(request)];
  await expect(source.read(request)).rejects.toMatchObject({ code: "overloaded" });
  for (const records of await Promise.all(served)) expect(records).toHaveLength(2);
  expect(await source.read({ ...request, index: 8 })).toHaveLength(1);
});
