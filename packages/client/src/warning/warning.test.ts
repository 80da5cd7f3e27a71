import { describe, expect, expectTypeOf, test } from "vitest";
import type { ForelockClient } from "../client.ts";
import { ForelockError } from "../errors.ts";
import type { Lock } from "../lock/lock.ts";
import type { FakeServer } from "../testing/fake-server.ts";
import { eventually, Scene, testEnvironment } from "../testing/scene.ts";
import type { Warning } from "./warning.ts";

/** A promise to be settled by the test. */
function deferred() {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const holders = (server: FakeServer, name: string) => server.sessions.elements.elementByName.get(name)?.holders ?? [];
const waiters = (server: FakeServer, name: string) => server.sessions.elements.elementByName.get(name)?.queue ?? [];

/** Everything that is on its way has arrived: the server answered a request that was sent after it. */
async function settled(client: ForelockClient): Promise<void> {
  await (await client.lock("nothing else")).release();
}

describe("a warning of a lock", () => {
  test("is acknowledged for the caller, and its lock released when the callback's work is done, not before", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const work = deferred();
    const heard: Warning[] = [];
    const lock = await client.lock("a", {
      onWarning: (warning) => {
        heard.push(warning);
        return work.promise;
      },
    });
    expect(lock.warning).toBeUndefined();
    scene.server.warn("a");
    await eventually(() => scene.server.sessions.acknowledged.length > 0);
    expect(scene.server.sessions.acknowledged).toEqual([
      { warning: "w1.1", name: "a", extensionMs: undefined, reason: "" },
    ]);
    const [warning] = heard;
    expect(warning).toMatchObject({ id: "w1.1", name: "a", token: lock.token, isPending: false, enforced: true });
    expect(warning).toMatchObject({ reason: "It hangs.", score: 0.9, reference: lock.reference });
    expect(warning?.parts).toEqual([{ name: "hold", value: 0.8, weight: 1 }]);
    expect(warning?.countdownMs).toBeGreaterThan(0);
    expect(warning?.countdownMs).toBeLessThanOrEqual(60_000);
    expect(warning?.releaseAt).toBeInstanceOf(Date);
    expect(lock.warning).toBe(warning);
    expect(lock.held).toBe(true);
    expect(holders(scene.server, "a")).toHaveLength(1);
    const { signal } = lock;
    work.resolve();
    await eventually(() => signal.aborted);
    expect(signal.reason).toMatchObject({ code: "preempted", details: { warning: "w1.1", score: 0.9 } });
    expect(signal.reason.message).toContain("It hangs.");
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(scene.server.sessions.released).toEqual([{ name: "a", token: lock.token, undo: false }]);
    expect(lock).toMatchObject({ held: false, safeMs: 0, warning: undefined });
    expect(await lock.release()).toEqual({ undone: 0 }); // Given back in time: nothing was lost.
    expect(scene.server.sessions.released).toHaveLength(1);
    expect(warning?.countdownMs).toBe(0);
  });

  test("is told once, however often it is repeated, also over a reconnect, after which it is acknowledged again", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    let told = 0;
    const lock = await client.lock("a", { onWarning: () => void told++ });
    const notice = scene.server.warn("a");
    scene.server.warn("a", { countdownMs: 50_000 });
    await settled(client);
    expect([told, scene.server.sessions.acknowledged.length]).toEqual([1, 1]);
    scene.server.cut();
    await eventually(() => scene.server.greeted === 2);
    await eventually(() => scene.server.sessions.acknowledged.length === 2);
    scene.server.warn("a", { countdownMs: notice.countdownMs - 20_000 });
    await settled(client);
    expect(told).toBe(1);
    expect(lock.warning?.countdownMs).toBeLessThan(40_001);
    expect(scene.server.sessions.acknowledged).toHaveLength(2);
    await lock.release();
  });

  test("is acknowledged anew with the next copy when the acknowledgement was refused", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await client.lock("a", { onWarning: () => {} });
    scene.server.sessions.refusals.push("bad_argument");
    scene.server.warn("a");
    await eventually(() => scene.server.sessions.refusals.length === 0);
    await settled(client);
    expect(scene.server.sessions.acknowledged).toHaveLength(0);
    scene.server.warn("a");
    await eventually(() => scene.server.sessions.acknowledged.length === 1);
  });

  test("waits for everything that was given to waitUntil", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const [one, two] = [deferred(), deferred()];
    await client.lock("a", {
      onWarning: (warning) => {
        warning.waitUntil(one.promise);
        warning.waitUntil(two.promise);
      },
    });
    scene.server.warn("a");
    one.resolve();
    await settled(client);
    expect(holders(scene.server, "a")).toHaveLength(1);
    two.resolve();
    await eventually(() => holders(scene.server, "a").length === 0);
  });

  test("with a callback that gives no work leaves the lock to its holder", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    let told = 0;
    const lock = await client.lock("a", { onWarning: () => void told++ });
    scene.server.warn("a");
    await eventually(() => told === 1);
    await settled(client);
    expect(lock.held).toBe(true);
    expect(scene.server.sessions.acknowledged).toHaveLength(1);
    await lock.release();
    expect(scene.server.sessions.released[1]).toMatchObject({ name: "a" });
  });

  test.each(["rollback", "keep"] as const)(
    "whose work fails, under %s, undoes accordingly, and says why",
    async (onLoss) => {
      await using scene = await Scene.open();
      const client = await scene.client();
      const lock = await client.lock("a", {
        onLoss,
        onWarning: (warning) => warning.waitUntil(Promise.reject(new Error("disk full"))),
      });
      scene.server.warn("a");
      await eventually(() => holders(scene.server, "a").length === 0);
      expect(scene.server.sessions.released).toMatchObject([{ undo: onLoss === "rollback" }]);
      expect(lock.signal.reason).toMatchObject({ code: "preempted", cause: { message: "disk full" } });
    },
  );

  test("can be answered with a release at once", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a", { onWarning: (warning) => void warning.release() });
    scene.server.warn("a");
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(lock.signal.reason).toMatchObject({ code: "preempted" });
    expect(await lock.release()).toEqual({ undone: 0 });
  });

  test("gives back every entry of a lock that was entered again", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const outer = await client.lock("a", { onWarning: async () => {} });
    const inner = await outer.reenter();
    scene.server.warn("a");
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(scene.server.sessions.released).toHaveLength(2);
    expect([await inner.release(), await outer.release()]).toEqual([{ undone: 0 }, { undone: 0 }]);
  });

  test("that comes before the answer with the grant is not lost", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const heard: Warning[] = [];
    scene.server.faults.delayMs = 30;
    const asked = client.lock("a", { onWarning: (warning) => void heard.push(warning) });
    await eventually(() => holders(scene.server, "a").length === 1);
    scene.server.warn("a");
    scene.server.warn("a");
    const lock = await asked;
    await eventually(() => heard.length > 0);
    expect(heard).toHaveLength(1);
    expect(heard[0]?.token).toBe(lock.token);
    expect(lock.warning).toBe(heard[0]);
  });

  test("that crosses the release of its lock means nothing", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    let told = 0;
    const lock = await client.lock("a", { onWarning: () => void told++ });
    const notice = scene.server.warn("a");
    await settled(client);
    await lock.release();
    scene.server.notify(scene.server.only, { $case: "warning", value: notice });
    await settled(client);
    expect([told, scene.server.sessions.acknowledged.length]).toEqual([1, 1]);
  });

  test("that follows another, which was ignored and not enforced, is told too", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const heard: string[] = [];
    const lock = await client.lock("a", { onWarning: ({ id }) => void heard.push(id) });
    scene.server.warn("a", { enforced: false });
    await eventually(() => heard.length === 1);
    scene.server.warn("a", { warning: "w1.2" });
    await eventually(() => heard.length === 2);
    expect(heard).toEqual(["w1.1", "w1.2"]);
    expect(lock.warning?.enforced).toBe(true);
  });
});

