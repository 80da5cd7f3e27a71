import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

describe("locks.request", () => {
  test("holds the lock while the callback runs, and resolves with what it gives", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    const given = await locks.request("a", async (lock) => {
      expect(lock).toEqual({ name: "a", mode: "exclusive" });
      expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toHaveLength(1);
      return 42;
    });
    expect(given).toBe(42);
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("rejects with what the callback throws, and releases", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    const failing = locks.request("a", () => {
      throw new RangeError("no");
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("two requests of one client exclude each other; shared ones do not", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    const story: string[] = [];
    const enter = (who: string, mode: "exclusive" | "shared") =>
      locks.request("a", { mode }, async () => {
        story.push(`${who} in`);
        await new Promise((resolve) => setTimeout(resolve, 10));
        story.push(`${who} out`);
      });
    await Promise.all([enter("x", "exclusive"), enter("y", "exclusive")]);
    await Promise.all([enter("s", "shared"), enter("t", "shared")]);
    expect(story).toEqual(["x in", "x out", "y in", "y out", "s in", "t in", "s out", "t out"]);
  });

  test("ifAvailable calls back with null instead of waiting", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    await locks.request("a", async () => {
      expect(await locks.request("a", { ifAvailable: true }, (lock) => lock)).toBeNull();
    });
    expect(await locks.request("a", { ifAvailable: true }, (lock) => lock?.name)).toBe("a");
  });

  test("steal takes it from its holder, whose request rejects with AbortError", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const robbed = ana.locks.request("a", () => new Promise((resolve) => setTimeout(resolve, 5_000).unref()));
    robbed.catch(() => {});
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.holders.length === 1);
    expect(await bo.locks.request("a", { steal: true }, (lock) => lock.name)).toBe("a");
    await expect(robbed).rejects.toMatchObject({ name: "AbortError" });
    await expect(robbed).rejects.toBeInstanceOf(DOMException);
  });

  test("a signal ends the waiting, and does nothing to a lock that is held", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    const controller = new AbortController();
    await locks.request("a", async () => {
      const waiting = locks.request("a", { signal: controller.signal }, () => "never");
      await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
      controller.abort();
      await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    });
    const other = new AbortController();
    const held = locks.request("a", { signal: other.signal }, () => {
      other.abort();
      return "kept";
    });
    expect(await held).toBe("kept");
  });

  test("options that exclude each other are NotSupportedError", async () => {
    await using scene = await Scene.open();
    const { locks } = await scene.client();
    const notSupported = { name: "NotSupportedError" };
    const { signal } = new AbortController();
    await expect(locks.request("a", { steal: true, ifAvailable: true }, () => 1)).rejects.toMatchObject(notSupported);
    await expect(locks.request("a", { steal: true, mode: "shared" }, () => 1)).rejects.toMatchObject(notSupported);
    await expect(locks.request("a", { steal: true, signal }, () => 1)).rejects.toMatchObject(notSupported);
    await expect(locks.request("-a", () => 1)).rejects.toMatchObject(notSupported);
  });
});

test("locks.query tells who holds and who waits", async () => {
  await using scene = await Scene.open();
  const client = await scene.client();
  const clientId = scene.server.only.id;
  await client.locks.request("a", { mode: "shared" }, async () => {
    const waiting = client.locks.request("a", () => {});
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
    expect(await client.locks.query()).toEqual({
      held: [{ name: "a", mode: "shared", clientId }],
      pending: [{ name: "a", mode: "exclusive", clientId }],
    });
    waiting.catch(() => {});
  });
});
