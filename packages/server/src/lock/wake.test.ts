// Who is looked at when something becomes free: nobody whose turn has come may be left waiting.
import { expect, test } from "vitest";
import { Scene } from "../partition/testing/scene.ts";
import { PERMIT, SHARED } from "./mode.ts";

test("readers behind a request that waits for another element too are granted without it", () => {
  const scene = new Scene();
  scene.acquire("ana", "b");
  scene.acquire("bo", "a", { mode: PERMIT, take: 1, limit: 1 });
  scene.acquire("cy", "a", { mode: SHARED, also: ["b"] });
  scene.acquire("di", "a", { mode: SHARED });
  scene.story();
  scene.release("bo", "a");
  expect(scene.story()).toEqual(["released a", "granted di a"]);
});

test("requests for two elements below one are counted there once, however many came and went", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}");
  const below = { also: ["{t}/y"] };
  for (let round = 0; round < 50; round += 1) {
    const waiting = scene.acquire("bo", "{t}/x", { ...below, waitMs: 10 });
    expect(waiting).toBe("queued");
    scene.after(20);
  }
  scene.acquire("cy", "{t}/x", below);
  expect(scene.state.elements.get("{t}")?.waiting).toBe(1);
  scene.story();
  scene.release("ana", "{t}");
  expect(scene.story()).toEqual(["released {t}", "granted cy {t}/x+{t}/y"]);
});

test("what a reserving step of a batch does is no sign of life of its session", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.do({ kind: "start", epoch: 2 });
  const element = { name: "b", mode: 0, take: 1, limit: 0 } as const;
  const session = scene.session("ana");
  scene.do({ kind: "reserve_part", session, part: "batch.1.1.0", element, rollback: false, actor: "" });
  expect(scene.holders("b")).toEqual([]);
  expect(scene.state.sessions.get("ana")?.unheard).toBe(true);
  scene.do({ kind: "session_heard", sessionId: "ana" });
  expect(scene.holders("b")).toEqual(["ana"]);
});
