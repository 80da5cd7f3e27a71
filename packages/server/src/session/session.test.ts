import { expect, test } from "vitest";
import { SHARED } from "../lock/mode.ts";
import { granted, refusedWith, Scene } from "../partition/testing/scene.ts";

test("a session that expires takes its grants and waits along, and the next waiter is granted in the same turn", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("ana", "b");
  scene.acquire("bo", "c");
  scene.acquire("ana", "c");
  scene.acquire("bo", "a");
  scene.story();
  scene.expire("ana");
  expect(scene.story()).toEqual(["session ana expired", "lost ana a expired", "lost ana b expired", "granted bo a"]);
  expect(scene.state.waits.size).toBe(0);
});

test("an expired session never comes back, however late its request; it is forgotten after ten times its ttl", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.expire("ana");
  expect(refusedWith(scene.acquire("ana", "a"))).toBe("session_expired");
  scene.after(299_999);
  expect(refusedWith(scene.acquire("ana", "a"))).toBe("session_expired");
  scene.after(1);
  granted(scene.acquire("ana", "a"));
});

test("a silent session keeps its place and is passed over until it is heard from", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a");
  scene.acquire("cy", "a");
  scene.do({ kind: "session_silent", sessionId: "bo", silentMs: 0 });
  scene.after(10_000);
  scene.release("ana", "a");
  expect(scene.holders("a")).toEqual(["cy"]);
  scene.release("cy", "a");
  expect(scene.holders("a")).toEqual([]);
  scene.do({ kind: "session_heard", sessionId: "bo" });
  expect(scene.holders("a")).toEqual(["bo"]);
});

test("a session that is passed over does not hold up readers behind it", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { mode: SHARED });
  scene.acquire("bo", "a");
  scene.do({ kind: "session_silent", sessionId: "bo", silentMs: 0 });
  scene.after(10_000);
  granted(scene.acquire("cy", "a", { mode: SHARED }));
});

test("after a start nobody is granted anything until he is heard from", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a");
  scene.do({ kind: "start", epoch: 2 });
  scene.expire("ana");
  expect(scene.holders("a")).toEqual([]);
  scene.do({ kind: "session_heard", sessionId: "bo" });
  expect(scene.holders("a")).toEqual(["bo"]);
  expect(scene.token("a")).toBeGreaterThan(2n << 40n);
});

test("who sends a command is alive", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.do({ kind: "start", epoch: 2 });
  granted(scene.acquire("ana", "b"));
  expect(scene.state.sessions.get("ana")?.unheard).toBe(false);
});

test("a silent session keeps at least a third of its ttl over a start, and no more than was left", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "b");
  scene.do({ kind: "session_silent", sessionId: "ana", silentMs: 0 });
  scene.after(25_000);
  scene.do({ kind: "start", epoch: 2 });
  const since = (name: string): number => scene.state.clockMs - (scene.state.sessions.get(name)?.silentSinceMs ?? 0);
  expect(since("ana")).toBe(20_000);
  expect(since("bo")).toBe(0);
});

test("closing commits, and leaves no trace", () => {
  const scene = new Scene();
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "kept");
  scene.do({ kind: "end_session", sessionId: "ana", why: "closed", reason: "" });
  expect(scene.state.files.get("f")?.length).toBe(4);
  expect(scene.state.sessions.size).toBe(0);
  granted(scene.acquire("ana", "a"));
});

test("the sessions of a partition have a limit", () => {
  const scene = new Scene({ sessionsMax: 2 });
  scene.acquire("ana", "a");
  scene.acquire("bo", "b");
  expect(refusedWith(scene.acquire("cy", "c"))).toBe("sessions_full");
});

test("the expired sessions that are remembered have a limit: new ones wait until the oldest is forgotten", () => {
  const scene = new Scene({ tombstonesMax: 1 });
  scene.acquire("ana", "a");
  scene.expire("ana");
  expect(refusedWith(scene.acquire("bo", "a"))).toBe("sessions_full");
  scene.after(300_000);
  granted(scene.acquire("bo", "a"));
});

test("a session id with another secret is nobody's", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  const session = { ...scene.session("ana"), secretHash: "guessed" };
  const outcome = scene.operate({
    kind: "release",
    session,
    request: scene.request("ana"),
    name: "a",
    token: scene.token("a"),
    undo: false,
  });
  expect(refusedWith(outcome)).toBe("session_unknown");
});
