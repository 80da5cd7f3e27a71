import { describe, expect, test } from "vitest";
import { Scene } from "../testing/scene.ts";

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("a file", () => {
  test("takes appends under its lock, by lock or by token", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("log");
    expect(await client.file("log").append("one\n", { lock })).toEqual({ length: 4, version: 1, index: 0, offset: 0 });
    expect(await client.file("log").append(Buffer.from("two\n"), { token: lock.token })).toMatchObject({ index: 1 });
  });

  test("refuses an old token, and a lock known to be lost without asking", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("log");
    await client.forceRelease("log", { reason: "test" });
    await expect(client.file("log").append("x", { token: lock.token })).rejects.toMatchObject({ code: "stale_token" });
    const asked = scene.server.sessions.executed.length;
    await expect(client.file("log").append("x", { lock })).rejects.toMatchObject({ code: "lock_lost" });
    expect(scene.server.sessions.executed).toHaveLength(asked);
  });

  test("is read in parts, as a whole, and record by record", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const file = client.file("log");
    await client.withLock("log", async (lock) => {
      for (const text of ["one", "two", "three"]) await file.append(text, { lock });
    });
    expect((await file.read({ offset: 3, bytesMax: 3 })).bytes.toString()).toBe("two");
    expect(Buffer.concat(await collect(file.readAll({ offset: 1 }))).toString()).toBe("netwothree");
    expect((await collect(file.records({ index: 1 }))).map(String)).toEqual(["two", "three"]);
  });

  test("above the size of a record is refused, or split when asked", async () => {
    await using scene = await Scene.open();
    scene.server.sessions.limits = { ...scene.server.sessions.limits, appendBytes: 4 };
    const client = await scene.client();
    const lock = await client.lock("log");
    const file = client.file("log");
    await expect(file.append("123456789", { lock })).rejects.toMatchObject({ code: "frame_too_large" });
    expect(await file.append("123456789", { lock, split: true })).toMatchObject({ index: 2, length: 9, offset: 0 });
    expect((await collect(file.records())).map(String)).toEqual(["1234", "5678", "9"]);
  });

  test("is listed, page by page, and described", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    for (const name of ["a/1", "a/2", "b"]) {
      await client.withLock(name, (lock) => client.file(name).append("x", { lock }));
    }
    expect((await collect(client.files({ prefix: "a/" }))).map(({ name }) => name)).toEqual(["a/1", "a/2"]);
    expect(await client.file("b").stat()).toEqual({ name: "b", length: 1, version: 1, records: 1 });
    expect(await client.file("a").stat()).toBeUndefined();
  });
});
