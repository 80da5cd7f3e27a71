import { expect, test } from "vitest";
import { type Parts, type ScreenMessage, take } from "./screen.ts";

const list = (part: Parts[string] | undefined): unknown =>
  part?.kind === "list" ? [...part.rows].map(([key, { json, atMs }]) => [key, json, atMs]) : part;

const shown = (...messages: readonly [ScreenMessage, number][]): Parts =>
  messages.reduce<Parts>((parts, [message, atMs]) => take(parts, message, atMs), {});

const first: ScreenMessage = {
  whole: true,
  parts: { locks: { list: { order: ["a", "b"], rows: { a: 1, b: 2 }, more: true } }, status: { value: { grants: 2 } } },
};

test("a changed row keeps its place, and the others keep the moment they came at", () => {
  const parts = shown([first, 10], [{ whole: false, parts: { locks: { list: { rows: { b: 3 } } } } }, 20]);
  expect(list(parts["locks"])).toEqual([
    ["a", 1, 10],
    ["b", 3, 20],
  ]);
  expect(parts["locks"]).toMatchObject({ more: true });
  expect(parts["status"]).toEqual({ kind: "value", row: { json: { grants: 2 }, atMs: 10 } });
});

test("a new order moves rows and drops those that it does not name", () => {
  const order = { order: ["c", "a"], rows: { c: 4 }, more: false };
  const parts = shown([first, 10], [{ whole: false, parts: { locks: { list: order } } }, 20]);
  expect(list(parts["locks"])).toEqual([
    ["c", 4, 20],
    ["a", 1, 10],
  ]);
  expect(parts["locks"]).toMatchObject({ more: false });
});

test("a part that fails says so, and comes back whole", () => {
  const error = { error: { code: "overloaded", message: "Later." } };
  const failed = shown([first, 10], [{ whole: false, parts: { locks: error } }, 20]);
  expect(failed["locks"]).toEqual({ kind: "error", code: "overloaded", message: "Later." });
  expect(list(take(failed, first, 30)["locks"])).toEqual([
    ["a", 1, 30],
    ["b", 2, 30],
  ]);
});

test("a row named like a property of objects is a row like any other", () => {
  const rows = JSON.parse('{"__proto__": 7}') as Record<string, unknown>; // As it comes over the wire.
  const parts = shown([{ whole: true, parts: { locks: { list: { order: ["__proto__", "constructor"], rows } } } }, 1]);
  expect(list(parts["locks"])).toEqual([["__proto__", 7, 1]]);
});
