import { expect, test } from "vitest";
import { granted, refusedWith, Scene } from "./testing/scene.ts";

const ID = "kept-request-0123456789ab";

test("the same sequence finds the same operation, and keeps its place", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  expect(scene.acquire("bo", "a", { sequence: 5 })).toBe("queued");
  scene.acquire("cy", "a");
  expect(scene.acquire("bo", "a", { sequence: 5 })).toBe("queued");
  expect(scene.state.waits.size).toBe(2);
  scene.release("ana", "a");
  expect(granted(scene.acquire("bo", "a", { sequence: 5 }))).toBe(scene.token("a", "bo"));
});

test("a request id with other arguments is refused", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { sequence: 5 });
  const outcome = scene.operate({
    kind: "release",
    session: scene.session("ana"),
    request: scene.request("ana", { sequence: 5 }, 8),
    name: "a",
    token: scene.token("a"),
    undo: false,
  });
  expect(refusedWith(outcome)).toBe("request_id_reused");
});

test("what the client acknowledged is forgotten, and refused instead of carried out again", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { sequence: 1 });
  scene.acquire("ana", "b", { sequence: 2 });
  scene.do({ kind: "acknowledge", sessionId: "ana", below: 2, settled: [] });
  expect(scene.state.operations).toBe(1);
  expect(refusedWith(scene.acquire("ana", "a", { sequence: 1 }))).toBe("request_forgotten");
  granted(scene.acquire("ana", "b", { sequence: 2 }));
});

test("a queued operation is remembered below the acknowledged, until its end is settled", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a", { sequence: 1 });
  scene.acquire("bo", "b", { sequence: 2 });
  scene.do({ kind: "acknowledge", sessionId: "bo", below: 3, settled: [1] });
  expect(scene.acquire("bo", "a", { sequence: 1 })).toBe("queued");
  scene.release("ana", "a");
  expect(granted(scene.acquire("bo", "a", { sequence: 1 }))).toBe(scene.token("a", "bo"));
  scene.do({ kind: "acknowledge", sessionId: "bo", below: 3, settled: [1] });
  expect(scene.state.sessions.get("bo")?.queued.size).toBe(0);
});

test("a kept operation is found from any session of the principal, and outlives its own until keepMs is over", () => {
  const scene = new Scene();
  scene.acquire("ana", "a", { requestId: ID });
  expect(granted(scene.acquire("bo", "a", { requestId: ID }))).toBe(scene.token("a", "ana"));
  scene.expire("ana");
  expect(scene.acquire("bo", "a", { requestId: ID })).toMatchObject({ kind: "granted" });
  scene.after(1_000);
  expect(scene.state.kept.size).toBe(0);
  expect(granted(scene.acquire("bo", "a", { requestId: ID }))).toBe(scene.token("a", "bo"));
});

test("a kept try that was refused is refused again, though the element is free now", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  expect(refusedWith(scene.acquire("bo", "a", { requestId: ID, waitMs: 0 }))).toBe("busy");
  scene.release("ana", "a");
  expect(refusedWith(scene.acquire("bo", "a", { requestId: ID, waitMs: 0 }))).toBe("busy");
});

test("a kept wait lives as long as its session", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a", { requestId: ID });
  scene.expire("bo");
  expect(scene.acquire("cy", "a", { requestId: ID })).toMatchObject({ kind: "refused", code: "session_expired" });
});

test("remembered operations have limits: new work is refused, releases get through, nothing is dropped", () => {
  const scene = new Scene({ unansweredMax: 3, keptMax: 1 });
  for (const name of ["a", "b", "c"]) scene.acquire("ana", name);
  expect(refusedWith(scene.acquire("ana", "d"))).toBe("operations_full");
  expect(scene.release("ana", "a")).toMatchObject({ kind: "released" });
  expect(scene.state.sessions.get("ana")?.done.size).toBe(4);
  scene.acquire("bo", "x", { requestId: ID });
  expect(refusedWith(scene.acquire("bo", "y", { requestId: `${ID}2` }))).toBe("operations_full");
});
