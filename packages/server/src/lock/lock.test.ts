import { expect, test } from "vitest";
import { granted, refusedWith, Scene } from "../partition/testing/scene.ts";
import { PERMIT, SHARED } from "./mode.ts";

test("a free element is granted at once, with a token that rises with every grant", () => {
  const scene = new Scene();
  const first = granted(scene.acquire("ana", "a"));
  scene.release("ana", "a");
  const second = granted(scene.acquire("bo", "a"));
  expect(second).toBeGreaterThan(first);
  expect(first).toBe((1n << 40n) + 1n);
});

test("exclusive waiters are granted in order of arrival", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  for (const name of ["bo", "cy", "di"]) expect(scene.acquire(name, "a")).toBe("queued");
  scene.story();
  scene.release("ana", "a");
  scene.release("bo", "a");
  expect(scene.story()).toEqual(["released a", "granted bo a", "released a", "granted cy a"]);
});

test("a session that asks twice waits for itself: nothing is entered by accident", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  expect(scene.acquire("ana", "a")).toBe("queued");
  expect(refusedWith(scene.acquire("ana", "a", { waitMs: 0 }))).toBe("busy");
});

test("a try does not overtake those who wait", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a");
  expect(refusedWith(scene.acquire("cy", "a", { mode: SHARED, waitMs: 0 }))).toBe("busy");
});

test("readers share; a writer waits for all of them", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a", { mode: SHARED });
  expect(scene.acquire("cy", "a")).toBe("queued");
  scene.release("ana", "a");
  expect(scene.holders("a")).toEqual(["bo"]);
  scene.release("bo", "a");
  expect(scene.holders("a")).toEqual(["cy"]);
});

test("phases are fair: when a writer ends, all readers of that moment go before the next writer, later ones after it", () => {
  const scene = new Scene();
  scene.acquire("w1", "a");
  scene.acquire("w2", "a");
  scene.acquire("r1", "a", { mode: SHARED });
  scene.acquire("w3", "a");
  scene.acquire("r2", "a", { mode: SHARED });
  scene.release("w1", "a");
  expect(scene.holders("a")).toEqual(["r1", "r2"]);
  expect(scene.acquire("r3", "a", { mode: SHARED })).toBe("queued");
  scene.release("r1", "a");
  scene.release("r2", "a");
  expect(scene.holders("a")).toEqual(["w2"]);
  scene.release("w2", "a");
  expect(scene.holders("a")).toEqual(["r3"]);
  scene.release("r3", "a");
  expect(scene.holders("a")).toEqual(["w3"]);
});

test("permits are granted within the limit, first come first served", () => {
  const scene = new Scene();
  const pool = { mode: PERMIT, limit: 3 } as const;
  scene.acquire("ana", "pool", { ...pool, take: 2 });
  expect(scene.acquire("bo", "pool", { ...pool, take: 2 })).toBe("queued");
  expect(scene.acquire("cy", "pool", { ...pool, take: 1 })).toBe("queued");
  scene.release("ana", "pool");
  expect(scene.holders("pool")).toEqual(["bo", "cy"]);
});

test("another limit is refused while the semaphore is in use, and fixes it anew when it is idle", () => {
  const scene = new Scene();
  scene.acquire("ana", "pool", { mode: PERMIT, limit: 3 });
  expect(refusedWith(scene.acquire("bo", "pool", { mode: PERMIT, limit: 4 }))).toBe("limit_mismatch");
  scene.release("ana", "pool");
  granted(scene.acquire("bo", "pool", { mode: PERMIT, limit: 4 }));
});

test("within a tag, an element conflicts with those above and below it", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a/b");
  expect(refusedWith(scene.acquire("bo", "{t}/a", { waitMs: 0 }))).toBe("busy");
  expect(refusedWith(scene.acquire("bo", "{t}", { mode: SHARED, waitMs: 0 }))).toBe("busy");
  granted(scene.acquire("bo", "{t}/a/c"));
  granted(scene.acquire("cy", "{t}/d", { mode: SHARED }));
});

test("whoever holds an element within a tag keeps everybody out of what is below it", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a");
  expect(refusedWith(scene.acquire("bo", "{t}/a/b", { waitMs: 0 }))).toBe("busy");
  expect(refusedWith(scene.acquire("bo", "{t}/a/b/c", { mode: SHARED, waitMs: 0 }))).toBe("busy");
  expect(scene.acquire("bo", "{t}/a/b")).toBe("queued");
  scene.release("ana", "{t}/a");
  expect(scene.holders("{t}/a/b")).toEqual(["bo"]);
});

