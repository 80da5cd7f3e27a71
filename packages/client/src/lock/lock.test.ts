import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

async function queued(scene: Scene, name: string, count = 1): Promise<void> {
  await eventually(() => scene.server.sessions.elements.elementByName.get(name)?.queue.length === count);
}

describe("a signal", () => {
  test("that aborts a wait ends it at the server, and rejects with its reason", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    await ana.lock("a");
    const controller = new AbortController();
    const wait = bo.lock("a", { signal: controller.signal });
    await queued(scene, "a");
    controller.abort(new Error("changed my mind"));
    await expect(wait).rejects.toThrow("changed my mind");
    await queued(scene, "a", 0);
  });

  test("that had aborted before asks for nothing", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await expect(client.lock("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(scene.server.sessions.executed).toEqual([]);
  });

  test("that aborts while the grant is on its way has the grant given back", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.faults.delayMs = 30;
    const controller = new AbortController();
    const wait = client.lock("a", { signal: controller.signal });
    await eventually(() => scene.server.sessions.executed.length === 1);
    controller.abort();
    await expect(wait).rejects.toMatchObject({ name: "AbortError" });
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.holders.length === 0);
  });

  test("that aborts before anything was sent leaves nothing behind", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const controller = new AbortController();
    const wait = client.lock("a", { signal: controller.signal });
    controller.abort();
    await expect(wait).rejects.toMatchObject({ name: "AbortError" });
    expect((await client.lock("b")).held).toBe(true);
    expect(scene.server.sessions.executed).toEqual(["acquire 1"]);
  });
});

describe("releasing", () => {
  test("twice releases once", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    await Promise.all([lock.release(), lock.release()]);
    expect(scene.server.sessions.executed).toEqual(["acquire 1", "release 2"]);
  });

  test("tells how many appends it undid", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const { elements } = scene.server.sessions;
    const release = elements.release.bind(elements);
    elements.release = (request) => ({ ...release(request), undone: request.undo ? 3 : 0 });
    const [kept, undone] = [await client.lock("a"), await client.lock("b")];
    expect(await kept.release()).toEqual({ undone: 0 });
    expect(await undone.release({ undo: true })).toEqual({ undone: 3 });
    const set = await client.lockAll(["{t}/a", "{t}/b"]);
    expect(await set.release({ undo: true })).toEqual({ undone: 6 });
  });

  test("leaves no time in which the lock is safe; before, it is the ttl less a margin", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ ttlMs: 20_000 });
    const [released, lost] = [await client.lock("a"), await client.lock("b")];
    for (const { safeMs } of [released, lost]) {
      expect(safeMs).toBeGreaterThan(10_000);
      expect(safeMs).toBeLessThanOrEqual(19_000);
    }
    await released.release();
    await client.forceRelease("b", { reason: "test" });
    await eventually(() => !lost.held);
    expect([released.safeMs, lost.safeMs]).toEqual([0, 0]);
  });

  test("`await using` releases at the end of the block", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    {
      await using lock = await client.lock("a");
      expect(lock.held).toBe(true);
    }
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("a loss that nobody was told of is told by the end of the block", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const unwatched = async () => {
      await using _lock = await client.lock("a");
      await client.forceRelease("a", { reason: "test" });
    };
    const watched = async () => {
      await using lock = await client.lock("a");
      expect(lock.signal.aborted).toBe(false);
      await client.forceRelease("a", { reason: "test" });
      await eventually(() => lock.signal.aborted);
    };
    await expect(unwatched()).rejects.toMatchObject({ code: "lock_lost" });
    await expect(watched()).resolves.toBeUndefined();
  });
});

