import { expect, test } from "vitest";
import { changesOf, choicesOf, covers, policyFor, prefixesOf } from "./policy.ts";

test("a prefix covers whole parts, and the longest one that covers a name holds", () => {
  expect([covers("", "a"), covers("a", "a"), covers("a", "a/b"), covers("a", "ab")]).toEqual([true, true, true, false]);
  const policies = [{}, { prefix: "a" }, { prefix: "a/b" }, { prefix: "a/bc" }];
  expect(policyFor(policies, "a/b/c")?.prefix).toBe("a/b");
  expect(policyFor(policies, "z")).toEqual({});
  expect(policyFor([], "z")).toBeUndefined();
});

test("the prefixes of a name go from itself to everything", () => {
  expect(prefixesOf("a/b/c")).toEqual(["a/b/c", "a/b", "a", ""]);
});

test("only what differs is sent, and an emptied field is sent empty", () => {
  const set = { policy: "warn", threshold: "0.7" };
  expect(changesOf(set, { policy: "warn ", threshold: "", countdownMs: "5000" })).toEqual({
    threshold: "",
    countdownMs: "5000",
  });
  expect(changesOf(set, { coolDownMs: "" })).toEqual({});
});

test("ranges of words are choices, the others are typed", () => {
  expect(choicesOf({ range: "off | observe | warn | enforce" })).toEqual(["off", "observe", "warn", "enforce"]);
  expect(choicesOf({ range: "0 to 1" })).toEqual([]);
  expect(choicesOf({ range: "hold:0 to 100/harm:0 to 100; parts left out keep what the shorter prefix says" })).toEqual(
    [],
  );
  expect(choicesOf({})).toEqual([]);
});
