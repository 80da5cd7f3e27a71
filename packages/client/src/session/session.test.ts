import { describe, expect, test } from "vitest";
import { partitionOf } from "../testing/fake-elements.ts";
import { eventually, Scene, testEnvironment } from "../testing/scene.ts";

/** A monotonic clock that can be pushed ahead; timers stay real. */
function aheadClock() {
  let aheadMs = 0;
  const { clock } = testEnvironment;
  return {
    advance: (ms: number) => {
      aheadMs += ms;
    },
    clock: { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs, wallMs: () => clock.wallMs() + aheadMs },
  };
}

describe("safe-until", () => {
  test("when heartbeats stop being answered, locks are lost before the server's ttl, and the next request opens a session", async () => {
    await using scene = await Scene.open();
    const ttlMs = 3_000;
    const client = await scene.client({ ttlMs });
    const lock = await client.lock("a");
    const first = client.session;
    scene.server.faults.ignoreHeartbeats = true;
    const since = performance.now();
    let lostAfterMs = Number.POSITIVE_INFINITY;
    lock.signal.addEventListener("abort", () => {
      lostAfterMs = performance.now() - since;
    });
    await eventually(() => lock.signal.aborted);
    expect(lostAfterMs).toBeLessThan(ttlMs);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost", cause: { code: "session_expired" } });
    scene.server.faults.ignoreHeartbeats = false;
    expect((await client.lock("b")).held).toBe(true);
    expect(client.session?.id).not.toBe(first?.id);
  });

  test("answered heartbeats keep a lock for longer than the ttl, and report how late the main loop was", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ ttlMs: 1_000 });
    const lock = await client.lock("a");
    const until = performance.now() + 1_200;
    await eventually(() => performance.now() > until);
    expect(lock.held).toBe(true);
    expect(scene.server.only.heartbeats).toBeGreaterThan(8);
  });

  test("code that runs after a long pause sees the loss at once, before any timer could run", async () => {
    await using scene = await Scene.open();
    const time = aheadClock();
    const client = await scene.client({ ttlMs: 30_000 }, { clock: time.clock });
    const lock = await client.lock("a");
    expect(lock.held).toBe(true);
    time.advance(29_000);
    expect(lock.held).toBe(false);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
  });

  test("a machine that slept counts the sleep, though its monotonic clock stood still", async () => {
    await using scene = await Scene.open();
    let sleptMs = 0;
    const clock = { ...testEnvironment.clock, wallMs: () => testEnvironment.clock.wallMs() + sleptMs };
    const client = await scene.client({ ttlMs: 30_000 }, { clock });
    const lock = await client.lock("a");
    sleptMs = 40_000;
    expect(lock.held).toBe(false);
  });

  test("a session that was given to connect is never replaced: its end is told", async () => {
    await using scene = await Scene.open();
    const saved = await (await scene.client({ ttlMs: 1_000 })).detach();
    const client = await scene.client({ session: saved! });
    const lock = await client.lock("a");
    scene.server.sessions.expire(scene.server.only);
    scene.server.cut();
    await eventually(() => lock.signal.aborted);
    await expect(client.lock("b")).rejects.toMatchObject({ code: "session_expired" });
  });
});

describe("partitions", () => {
  test("locks of an expired partition are lost, those of the others stay", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ ttlMs: 1_000 });
    const [gone, kept] = [await client.lock("a"), await client.lock("b")];
    scene.server.sessions.expirePartition(scene.server.only, partitionOf("a"));
    await eventually(() => gone.signal.aborted);
    expect(gone.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(kept.held).toBe(true);
  });

  test("new requests after that go to another session; the old one ends with its last lock", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ ttlMs: 1_000 });
    const kept = await client.lock("b");
    const old = scene.server.only;
    scene.server.sessions.expirePartition(old, partitionOf("a"));
    expect((await client.lock("a")).held).toBe(true);
    expect(kept.held).toBe(true);
    expect(scene.server.sessions.sessionById.size).toBe(2);
    await kept.release();
    await eventually(() => old.gone === "session_closed");
  });
});

