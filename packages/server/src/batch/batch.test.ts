// Parts of a batch in one partition, and the batch in its home partition. Over several partitions: shard/node.test.ts.
import { expect, test } from "vitest";
import { EXCLUSIVE, type Mode, SHARED } from "../lock/mode.ts";
import type { Command, CommandPart } from "../partition/commands.ts";
import { hashText } from "../partition/hash.ts";
import { decodeSnapshot, encodeSnapshot } from "../partition/snapshot.ts";
import { refusedWith, Scene } from "../partition/testing/scene.ts";

const element = (name: string, mode: Mode = EXCLUSIVE): CommandPart => ({ name, mode, take: 1, limit: 0 });

function reserve(scene: Scene, who: string, part: string, name: string): string {
  const terms = { session: scene.session(who), part, element: element(name), rollback: true, actor: "" };
  return scene.do({ kind: "reserve_part", ...terms }).refusal?.code ?? "taken";
}

const open = (scene: Scene, who: string, names: readonly string[]): Command & { readonly kind: "open_batch" } => {
  const terms = { session: scene.session(who), request: scene.request(who), waitMs: -1, rollback: false, actor: "" };
  return { kind: "open_batch", ...terms, parts: names.map((name) => element(name)) };
};

test("a reserved part blocks others and has no token; confirmed it is a grant like others", () => {
  const scene = new Scene();
  expect(reserve(scene, "ana", "batch.1.1.0", "a")).toBe("taken");
  expect(refusedWith(scene.acquire("bo", "a", { waitMs: 0 }))).toBe("busy");
  expect(scene.token("a")).toBe(0n);
  scene.do({ kind: "confirm_part", part: "batch.1.1.0" });
  expect(scene.token("a")).toBeGreaterThan(0n);
  expect(scene.release("ana", "a")).toMatchObject({ kind: "released" });
  expect(scene.state.parts.size).toBe(0);
});

test("every step may be repeated, and finds what the first one did", () => {
  const scene = new Scene();
  for (const _ of [1, 2]) reserve(scene, "ana", "batch.1.1.0", "a");
  for (const _ of [1, 2]) scene.do({ kind: "confirm_part", part: "batch.1.1.0" });
  expect(scene.state.grants).toBe(1);
  expect(scene.state.grantCounter).toBe(1);
  for (const _ of [1, 2]) scene.do({ kind: "abandon_part", part: "batch.1.1.0" });
  expect(scene.state.elements.size).toBe(0);
});

/** Two keys of parts whose hashes are alike: in a hundred thousand or two there are some. */
function keysThatHashAlike(): readonly [string, string] {
  const keyByHash = new Map<number, string>();
  for (let batch = 0; ; batch += 1) {
    const key = `batch.0.${batch}.0`;
    const other = keyByHash.get(hashText(key));
    if (other !== undefined) return [other, key];
    keyByHash.set(hashText(key), key);
  }
}

test("shared parts of several batches are held side by side, even when their keys hash alike", () => {
  const scene = new Scene();
  const keys = keysThatHashAlike();
  for (const part of keys) {
    const session = scene.session("ana");
    scene.do({ kind: "reserve_part", session, part, element: element("a", SHARED), rollback: false, actor: "" });
  }
  expect(scene.holders("a")).toHaveLength(2);
  scene.do({ kind: "abandon_part", part: keys[0] });
  expect(scene.holders("a")).toHaveLength(1);
  scene.do({ kind: "abandon_part", part: keys[1] });
  expect(scene.state.elements.size).toBe(0);
});

test("a part that is given up takes the wait for its upgrade along", () => {
  const scene = new Scene();
  const shared = element("a", SHARED);
  const part = "batch.1.1.0";
  scene.do({ kind: "reserve_part", session: scene.session("ana"), part, element: shared, rollback: false, actor: "" });
  scene.do({ kind: "confirm_part", part });
  scene.acquire("bo", "a", { mode: SHARED });
  const terms = { session: scene.session("ana"), request: scene.request("ana"), name: "a", waitMs: -1 };
  expect(scene.operate({ kind: "upgrade", ...terms, token: scene.token("a", "ana") })).toBe("queued");
  scene.do({ kind: "abandon_part", part });
  expect(scene.state.waits.size).toBe(0);
});

test("the limits of locks and waiters hold for parts too, at every element of the path", () => {
  const scene = new Scene({ locksMax: 2, waitersMax: 1 });
  expect(reserve(scene, "ana", "batch.1.1.0", "{t}/a")).toBe("taken");
  expect(reserve(scene, "ana", "batch.1.1.1", "b")).toBe("taken");
  expect(reserve(scene, "ana", "batch.1.1.2", "c")).toBe("locks_full");
  expect(reserve(scene, "bo", "batch.1.2.0", "{t}/a")).toBe("taken");
  expect(reserve(scene, "cy", "batch.1.3.0", "{t}/a")).toBe("queue_full");
  expect(reserve(scene, "cy", "batch.1.3.0", "{t}/z")).toBe("taken"); // The queue above is full, but it need not queue.
  expect(reserve(scene, "di", "batch.1.4.0", "{t}/z")).toBe("queue_full");
});

test("a batch whose elements lie in each other's path is refused: it would wait for itself", () => {
  const scene = new Scene();
  expect(refusedWith(scene.operate(open(scene, "ana", ["{t}/a", "{t}/a/b", "x"])))).toBe("bad_argument");
});

test("a batch that is cancelled has its outcome at once, and stays until its parts are given up", () => {
  const scene = new Scene();
  const opened = open(scene, "ana", ["a", "b"]);
  expect(scene.operate(opened)).toBe("queued");
  const { sequence } = opened.request;
  const target = { kind: "session", principal: "local", sessionId: "ana", sequence } as const;
  const cancel = { kind: "cancel", session: scene.session("ana"), request: scene.request("ana"), target } as const;
  expect(scene.operate(cancel)).toEqual({ kind: "cancelled", cancelled: true });
  expect(refusedWith(scene.operate(opened))).toBe("cancelled");
  expect(scene.state.batches.size).toBe(1);
  const batch = [...scene.state.batches.keys()][0] ?? 0;
  expect(scene.do({ kind: "confirm_batch", batch }).refusal?.code).toBe("cancelled");
  scene.do({ kind: "end_batch", batch, code: "cancelled", message: "It has ended." });
  expect(scene.state.batches.size).toBe(0);
});

test("a step of a lower fence than one that was taken is refused, and a snapshot keeps the fence", () => {
  const scene = new Scene();
  const part = "batch.3.1.0";
  const at = (number: number): { readonly home: number; readonly number: number } => ({ home: 3, number });
  const terms = { session: scene.session("ana"), part, element: element("a"), rollback: true, actor: "" };
  scene.do({ kind: "reserve_part", ...terms, fence: at(5) });
  expect(scene.do({ kind: "abandon_part", part, fence: at(4) }).refusal?.code).toBe("fenced");
  expect(scene.state.parts.size).toBe(1);
  scene.do({ kind: "abandon_part", part, fence: at(6) });
  expect(scene.do({ kind: "reserve_part", ...terms, fence: at(5) }).refusal?.code).toBe("fenced");
  expect(scene.state.parts.size).toBe(0);
  expect(decodeSnapshot(scene.state.partition, encodeSnapshot(scene.state)).fences).toEqual(new Map([[3, 6]]));
  expect(scene.do({ kind: "abandon_part", part: "batch.4.1.0", fence: { home: 4, number: 1 } }).refusal).toBe(
    undefined,
  );
});
