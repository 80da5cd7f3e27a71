import { ERROR_CODES, ERRORS } from "@forelock/protocol";
import { expect, test } from "vitest";
import { mayAskAgain, verdictOf } from "./outcome.ts";

test("what may have happened is never taken for a failure", () => {
  for (const code of [
    "outcome_unknown",
    "log_stopped",
    "unavailable",
    "internal",
    "request_forgotten",
    "lock_lost",
    "preempted",
  ]) {
    expect([code, verdictOf(code)]).toEqual([code, "unsure"]);
  }
});

test("a code that this driver does not know proves nothing", () => {
  expect([verdictOf("brand_new"), mayAskAgain("brand_new")]).toEqual(["unsure", true]);
});

test("every refusal for overload is certain: nothing was carried out", () => {
  const overload = ERROR_CODES.filter(
    (code) => code.endsWith("_full") || code === "overloaded" || code === "rate_limited",
  );
  expect(overload.filter((code) => verdictOf(code) !== "refused")).toEqual([]);
  expect(overload.length).toBeGreaterThan(5);
});

test("what decides is not asked again", () => {
  const decided = ERROR_CODES.filter((code) => verdictOf(code) === "decided");
  expect(decided.filter(mayAskAgain)).toEqual([]);
  expect(decided.every((code) => ERRORS[code].retry === "never")).toBe(true);
});