describe("losses that the server tells", () => {
  test("a forced release aborts the signal with the operator's reason", async () => {
    await using scene = await Scene.open();
    const [ana, operator] = [await scene.client(), await scene.client()];
    const lock = await ana.lock("a");
    const { released } = await operator.forceRelease("a", { reason: "stuck since noon" });
    expect(released).toEqual([lock.token]);
    await eventually(() => lock.signal.aborted);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(lock.signal.reason.message).toContain("stuck since noon");
  });
});

describe("a saved session", () => {
  test("is resumed by another process, with its grants and its waits", async () => {
    await using scene = await Scene.open();
    const other = await scene.client();
    const before = await scene.client();
    const held = await before.lock("held");
    const blocker = await other.lock("awaited");
    const wait = before.lock("awaited");
    wait.catch(() => {});
    await eventually(() => scene.server.sessions.elements.elementByName.get("awaited")?.queue.length === 1);
    const saved = JSON.parse(JSON.stringify(await before.detach()));
    const after = await scene.client({ session: saved });
    const { locks, operations } = after.held();
    expect(locks.map(({ name, token, mode }) => ({ name, token, mode }))).toEqual([
      { name: "held", token: held.token, mode: "exclusive" },
    ]);
    expect(operations).toHaveLength(1);
    await blocker.release();
    expect((await operations[0]!.granted()).name).toBe("awaited");
    await locks[0]!.release();
    expect(scene.server.sessions.elements.elementByName.get("held")?.holders).toEqual([]);
  });

  test("with a wrong secret is refused `session_unknown`", async () => {
    await using scene = await Scene.open();
    const saved = (await (await scene.client()).detach())!;
    const wrong = { ...saved, secret: Buffer.alloc(32).toString("base64url") };
    await expect(scene.client({ session: wrong })).rejects.toMatchObject({ code: "session_unknown" });
  });
});

describe("the end", () => {
  test("close ends the session at the server, and aborts what was held", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    await client.close();
    expect(scene.server.only.gone).toBe("session_closed");
    expect(lock.signal.aborted).toBe(true);
    await expect(client.lock("b")).rejects.toMatchObject({ code: "session_closed" });
  });

  test("detach leaves the session as it is", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await client.lock("a");
    const saved = await client.detach();
    expect(saved).toEqual(client.session);
    expect(scene.server.sessions.elements.holdersOf(scene.server.only.id)).toHaveLength(1);
  });
});

describe("what a program says of itself", () => {
  test("is its kind of work, told when the session opens", async () => {
    await using scene = await Scene.open();
    await scene.client({ application: "invoicing" });
    expect(scene.server.only.application).toBe("invoicing");
  });

  test("is its health, asked again for the heartbeats; a function that throws is failing", async () => {
    await using scene = await Scene.open();
    let health = () => "degraded" as "ok" | "degraded";
    await scene.client({ ttlMs: 1_000, health: () => health() });
    await eventually(() => scene.server.only.health === 1);
    health = () => "ok";
    await eventually(() => scene.server.only.health === 0);
    health = () => {
      throw new Error("no idea");
    };
    await eventually(() => scene.server.only.health === 2);
  });

  test("may be said once for all", async () => {
    await using scene = await Scene.open();
    await scene.client({ ttlMs: 1_000, health: "failing" });
    await eventually(() => scene.server.only.health === 2);
  });
});

test("a release that could not be sent before its session was over fails then, and opens no other session for it", async () => {
  await using scene = await Scene.open();
  const client = await scene.client({ ttlMs: 1_000 });
  const lock = await client.lock("a");
  await scene.server.stop();
  await eventually(() => lock.safeMs < 300);
  await expect(lock.release()).rejects.toMatchObject({ code: "lock_lost", cause: { code: "session_expired" } });
  await scene.server.start();
  expect((await client.lock("b")).held).toBe(true);
  expect(scene.server.sessions.sessionById.size).toBe(2); // That of the first lock, and that of the second.
  expect(scene.server.sessions.executed.filter((what) => what.startsWith("release"))).toEqual([]);
});