describe("the end of a countdown", () => {
  test("aborts the signal of a holder who does not listen, which is not acknowledged", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    scene.server.warn("a", { countdownMs: 120 });
    await eventually(() => lock.warning !== undefined);
    expect(lock.safeMs).toBeLessThanOrEqual(70);
    await eventually(() => lock.signal.aborted);
    expect(lock.signal.reason).toBeInstanceOf(ForelockError);
    expect(lock.signal.reason).toMatchObject({ code: "preempted" });
    expect(lock.held).toBe(false);
    expect(holders(scene.server, "a")).toHaveLength(1); // The server has not forced it yet.
    expect(scene.server.sessions.acknowledged).toEqual([]);
  });

  test("does not abort where the policy only warns", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    scene.server.warn("a", { countdownMs: 1, enforced: false });
    await eventually(() => lock.warning?.countdownMs === 0);
    await settled(client);
    expect(lock.held).toBe(true);
    expect(lock.safeMs).toBeGreaterThan(1_000);
  });

  test("is seen by whoever looks, before any timer could run", async () => {
    await using scene = await Scene.open();
    let aheadMs = 0;
    const { clock } = testEnvironment;
    const time = { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs, wallMs: () => clock.wallMs() + aheadMs };
    const client = await scene.client({ ttlMs: 60_000 }, { clock: time });
    const lock = await client.lock("a");
    scene.server.warn("a", { countdownMs: 10_000 });
    await settled(client);
    aheadMs = 9_000;
    expect(lock.held).toBe(true);
    aheadMs = 9_501; // A twentieth of it is the margin.
    expect(lock.held).toBe(false);
    expect(lock.signal.reason).toMatchObject({ code: "preempted" });
  });

  test("releases early when the holder is done, undoing under rollback, and counts as lost all the same", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a", { onLoss: "rollback" });
    const { signal } = lock;
    scene.server.warn("a", { countdownMs: 51 });
    await eventually(() => signal.aborted);
    await expect(lock.release()).rejects.toMatchObject({ code: "preempted" });
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(scene.server.sessions.released).toMatchObject([{ name: "a", undo: true }]);
    await lock[Symbol.asyncDispose](); // The signal has told.
  });

  test("is followed by a release when the server forces nothing: it may have withdrawn the warning in silence", async () => {
    await using scene = await Scene.open();
    const { clock } = testEnvironment;
    const hasty = { ...clock, after: (ms: number, fire: () => void) => clock.after(ms / 20, fire) };
    const client = await scene.client({}, { clock: hasty });
    await client.lock("a");
    scene.server.warn("a", { countdownMs: 51 });
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(scene.server.sessions.released).toMatchObject([{ name: "a", undo: false }]);
  });

  test("comes as late as the answer to the acknowledgement says, and not as early as a copy does", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.onAcknowledge = () => ({ state: "acknowledged", countdownMs: 90_000, reason: "" });
    const lock = await client.lock("a", { onWarning: () => {} });
    scene.server.warn("a");
    await eventually(() => (lock.warning?.countdownMs ?? 0) > 60_000);
    scene.server.warn("a", { countdownMs: 1_000 });
    await settled(client);
    expect(lock.warning?.countdownMs).toBeGreaterThan(60_000);
  });

  test("is called off when the server answers that the warning is over", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.onAcknowledge = () => ({ state: "over", countdownMs: -1, reason: "" });
    const lock = await client.lock("a", { onWarning: () => {} });
    scene.server.warn("a", { countdownMs: 60 });
    await eventually(() => scene.server.sessions.acknowledged.length > 0);
    await settled(client);
    expect(lock.warning).toBeUndefined();
    expect(lock.held).toBe(true);
  });

  test.each([
    ["failure", { fence: "12", undone: 2 }],
    ["lost", { undone: 2 }],
  ] as const)("told by the server (%s) aborts with what was undone", async (kind, details) => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a");
    const { token, name } = lock;
    const common = { name, token, undone: 2, reason: "It hangs." };
    const failure = { ...common, warning: "w1.1", reference: lock.reference, sequence: 1, fence: 12n };
    scene.server.notify(
      scene.server.only,
      kind === "failure"
        ? { $case: "failure", value: failure }
        : { $case: "lost", value: { ...common, why: "preempted" } },
    );
    await eventually(() => lock.signal.aborted);
    expect(lock.signal.reason).toMatchObject({ code: "preempted", details });
    await expect(lock.release()).rejects.toMatchObject({ code: "preempted" });
    expect(scene.server.sessions.released).toEqual([]); // There is nothing to release any more.
  });
});

