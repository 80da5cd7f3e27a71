// The bytes of a snapshot are refused when they are not whole or do not hash to what they say; the file that holds them has checksums
// of its own (log/segment/snapshot.ts), which tell what a hash of rows cannot: the clock, and texts that only answers repeat.
import { expect, test } from "vitest";
import { PERMIT, SHARED } from "../lock/mode.ts";
import { stateHash } from "./hash.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";
import type { PartitionState } from "./state.ts";
import { Scene } from "./testing/scene.ts";

/** A bit of everything that a snapshot holds. */
function fullScene(): Scene {
  const scene = new Scene();
  scene.acquire("ana", "f", { rollback: true });
  scene.append("ana", "f", "kept");
  scene.append("ana", "f", "open");
  scene.acquire("bo", "f", { priority: 2, waitMs: 5_000 });
  scene.acquire("ana", "{t}/a", { mode: SHARED });
  scene.acquire("bo", "{t}/a", { mode: SHARED });
  scene.operate({
    kind: "upgrade",
    session: scene.session("ana"),
    request: scene.request("ana"),
    name: "{t}/a",
    token: scene.token("{t}/a", "ana"),
    waitMs: -1,
  });
  scene.acquire("cy", "pool", { mode: PERMIT, take: 2, limit: 3, requestId: "kept-request-0123456789ab" });
  const element = { name: "part", mode: 0, take: 1, limit: 0 } as const;
  for (const [who, part] of [
    ["cy", "batch.1.1.0"],
    ["di", "batch.1.2.0"],
  ] as const) {
    scene.do({ kind: "reserve_part", session: scene.session(who), part, element, rollback: false, actor: "task" });
  }
  scene.operate({
    kind: "open_batch",
    session: scene.session("di"),
    request: scene.request("di"),
    parts: [element],
    waitMs: 100,
    rollback: true,
    actor: "",
  });
  scene.acquire("di", "w");
  scene.acquire("bo", "w", { mode: SHARED });
  scene.expire("di");
  scene.do({ kind: "session_silent", sessionId: "bo", silentMs: 0 });
  scene.after(700);
  return scene;
}

test("a snapshot that is cut anywhere, or goes on after its end, is refused", () => {
  const bytes = encodeSnapshot(fullScene().state);
  for (let length = 0; length < bytes.length; length += 1)
    expect(() => decodeSnapshot(0, bytes.subarray(0, length))).toThrow();
  expect(() => decodeSnapshot(0, Buffer.concat([bytes, Uint8Array.of(0)]))).toThrow("goes on after its end");
});

test("a snapshot with a changed byte is refused, or has the same rows: only what rows do not hash can differ", () => {
  const { state } = fullScene();
  const bytes = encodeSnapshot(state);
  const counts = { refused: 0, read: 0 };
  for (let at = 0; at < bytes.length; at += 1) {
    for (const bit of [1, 8, 128]) {
      let read: PartitionState | undefined;
      try {
        read = decodeSnapshot(0, bytes.with(at, (bytes[at] ?? 0) ^ bit));
      } catch {
        counts.refused += 1; // By the reader, or by the hash.
      }
      if (read === undefined) continue;
      counts.read += 1;
      expect(stateHash(read)).toBe(stateHash(state));
      expect([...read.elements.keys()].sort()).toEqual([...state.elements.keys()].sort());
    }
  }
  expect(counts.refused).toBeGreaterThan(4 * counts.read);
});

test("another version is refused with what this server reads", () => {
  const bytes = encodeSnapshot(fullScene().state);
  expect(() => decodeSnapshot(0, bytes.with(0, 5))).toThrow("format version 5; this server reads up to 4");
});

/** As a version wrote it that lacked the last bytes before the text of the hash. */
function withoutLast(bytes: Uint8Array, lacked: number, version: number, { length }: string): Uint8Array {
  const before = bytes.length - (1 + length) - lacked;
  return new Uint8Array([...bytes.subarray(0, before), ...bytes.subarray(before + lacked)]).with(0, version);
}

test("the version from before pre-emption is read", () => {
  const { state } = new Scene();
  // It lacked two counters and five empty lists.
  const first = withoutLast(encodeSnapshot(state), 7, 1, stateHash(state));
  expect(stateHash(decodeSnapshot(0, first))).toBe(stateHash(state));
});

test("the version from before judgements is read, whatever else it holds", () => {
  const { state } = fullScene();
  const second = withoutLast(encodeSnapshot(state), 1, 2, stateHash(state));
  expect(stateHash(decodeSnapshot(0, second))).toBe(stateHash(state));
});
