// The elements of a tree, as they are linked under each other while grants and waits come and go.
import { expect, test } from "vitest";
import { Scene } from "../partition/testing/scene.ts";
import { holdersInTheWay, wantedAt } from "./below.ts";
import { EXCLUSIVE, PERMIT, SHARED } from "./mode.ts";

const below = (scene: Scene, name: string, mode: 0 | 1 | 2 = EXCLUSIVE, looks = 100): readonly string[] => {
  const element = scene.state.elements.get(name);
  return element === undefined ? [] : [...holdersInTheWay(element, mode, looks)].map((grant) => grant.element.name);
};

test("holders are found at any depth, those that are there longest first", () => {
  const scene = new Scene();
  for (const name of ["{t}/a/b/c", "{t}/d", "{t}/a/e"]) scene.acquire("ana", name);
  expect(below(scene, "{t}")).toEqual(["{t}/a/b/c", "{t}/a/e", "{t}/d"]);
  expect(below(scene, "{t}/a")).toEqual(["{t}/a/b/c", "{t}/a/e"]);
  scene.release("ana", "{t}/a/b/c");
  scene.acquire("ana", "{t}/a/b/c");
  expect(below(scene, "{t}/a")).toEqual(["{t}/a/e", "{t}/a/b/c"]);
});

test("only what conflicts with the mode that is asked for", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a", { mode: SHARED });
  scene.acquire("ana", "{t}/b");
  scene.acquire("ana", "{t}/c", { mode: PERMIT, limit: 2 });
  expect(below(scene, "{t}", EXCLUSIVE)).toEqual(["{t}/a", "{t}/b", "{t}/c"]);
  expect(below(scene, "{t}", SHARED)).toEqual(["{t}/b", "{t}/c"]);
  expect(below(scene, "{t}", PERMIT)).toEqual([]);
});

test("what is waited for and not held is passed, and nothing remains of what ended", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/a");
  scene.acquire("bo", "{t}");
  for (let index = 0; index < 5; index += 1) scene.acquire("cy", `{t}/w${index}`);
  expect(below(scene, "{t}")).toEqual(["{t}/a"]);
  const root = scene.state.elements.get("{t}");
  expect(root && wantedAt(root)).toBe(EXCLUSIVE);
  scene.do({ kind: "end_session", sessionId: "cy", why: "closed", reason: "" });
  scene.release("ana", "{t}/a");
  expect(scene.holders("{t}")).toHaveLength(1);
  expect(below(scene, "{t}")).toEqual([]);
  scene.release("bo", "{t}");
  expect(scene.state.elements.size).toBe(0);
});

test("a look ends after as many elements as it may pass", () => {
  const scene = new Scene();
  for (let index = 0; index < 50; index += 1) scene.acquire("ana", `{t}/${index}`);
  expect(below(scene, "{t}", EXCLUSIVE, 10)).toHaveLength(10);
  expect(below(scene, "{t}", EXCLUSIVE, 10)[0]).toBe("{t}/0");
});

test("a wait for several elements of one branch leaves the others of the tree where they are", () => {
  const scene = new Scene();
  for (const name of ["{t}/a", "{t}/z"]) scene.acquire("ana", name);
  scene.acquire("bo", "{t}/x/1");
  scene.acquire("cy", "{t}/x/1", { also: ["{t}/x/2"] });
  scene.release("bo", "{t}/x/1");
  scene.acquire("di", "{t}/x/2", { also: ["{t}/x/3"], waitMs: 1_000 });
  for (const [who, name] of [
    ["cy", "{t}/x/1"],
    ["cy", "{t}/x/2"],
  ] as const)
    scene.release(who, name);
  scene.do({ kind: "end_session", sessionId: "di", why: "closed", reason: "" });
  scene.acquire("bo", "{t}/y");
  expect(below(scene, "{t}")).toEqual(["{t}/a", "{t}/z", "{t}/y"]);
});
