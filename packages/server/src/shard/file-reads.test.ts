import { expect, test } from "vitest";
import { type Client, describe, World } from "./testing/world.ts";

const append = async (client: Client, token: bigint, text: string): Promise<void> => {
  await client.submit({ $case: "append", value: { file: "f", element: "", token, bytes: Buffer.from(text) } });
};

const read = (client: Client, more: { offset: number; version: number }) =>
  client.submit({ $case: "readFile", value: { file: "f", bytesMax: 0, ...more } });

test("a read that continues where an undo has cut is told so, with the new length; a first one asked for too much", async () => {
  const world = await World.open();
  const ana = world.client();
  const first = await ana.token(ana.acquire("f"));
  await append(ana, first, "kept");
  await ana.release("f", first);
  const second = await ana.token(ana.acquire("f", { onLoss: 1 }));
  await append(ana, second, "gone");
  const all = await read(ana, { offset: 0, version: 0 });
  expect(all.body).toMatchObject({
    value: { bytes: Buffer.from("keptgone"), length: 8, version: 2, provisionalFrom: 4 },
  });
  await ana.submit({ $case: "release", value: { name: "f", token: second, undo: true } });
  const continued = await read(ana, { offset: 8, version: 2 });
  expect(describe(continued)).toBe("error rolled_back");
  expect(continued.body).toMatchObject({ value: { detailsJson: JSON.stringify({ length: 4, version: 3 }) } });
  expect(describe(await read(ana, { offset: 8, version: 0 }))).toBe("error bad_argument");
  const records = { file: "f", index: 2, version: 2, recordsMax: 0 };
  expect(describe(await ana.submit({ $case: "readRecords", value: records }))).toBe("error rolled_back");
  expect((await read(ana, { offset: 4, version: 3 })).body).toMatchObject({
    value: { bytes: Buffer.alloc(0), length: 4 },
  });
});

test("a file that nobody appended to is not there", async () => {
  const world = await World.open();
  expect(describe(await read(world.client(), { offset: 0, version: 0 }))).toBe("error no_such_file");
});