describe("withLock", () => {
  test("gives what the work gives, and releases", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    expect(await client.withLock("a", (lock) => lock.token > 0n)).toBe(true);
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("passes on what the work throws, and releases with undo only under `rollback`", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const undos: boolean[] = [];
    const { elements } = scene.server.sessions;
    const release = elements.release.bind(elements);
    elements.release = (request) => {
      undos.push(request.undo);
      return release(request);
    };
    const fail = () => {
      throw new RangeError("out of paper");
    };
    await expect(client.withLock("a", { onLoss: "rollback" }, fail)).rejects.toThrow("out of paper");
    await expect(client.withLock("a", { onLoss: "keep" }, fail)).rejects.toThrow("out of paper");
    expect(undos).toEqual([true, false]);
  });

  test("rejects with `lock_lost` when the lock was lost while the work ran", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const work = client.withLock("a", () => client.forceRelease("a", { reason: "test" }));
    await expect(work).rejects.toMatchObject({ code: "lock_lost" });
  });
});

describe("modes", () => {
  test("shared holders share; an exclusive one waits for all of them", async () => {
    await using scene = await Scene.open();
    const [ana, bo, cy] = [await scene.client(), await scene.client(), await scene.client()];
    const shared = [await ana.lock("a", { mode: "shared" }), await bo.lock("a", { mode: "shared" })];
    const exclusive = cy.lock("a");
    await queued(scene, "a");
    for (const lock of shared) await lock.release();
    expect((await exclusive).mode).toBe("exclusive");
  });

  test("upgrade and downgrade change mode and token of the same lock", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a", { mode: "shared" });
    const tokens = [lock.token];
    await lock.upgrade();
    tokens.push(lock.token);
    expect(lock.mode).toBe("exclusive");
    await lock.downgrade();
    tokens.push(lock.token);
    expect(lock.mode).toBe("shared");
    expect(new Set(tokens).size).toBe(3);
    await lock.release();
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("a lock in the wrong mode is refused here", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    await expect(lock.upgrade()).rejects.toMatchObject({ code: "bad_argument" });
    await lock.release();
    await expect(lock.downgrade()).rejects.toMatchObject({ code: "not_held" });
  });

  test("a re-entered lock is held until every entry has released", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const outer = await client.lock("a");
    const inner = await outer.reenter();
    expect(inner.token).toBe(outer.token);
    await inner.release();
    expect(outer.held).toBe(true);
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toHaveLength(1);
    await outer.release();
    expect(scene.server.sessions.elements.elementByName.get("a")?.holders).toEqual([]);
  });

  test("a semaphore gives as many permits as it has", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const pool = client.semaphore("pool", { permits: 3 });
    const two = await pool.acquire({ take: 2 });
    const one = await pool.acquire();
    expect(await pool.tryAcquire()).toBeUndefined();
    await two.release();
    expect((await pool.acquire({ take: 2 })).mode).toBe("permit");
    expect(one.held).toBe(true);
  });

  test("several at once are one set", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const targets = ["{t}/a", { name: "{t}/b", mode: "shared" }, { name: "{t}/c", permits: 2 }] as const;
    const set = await client.lockAll(targets);
    expect(set.locks.map(({ name, mode }) => `${name} ${mode}`)).toEqual([
      "{t}/a exclusive",
      "{t}/b shared",
      "{t}/c permit",
    ]);
    await client.forceRelease("{t}/b", { reason: "test" });
    await eventually(() => set.signal.aborted);
    await expect(set.release()).rejects.toMatchObject({ code: "lock_lost" });
    expect(scene.server.sessions.elements.holdersOf(scene.server.only.id)).toEqual([]);
  });
});

describe("arguments", () => {
  test("are checked before anything is sent", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await expect(client.lock("a", { waitMs: -1 })).rejects.toMatchObject({ code: "bad_argument" });
    await expect(client.lock("a", { priority: 10 })).rejects.toMatchObject({ code: "bad_argument" });
    await expect(client.lockAll([])).rejects.toMatchObject({ code: "bad_argument" });
    await expect(client.semaphore("a", { permits: 0 }).acquire()).rejects.toMatchObject({ code: "bad_argument" });
    await expect(client.file("a").append("x", { token: -1n })).rejects.toMatchObject({ code: "bad_argument" });
    expect(scene.server.sessions.executed).toEqual([]);
  });
});