test("shared holders above let readers in below, and no writers", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a", { mode: SHARED });
  granted(scene.acquire("bo", "{t}/a/b", { mode: SHARED }));
  expect(refusedWith(scene.acquire("cy", "{t}/a/c", { waitMs: 0 }))).toBe("busy");
});

test("a waiter above blocks later requests below it, so that it is not starved", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a");
  expect(scene.acquire("bo", "{t}")).toBe("queued");
  expect(scene.acquire("cy", "{t}/b")).toBe("queued");
  scene.release("ana", "{t}/a");
  expect(scene.holders("{t}")).toEqual(["bo"]);
  scene.release("bo", "{t}");
  expect(scene.holders("{t}/b")).toEqual(["cy"]);
});

test("without a tag, `/` has no such meaning", () => {
  const scene = new Scene();
  scene.acquire("ana", "t/a/b");
  granted(scene.acquire("bo", "t/a"));
});

test("several elements are granted together or not at all, and nothing is held while waiting", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/b");
  expect(scene.acquire("bo", "{t}/a", { also: ["{t}/b"] })).toBe("queued");
  expect(scene.holders("{t}/a")).toEqual([]);
  expect(scene.acquire("cy", "{t}/a")).toBe("queued");
  scene.release("ana", "{t}/b");
  expect(scene.holders("{t}/a")).toEqual(["bo"]);
  expect(scene.holders("{t}/b")).toEqual(["bo"]);
});

test("a request that would wait for itself is refused", () => {
  const scene = new Scene();
  expect(refusedWith(scene.acquire("ana", "{t}/a", { also: ["{t}/a/b"] }))).toBe("bad_argument");
  expect(refusedWith(scene.acquire("ana", "{t}/a", { also: ["{t}/a"] }))).toBe("bad_argument");
});

test("priority counts as an earlier arrival, and no more than that", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("low", "a");
  scene.after(500);
  scene.acquire("high", "a", { priority: 1 });
  scene.release("ana", "a");
  expect(scene.holders("a")).toEqual(["high"]);
  scene.after(600);
  scene.acquire("later", "a", { priority: 1 });
  scene.release("high", "a");
  expect(scene.holders("a")).toEqual(["low"]);
});

test("a wait ends when its time is over, and those behind it move up", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a", { waitMs: 100 });
  scene.acquire("cy", "a", { mode: SHARED });
  scene.story();
  scene.after(99);
  expect(scene.story()).toEqual([]);
  scene.after(1);
  expect(scene.story()).toEqual(["ended bo timeout", "granted cy a"]);
});

test("re-entry shares the token, and only the last release lets go", () => {
  const scene = new Scene();
  const token = granted(scene.acquire("ana", "a"));
  expect(granted(scene.acquire("ana", "a", { reenter: token }))).toBe(token);
  expect(refusedWith(scene.acquire("bo", "a", { reenter: token }))).toBe("stale_token");
  scene.acquire("bo", "a");
  expect(scene.release("ana", "a")).toMatchObject({ stillHeld: true });
  expect(scene.holders("a")).toEqual(["ana"]);
  expect(scene.release("ana", "a")).toMatchObject({ stillHeld: false });
  expect(scene.holders("a")).toEqual(["bo"]);
});

test("a grant that waits to be upgraded is not entered again: its token is about to change", () => {
  const scene = new Scene();
  const token = granted(scene.acquire("ana", "a", { mode: SHARED }));
  scene.acquire("bo", "a", { mode: SHARED });
  expect(upgrade(scene, "ana")).toBe("queued");
  expect(refusedWith(scene.acquire("ana", "a", { mode: SHARED, reenter: token }))).toBe("bad_argument");
});

const upgrade = (scene: Scene, name: string, waitMs = -1) =>
  scene.operate({
    kind: "upgrade",
    session: scene.session(name),
    request: scene.request(name),
    name: "a",
    token: scene.token("a", name),
    waitMs,
  });

test("an upgrade waits for the other readers, goes before everyone, and gets a new token", () => {
  const scene = new Scene();
  const shared = granted(scene.acquire("ana", "a", { mode: SHARED }));
  scene.acquire("bo", "a", { mode: SHARED });
  scene.acquire("cy", "a");
  expect(upgrade(scene, "ana")).toBe("queued");
  scene.release("bo", "a");
  expect(scene.holders("a")).toEqual(["ana"]);
  expect(scene.token("a", "ana")).toBeGreaterThan(shared);
  expect(refusedWith(scene.release("ana", "a", shared))).toBe("stale_token");
});