describe("an extension", () => {
  test("that is granted leaves the release to the holder", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.onAcknowledge = ({ extensionMs = 0 }) => ({
      state: extensionMs > 0 ? "extended" : "acknowledged",
      countdownMs: 60_000 + extensionMs,
      reason: "",
    });
    const answers: unknown[] = [];
    const lock = await client.lock("a", {
      onWarning: async (warning) => void answers.push(await warning.extend(30_000, "two rows left")),
    });
    scene.server.warn("a");
    await eventually(() => answers.length > 0);
    expect(answers).toEqual([{ granted: true, countdownMs: expect.any(Number), reason: "" }]);
    expect(lock.warning?.countdownMs).toBeGreaterThan(60_000);
    expect(scene.server.sessions.acknowledged[1]).toMatchObject({ extensionMs: 30_000, reason: "two rows left" });
    await settled(client);
    expect(lock.held).toBe(true);
  });

  test("that is refused changes nothing: the lock is released when the work is done", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.onAcknowledge = ({ extensionMs }) => ({
      state: extensionMs === undefined ? "acknowledged" : "refused",
      countdownMs: 60_000,
      reason: extensionMs === undefined ? "" : "Probably stuck.",
    });
    const answers: unknown[] = [];
    await client.lock("a", {
      onWarning: async (warning) => void answers.push(await warning.extend(30_000, "two rows left")),
    });
    scene.server.warn("a");
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(answers).toMatchObject([{ granted: false, reason: "Probably stuck." }]);
  });

  test.each([
    [0, "x", "ms: 0"],
    [86_400_001, "x", "ms: 86400001"],
    [1, "", "reason: has 0 bytes"],
    [1, "é".repeat(129), "reason: has 258 bytes"],
  ])("of %d ms for '%s' is refused here: %s", async (ms, reason, message) => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a", { onWarning: () => {} });
    scene.server.warn("a");
    await eventually(() => lock.warning !== undefined);
    await expect(lock.warning?.extend(ms, reason)).rejects.toMatchObject({
      code: "bad_argument",
      plainMessage: expect.stringContaining(message),
    });
    await lock.release();
  });
});

