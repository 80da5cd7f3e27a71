import { expect, test } from "vitest";
import { Changes, printOf } from "./live-changes.ts";

const rows = (...named: readonly [string, object][]): ReadonlyMap<string, unknown> => new Map(named);

test("an age that only grew is no change, one that began anew is", () => {
  expect(printOf({ heldMs: 4_000 }, 10_000)).toBe(printOf({ heldMs: 9_010 }, 15_000));
  expect(printOf({ heldMs: 4_000 }, 10_000)).not.toBe(printOf({ heldMs: 100 }, 15_000));
  expect(printOf({ countdownMs: 5_000 }, 10_000)).toBe(printOf({ countdownMs: 3_990 }, 11_000));
  expect(printOf({ countdownMs: -1 }, 10_000)).toBe(printOf({ countdownMs: -1 }, 90_000));
});

test("a forecast that moved a little is no change, and neither is the pain that grew with it", () => {
  const at = (p50Ms: number, painMs: number): string => printOf({ forecast: { p50Ms }, painMs }, 0);
  expect(at(12_340.5, 1)).toBe(at(12_280.25, 900));
  expect(at(12_340.5, 1)).not.toBe(at(15_340.5, 1));
});

test("a score is told when it moved enough to be seen, whatever age its sentence names", () => {
  const at = (score: number, reason: string): string =>
    printOf({ risk: { score, parts: [{ value: score }], reason } }, 0);
  expect(at(0.431, "Held for 10.7 s.")).toBe(at(0.436, "Held for 11.7 s."));
  expect(at(0.431, "Held for 10.7 s.")).not.toBe(at(0.46, "Held for 10.7 s."));
  expect(at(0.431, "Held for 10.7 s.")).not.toBe(at(0.431, "It hangs."));
});

test("only rows that changed are told, and the order when it changed", () => {
  const changes = new Changes();
  const a = { name: "a", waiting: 1 };
  const b = { name: "b", heldMs: 5 };
  expect(changes.ofList("locks", rows(["a", a], ["b", b]), true, 0)).toEqual({
    list: { rows: { a, b }, order: ["a", "b"], more: true },
  });
  expect(changes.ofList("locks", rows(["a", a], ["b", { ...b, heldMs: 5_005 }]), true, 5_000)).toBeUndefined();
  const busier = { ...a, waiting: 2 };
  expect(changes.ofList("locks", rows(["a", busier], ["b", b]), true, 0)).toEqual({ list: { rows: { a: busier } } });
  expect(changes.ofList("locks", rows(["b", b]), true, 0)).toEqual({ list: { rows: {}, order: ["b"], more: true } });
});

test("a lock may be called like a property of objects", () => {
  const told = new Changes().ofList("locks", rows(["__proto__", { waiting: 1 }]), false, 0);
  expect(JSON.stringify(told)).toBe('{"list":{"rows":{"__proto__":{"waiting":1}},"order":["__proto__"],"more":false}}');
});

test("an error is told once, and what comes after it is told whole", () => {
  const changes = new Changes();
  const a = { name: "a" };
  changes.ofList("locks", rows(["a", a]), false, 0);
  expect(changes.ofError("locks", { code: "overloaded" })).toEqual({ error: { code: "overloaded" } });
  expect(changes.ofError("locks", { code: "overloaded" })).toBeUndefined();
  expect(changes.ofList("locks", rows(["a", a]), false, 0)).toMatchObject({ list: { rows: { a }, order: ["a"] } });
});

test("after a reset everything is told again", () => {
  const changes = new Changes();
  expect(changes.ofValue("status", { grants: 1 }, 0)).toEqual({ value: { grants: 1 } });
  expect(changes.ofValue("status", { grants: 1 }, 0)).toBeUndefined();
  changes.reset();
  expect(changes.ofValue("status", { grants: 1 }, 0)).toEqual({ value: { grants: 1 } });
});
