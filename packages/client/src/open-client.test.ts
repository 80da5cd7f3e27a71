import { describe, expect, test } from "vitest";
import { eventually, Scene } from "./testing/scene.ts";

describe("locking", () => {
  test("a free lock is granted with its token, and released", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("orders/42");
    expect(lock).toMatchObject({ name: "orders/42", mode: "exclusive", held: true, durable: true });
    expect(lock.token).toBeGreaterThan(0n);
    await lock.release();
    expect(lock.held).toBe(false);
    expect((await client.lock("orders/42")).token).toBeGreaterThan(lock.token);
  });

  test("a waiter gets the lock when its holder leaves, with a higher token", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const first = await ana.lock("a");
    const second = bo.lock("a");
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
    await first.release();
    expect((await second).token).toBeGreaterThan(first.token);
  });

  test("a try of a held lock is undefined, and a wait that ends is `timeout`", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    await using _lock = await ana.lock("a");
    expect(await bo.tryLock("a")).toBeUndefined();
    await expect(bo.lock("a", { waitMs: 0 })).rejects.toMatchObject({ code: "busy" });
    await expect(bo.lock("a", { waitMs: 5 })).rejects.toMatchObject({ code: "timeout" });
  });
});