describe("a warning of a request that waits", () => {
  async function pending(onWarning?: (warning: Warning) => unknown) {
    const scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const blocker = await ana.lock("a");
    const heard: Warning[] = [];
    const asked = bo.lock("a", {
      onWarning: (warning) => {
        heard.push(warning);
        return onWarning?.(warning);
      },
    });
    asked.catch(() => {});
    await eventually(() => waiters(scene.server, "a").length === 1);
    scene.server.warn("a", { token: 0n });
    await eventually(() => heard.length === 1);
    return { scene, bo, blocker, asked, heard, warning: heard[0]! };
  }

  test("is told and acknowledged; its countdown begins with the grant", async () => {
    const { scene, bo, blocker, asked, heard, warning } = await pending(async () => {});
    await using _scene = scene;
    expect(warning).toMatchObject({ token: 0n, isPending: true, countdownMs: 60_000 });
    await eventually(() => scene.server.sessions.acknowledged.length === 1);
    scene.server.warn("a", { token: 0n, countdownMs: 10_000 });
    await settled(bo);
    expect([heard.length, warning.countdownMs]).toEqual([1, 60_000]);
    await blocker.release();
    const lock = await asked;
    expect(lock.warning).toBe(warning);
    expect(warning).toMatchObject({ token: lock.token, isPending: false });
    expect(warning.countdownMs).toBeLessThanOrEqual(60_000);
    await eventually(() => scene.server.sessions.acknowledged.length === 2); // To learn what is left.
    expect([lock.held, heard.length]).toEqual([true, 1]); // The work that was done while it waited releases nothing.
  });

  test("releases the lock when work that was still going on at the grant is done", async () => {
    const work = deferred();
    const { scene, blocker, asked } = await pending(() => work.promise);
    await using _scene = scene;
    await blocker.release();
    const lock = await asked;
    expect(lock.held).toBe(true);
    work.resolve();
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(lock.signal.reason).toMatchObject({ code: "preempted" });
  });

  test("counts down nothing when it was passed over before it was acknowledged", async () => {
    const { scene, bo, blocker, asked } = await pending();
    await using _scene = scene;
    scene.server.sessions.onAcknowledge = () => ({ state: "over", countdownMs: -1, reason: "" });
    await blocker.release();
    const lock = await asked;
    await settled(bo);
    expect(lock.warning).toBeUndefined();
  });

  test("can be answered by leaving the queue", async () => {
    const { scene, asked, warning } = await pending((given) => void given.release());
    await using _scene = scene;
    await expect(asked).rejects.toMatchObject({ code: "preempted" });
    await eventually(() => waiters(scene.server, "a").length === 0);
    expect(warning.countdownMs).toBe(0);
  });

  test("to which nobody listens is not acknowledged", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const blocker = await ana.lock("a");
    const asked = bo.lock("a");
    await eventually(() => waiters(scene.server, "a").length === 1);
    scene.server.warn("a", { token: 0n });
    await settled(bo);
    expect(scene.server.sessions.acknowledged).toEqual([]);
    await blocker.release();
    expect((await asked).warning).toBeUndefined();
  });
});

