import { expect, test } from "vitest";
import { SHARED } from "../lock/mode.ts";
import { granted, refusedWith, Scene } from "../partition/testing/scene.ts";

test("an append needs the current token, and answers length, version and place", () => {
  const scene = new Scene();
  scene.acquire("ana", "f");
  expect(scene.append("ana", "f", "one")).toMatchObject({ length: 3, version: 1, index: 0, offset: 0 });
  expect(scene.append("ana", "f", "three")).toMatchObject({ length: 8, version: 2, index: 1, offset: 3 });
});

test("a token that is not current appends nothing", () => {
  const scene = new Scene();
  const old = granted(scene.acquire("ana", "f"));
  scene.release("ana", "f");
  expect(refusedWith(scene.append("ana", "f", "late", { token: old }))).toBe("stale_token");
  scene.acquire("bo", "f");
  expect(refusedWith(scene.append("ana", "f", "late", { token: old }))).toBe("stale_token");
  expect(scene.state.files.size).toBe(0);
});

test("a shared grant guards nothing", () => {
  const scene = new Scene();
  scene.acquire("ana", "f", { mode: SHARED });
  expect(refusedWith(scene.append("ana", "f", "x"))).toBe("guard_required");
});

test("a repeated append answers what the first one did, and appends nothing", () => {
  const scene = new Scene();
  scene.acquire("ana", "f");
  const first = scene.append("ana", "f", "one", { sequence: 9 });
  expect(scene.append("ana", "f", "one", { sequence: 9 })).toEqual(first);
  expect(scene.state.files.get("f")?.count).toBe(1);
});

test("what was appended under rollback is undone before the next grant, when the holder is lost", () => {
  const scene = new Scene();
  scene.acquire("ana", "f");
  scene.append("ana", "f", "kept");
  scene.release("ana", "f");
  scene.acquire("bo", "f", { rollback: true });
  scene.append("bo", "f", "gone1");
  scene.append("bo", "f", "gone2");
  scene.acquire("cy", "f");
  expect(scene.state.files.get("f")).toMatchObject({ length: 14, provisionalFrom: 4 });
  scene.story();
  scene.expire("bo");
  expect(scene.story()).toEqual(["session bo expired", "lost bo f expired undone=2", "granted cy f"]);
  expect(scene.state.files.get("f")).toMatchObject({ length: 4, count: 1, version: 4, provisionalFrom: -1 });
  expect(scene.cuts).toEqual(["f to 4"]);
});

test("what was appended under rollback is undone when an operator forces the release, before the next grant", () => {
  const scene = new Scene();
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "gone");
  scene.acquire("bo", "f");
  scene.story();
  scene.do({ kind: "force_release", name: "f", token: 0n, by: "op", reason: "stuck" });
  expect(scene.story()).toEqual(["lost ana f forced undone=1", "granted bo f"]);
  expect(scene.state.files.get("f")).toMatchObject({ length: 0, count: 0 });
});

test("the checksum after an undo is that of what is left", () => {
  const scene = new Scene();
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "kept");
  scene.release("ana", "f");
  const checksum = scene.state.files.get("f")?.checksum;
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "gone");
  scene.release("ana", "f", undefined, true);
  expect(scene.state.files.get("f")?.checksum).toBe(checksum);
});

test("onLoss keep leaves what was appended", () => {
  const scene = new Scene();
  scene.acquire("ana", "f");
  scene.append("ana", "f", "kept");
  scene.expire("ana");
  expect(scene.state.files.get("f")?.length).toBe(4);
});

test("a release commits; a release with undo takes it back, and the answers say so", () => {
  const scene = new Scene();
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "one", { sequence: 50 });
  expect(scene.release("ana", "f", undefined, true)).toMatchObject({ undone: 1 });
  expect(scene.append("ana", "f", "one", { sequence: 50, token: 1n })).toMatchObject({
    kind: "appended",
    undone: true,
  });
  expect(scene.state.files.get("f")?.length).toBe(0);
});

test("the first append fixes the guarding element: two guards could undo each other's work", () => {
  const scene = new Scene();
  scene.acquire("ana", "{t}/guard");
  scene.append("ana", "{t}/f", "x", { element: "{t}/guard" });
  scene.acquire("bo", "{t}/f");
  expect(refusedWith(scene.append("bo", "{t}/f", "y"))).toBe("guard_required");
});

test("unknown files are refused when only listed ones are allowed", () => {
  const scene = new Scene({ fileCreate: "listed" });
  scene.do({ kind: "create_file", name: "f" });
  scene.acquire("ana", "f");
  scene.acquire("ana", "g");
  expect(scene.append("ana", "f", "x")).toMatchObject({ length: 1 });
  expect(refusedWith(scene.append("ana", "g", "x"))).toBe("no_such_file");
});

test("size, number of files and number of effects have limits", () => {
  const scene = new Scene({ fileBytesMax: 10, filesMax: 1, effectsMax: 2 });
  scene.acquire("ana", "f", { rollback: true });
  expect(refusedWith(scene.append("ana", "f", "12345678901"))).toBe("file_full");
  scene.append("ana", "f", "1");
  scene.append("ana", "f", "2");
  expect(refusedWith(scene.append("ana", "f", "3"))).toBe("effects_full");
  scene.acquire("ana", "g");
  expect(refusedWith(scene.append("ana", "g", "1"))).toBe("files_full");
});
