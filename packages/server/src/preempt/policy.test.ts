import { describe, expect, test } from "vitest";
import {
  merge,
  POLICY_FIELD_NAMES,
  POLICY_FIELDS,
  policyProblem,
  prefixesOf,
  STANDARD_POLICY,
  showPolicy,
} from "./policy.ts";

const set = (fields: Readonly<Record<string, string>>): ReadonlyMap<string, string> => new Map(Object.entries(fields));

test("the longest prefix that sets a field wins, field by field", () => {
  const policy = merge([set({ threshold: "0.7", countdownMs: "5000" }), set({ threshold: "0.85" })]);
  expect([policy.threshold, policy.countdownMs, policy.policy]).toEqual([0.85, 5_000, "observe"]);
});

test("prefixes of a name are whole parts, shortest first", () => {
  expect(prefixesOf("shop/orders/42")).toEqual(["", "shop", "shop/orders", "shop/orders/42"]);
  expect(prefixesOf("shop")).toEqual(["", "shop"]);
  expect(prefixesOf("")).toEqual([""]);
});

test("standards are in their own ranges, and what is shown can be set again", () => {
  const shown = showPolicy(STANDARD_POLICY);
  expect(Object.keys(shown)).toEqual(POLICY_FIELD_NAMES);
  expect(policyProblem(shown)).toBeUndefined();
  expect(merge([set(shown)])).toEqual(STANDARD_POLICY);
  const { threshold, thresholdMin, thresholdMax } = STANDARD_POLICY;
  expect(thresholdMin <= threshold && threshold <= thresholdMax).toBe(true);
});

test("parts of weights that are left out keep theirs", () => {
  expect(merge([set({ weights: "harm:3/load:0" })]).weights).toEqual({ ...STANDARD_POLICY.weights, harm: 3, load: 0 });
});

test("parts of weights that a longer prefix leaves out are as the shorter one says", () => {
  const { weights } = merge([set({ weights: "harm:3/load:0" }), set({ weights: "hold:2" })]);
  expect(weights).toEqual({ ...STANDARD_POLICY.weights, hold: 2, harm: 3, load: 0 });
});

test("weights of which none is left are passed over", () => {
  const shorter = set({ weights: "hold:0/suspicion:0" });
  const { weights } = merge([shorter, set({ weights: "harm:0/contention:0/load:0" })]);
  expect(weights).toEqual(merge([shorter]).weights);
});

test("an empty value asks for nothing: the field is as the shorter prefix says", () => {
  expect(policyProblem({ threshold: "" })).toBeUndefined();
  expect(merge([set({ threshold: "0.7" }), set({ threshold: "" })]).threshold).toBe(0.7);
});

describe("a change is refused with field, value and range:", () => {
  const refusals: readonly (readonly [string, string, string])[] = [
    ["threshold", "1.01", 'set.threshold: "1.01"; allowed 0 to 1.'],
    ["threshold", "high", 'set.threshold: "high"; allowed 0 to 1.'],
    ["countdownMs", "99", 'set.countdownMs: "99"; allowed 100 to 3600000.'],
    ["countdownMs", "100.5", 'set.countdownMs: "100.5"; allowed 100 to 3600000.'],
    ["policy", "force", 'set.policy: "force"; allowed off | observe | warn | enforce.'],
    ["weights", "hold:1/hold:2", 'set.weights: "hold:1/hold:2"; allowed hold:0 to 100'],
    ["weights", "hold:101", 'set.weights: "hold:101"; allowed'],
    ["weights", "age:1", 'set.weights: "age:1"; allowed'],
    ["weights", "hold:0/suspicion:0/harm:0/contention:0/load:0", "set.weights: "],
    ["treshold", "0.5", 'set: there is no field "treshold"; allowed: policy, threshold'],
    ["toString", "1", 'set: there is no field "toString"'],
  ];
  test.each(refusals)("%s = %s", (field, value, message) => {
    expect(policyProblem({ [field]: value })).toContain(message);
  });
});

test("what was set by a newer version and is not understood is passed over", () => {
  expect(merge([set({ threshold: "0.7" }), set({ threshold: "auto", novelty: "1" })]).threshold).toBe(0.7);
});

test("every field says what it is", () => {
  for (const name of POLICY_FIELD_NAMES) expect(POLICY_FIELDS[name].description).toMatch(/^[A-Zo].*\.$/);
});