test("of two who upgrade the second is refused, for each would wait for the other", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a", { mode: SHARED });
  expect(upgrade(scene, "ana")).toBe("queued");
  expect(refusedWith(upgrade(scene, "bo"))).toBe("deadlock");
});

test("an upgrade ends with the shared grant that it stands on", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a", { mode: SHARED });
  upgrade(scene, "ana");
  scene.do({ kind: "force_release", name: "a", token: scene.token("a", "ana"), by: "op", reason: "test" });
  expect(scene.holders("a")).toEqual(["bo"]);
  expect(scene.state.waits.size).toBe(0);
});

test("a downgrade keeps the token and lets the readers in", () => {
  const scene = new Scene();
  const token = granted(scene.acquire("ana", "a"));
  scene.acquire("bo", "a", { mode: SHARED });
  const outcome = scene.operate({
    kind: "downgrade",
    session: scene.session("ana"),
    request: scene.request("ana"),
    name: "a",
    token,
  });
  expect(outcome).toEqual({ kind: "downgraded", token });
  expect(scene.holders("a")).toEqual(["ana", "bo"]);
});

test("a stale token releases nothing", () => {
  const scene = new Scene();
  const old = granted(scene.acquire("ana", "a"));
  scene.release("ana", "a");
  scene.acquire("bo", "a");
  expect(refusedWith(scene.release("ana", "a", old))).toBe("stale_token");
  expect(scene.holders("a")).toEqual(["bo"]);
});

test("another session of the same principal may release, another principal may not", () => {
  const scene = new Scene();
  const token = granted(scene.acquire("ana", "a"));
  const releaseAs = (name: string, principal: string) =>
    scene.operate({
      kind: "release",
      session: scene.session(name, principal),
      request: scene.request(name),
      name: "a",
      token,
      undo: false,
    });
  expect(refusedWith(releaseAs("mallory", "other"))).toBe("stale_token");
  expect(releaseAs("child", "local")).toMatchObject({ kind: "released" });
});

test("force releases whoever holds, or only the token it names", () => {
  const scene = new Scene();
  expect(scene.do({ kind: "force_release", name: "a", token: 0n, by: "op", reason: "r" }).refusal?.code).toBe(
    "not_held",
  );
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a", { mode: SHARED });
  scene.acquire("cy", "a");
  scene.story();
  scene.do({ kind: "force_release", name: "a", token: 0n, by: "op", reason: "r" });
  expect(scene.story()).toEqual(["lost ana a forced", "lost bo a forced", "granted cy a"]);
  const stale = scene.do({ kind: "force_release", name: "a", token: 1n, by: "op", reason: "r" });
  expect(stale.refusal?.code).toBe("stale_token");
});

test("the queue and the session's locks have limits, and nothing is dropped at them", () => {
  const scene = new Scene({ waitersMax: 2, locksMax: 3 });
  scene.acquire("ana", "a");
  scene.acquire("bo", "a");
  scene.acquire("cy", "a");
  expect(refusedWith(scene.acquire("di", "a"))).toBe("queue_full");
  scene.acquire("ana", "b");
  scene.acquire("ana", "c");
  expect(refusedWith(scene.acquire("ana", "d"))).toBe("locks_full");
  scene.release("ana", "a");
  expect(scene.holders("a")).toEqual(["bo"]);
});

test("an element that nobody needs costs nothing", () => {
  const scene = new Scene();
  for (const name of ["a", "{t}/a/b/c", "{t}"]) {
    scene.acquire("ana", name);
    scene.release("ana", name);
  }
  expect(scene.state.elements.size).toBe(0);
});

test("a cancelled wait leaves its place, and cancelling again says what the first one said", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a");
  const cancel = {
    kind: "cancel",
    session: scene.session("bo"),
    request: scene.request("bo"),
    target: { kind: "session", principal: "local", sessionId: "bo", sequence: 1 },
  } as const;
  expect(scene.operate(cancel)).toEqual({ kind: "cancelled", cancelled: true });
  expect(scene.operate(cancel)).toEqual({ kind: "cancelled", cancelled: true });
  scene.release("ana", "a");
  expect(scene.holders("a")).toEqual([]);
  const unknown = { ...cancel, request: scene.request("bo"), target: { ...cancel.target, sequence: 99 } };
  expect(refusedWith(scene.operate(unknown))).toBe("operation_unknown");
});