describe("others who hold", () => {
  test("withLock: the signal ends the work after the callback, and the lock is released when the work has ended", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const story: string[] = [];
    const result = client.withLock("a", { onWarning: async () => void story.push("saved") }, async ({ signal }) => {
      scene.server.warn("a");
      await eventually(() => signal.aborted);
      story.push(signal.reason.code, `${holders(scene.server, "a").length} holder`);
      await settled(client);
      story.push(`${holders(scene.server, "a").length} holder`);
      return 42;
    });
    expect(await result).toBe(42);
    expect(story).toEqual(["saved", "preempted", "1 holder", "1 holder"]);
    expect(holders(scene.server, "a")).toEqual([]);
  });

  test("withLock: work that goes on past the countdown has lost its lock", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const result = client.withLock("a", { onWarning: async () => {}, onLoss: "rollback" }, async ({ signal }) => {
      scene.server.warn("a", { countdownMs: 80 });
      await eventually(() => signal.aborted);
      const until = performance.now() + 100;
      await eventually(() => performance.now() > until);
    });
    await expect(result).rejects.toMatchObject({ code: "preempted" });
    await eventually(() => holders(scene.server, "a").length === 0);
    expect(scene.server.sessions.released).toMatchObject([{ undo: true }]);
  });

  test("lockAll: the one that is warned is given back, and the set's signal tells", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const set = await client.lockAll(["a", "b"], { onWarning: async () => {} });
    scene.server.warn("b");
    await eventually(() => set.signal.aborted);
    await eventually(() => holders(scene.server, "b").length === 0);
    expect(set.locks.map((lock: Lock) => lock.held)).toEqual([true, false]);
    await set.release();
  });

  test("a leader steps down when its work has ended, and stands again", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const story: string[] = [];
    const election = ana.elect("leader", {
      onElected: async ({ signal }) => {
        if (story.push("ana leads") > 1) return;
        scene.server.warn("leader");
        await eventually(() => signal.aborted);
        story.push(`${signal.reason.code} with ${holders(scene.server, "leader").length} leader`);
        await settled(ana);
        story.push(`${holders(scene.server, "leader").length} leader`);
      },
    });
    await eventually(() => story.length === 1);
    const next = bo.lock("leader").then(async (lock) => {
      story.push("bo leads");
      await lock.release();
    });
    await Promise.all([election.done, next]);
    expect(story).toEqual(["ana leads", "preempted with 1 leader", "1 leader", "bo leads", "ana leads"]);
    expect(scene.server.sessions.acknowledged).toHaveLength(1);
  });

  test("a request of Web Locks rejects with AbortError, as for any other loss", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const request = client.locks.request("a", () => {
      scene.server.warn("a", { countdownMs: 51 });
      return new Promise(() => {});
    });
    await expect(request).rejects.toMatchObject({ name: "AbortError", cause: { code: "preempted" } });
    expect(scene.server.sessions.acknowledged).toEqual([]);
  });

  test("a session that is resumed hears of warnings through held()", async () => {
    await using scene = await Scene.open();
    const before = await scene.client();
    await before.lock("d"); // In partition 0, which is what the fake's references say of everything.
    const saved = await before.detach();
    const after = await scene.client({ session: saved! });
    let told = 0;
    const [lock] = after.held({ onWarning: () => void told++ }).locks;
    scene.server.warn("d");
    await eventually(() => told === 1);
    expect(lock?.warning).toBeDefined();
  });

  test("the end of the session ends its warnings", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("a", { onWarning: () => {} });
    scene.server.warn("a");
    await eventually(() => lock.warning !== undefined);
    const { warning } = lock;
    await client.close();
    expect(warning?.countdownMs).toBe(0);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(await warning?.extend(1, "x")).toMatchObject({ granted: false });
  });
});

test("the types say what a callback gets", () => {
  expectTypeOf<Warning["token"]>().toEqualTypeOf<bigint>();
  expectTypeOf<Warning["releaseAt"]>().toEqualTypeOf<Date>();
});
