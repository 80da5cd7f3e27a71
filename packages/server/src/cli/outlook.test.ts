import type { Risk } from "@forelock/client";
import { expect, test } from "vitest";
import { etaWords, restCell, riskCell, riskSentence, sourceWords, stateSentence } from "./outlook.ts";

const RISK: Risk = {
  score: 0.824,
  parts: [
    { name: "hold", value: 0.9, weight: 1 },
    { name: "load", value: 0.1, weight: 0 },
    { name: "harm", value: 0.75, weight: 1 },
  ],
  threshold: 0.7,
  policy: "enforce",
  state: "warned",
  countdownMs: 8_200,
  reason: "",
};

test("a risk names its parts that count, and its threshold", () => {
  expect(riskSentence(RISK)).toBe(
    "Its risk score is 0.82 (hold 0.90, harm 0.75), at or above the threshold of 0.70; the policy is enforce.",
  );
  expect(riskSentence({ ...RISK, score: 0.2, parts: [] })).toBe(
    "Its risk score is 0.20, below the threshold of 0.70; the policy is enforce.",
  );
});

test.each([
  ["held", 5, undefined],
  ["waiting", 5, undefined],
  ["warned", 8_200, "It was warned: unless it releases, the release is forced in 8.20 s. The reason: it hangs"],
  ["warned", -1, "It was warned; nothing will be forced. The reason: it hangs"],
  ["acknowledged", 8_200, "It has acknowledged its warning: it has 8.20 s left to release. The reason: it hangs"],
  ["extended", 60_000, "It was given an extension: the release is forced in 1 m 00 s. The reason: it hangs"],
  [
    "passed_over",
    -1,
    "It is passed over: the other waiters go first, and it keeps its place behind them. The reason: it hangs",
  ],
  ["gone\u001b", -1, "It is gone\\u{1b}. The reason: it hangs"],
])("the state %j with %d ms left is told as %j", (state, countdownMs, told) => {
  expect(stateSentence({ ...RISK, state, countdownMs, reason: "it hangs" })).toBe(told);
});

test("the rest of a hold is its forecast length less what has passed, and never below nothing", () => {
  const forecast = { p50Ms: 15_000, p90Ms: 40_000, p99Ms: 50_000, observations: 12, source: "pair" };
  expect(restCell({ heldMs: 12_300, forecast })).toBe("2.70 s to 27.7 s");
  expect(restCell({ heldMs: 20_000, forecast })).toBe("0 ms to 20.0 s");
  expect(restCell({ heldMs: 20_000, forecast: undefined })).toBe("");
  expect(etaWords("waits", { p50Ms: 1_000, p90Ms: 2_000 })).toBe(
    "half of such waits end within 1.00 s more, nine of ten within 2.00 s",
  );
});

test.each([
  ["pair", "from 12 holds of this client on this lock"],
  ["all", "from 12 holds of all clients and locks"],
  ["prior", "nothing is known yet"],
  ["lstm", "by the model lstm, from 12 holds"],
])("the source %s is told as %j", (source, told) => {
  expect(sourceWords({ p50Ms: 1, p90Ms: 1, p99Ms: 1, observations: 12, source })).toBe(told);
});

test("a cell shows the score, and the state when something has happened", () => {
  expect([riskCell(RISK), riskCell({ ...RISK, state: "held" }), riskCell(undefined)]).toEqual([
    "0.82 warned",
    "0.82",
    "",
  ]);
});
