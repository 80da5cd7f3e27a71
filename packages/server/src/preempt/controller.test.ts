import { describe, expect, test } from "vitest";
import { moveThreshold, type Observed } from "./controller.ts";
import { merge } from "./policy.ts";

const POLICY = merge([
  new Map(Object.entries({ threshold: "0.9", thresholdMin: "0.8", thresholdMax: "0.95", waitMsTarget: "1000" })),
]);
const QUIET: Observed = { waitMsP99: 1_000, judged: 100, wrong: 0 };
const move = (current: number, observed: Partial<Observed>, policy = POLICY): number | undefined =>
  moveThreshold(current, { ...QUIET, ...observed }, policy)?.threshold;

describe("the threshold", () => {
  test("goes down a step while waits are above the target", () => {
    expect(move(0.9, { waitMsP99: 1_200 })).toBe(0.88);
  });

  test("goes back up, but not past its setting, while they are well below", () => {
    expect(move(0.86, { waitMsP99: 500 })).toBe(0.88);
    expect(move(0.89, { waitMsP99: 500 })).toBe(0.9);
    expect(move(0.9, { waitMsP99: 500 })).toBeUndefined();
  });

  test("goes up while more warnings are wrong than the budget has, whatever the waits", () => {
    expect(move(0.9, { wrong: 6, waitMsP99: 9_000 })).toBe(0.92);
  });

  test("stays within its bounds", () => {
    expect(move(0.95, { wrong: 50 })).toBeUndefined();
    expect(move(0.94, { wrong: 50 })).toBe(0.95);
    expect(move(0.8, { waitMsP99: 9_000 })).toBeUndefined();
  });

  test("stays inside a band around each target, so that it does not swing", () => {
    for (const waitMsP99 of [601, 901, 1_000, 1_099]) expect(move(0.86, { waitMsP99 })).toBeUndefined();
    expect(move(0.86, { wrong: 5 })).toBeUndefined();
  });

  test("stays where little is known: few judged warnings, no waits, no target", () => {
    expect(move(0.9, { judged: 9, wrong: 9 })).toBeUndefined();
    expect(move(0.9, { waitMsP99: Number.NaN })).toBeUndefined();
    expect(move(0.9, { waitMsP99: 1e9 }, merge([]))).toBeUndefined();
  });

  test("settles where a wait that falls with it meets the target, and stays there", () => {
    let threshold = 0.9;
    const seen: number[] = [];
    for (let step = 0; step < 30; step += 1) {
      threshold = move(threshold, { waitMsP99: 1_000 * 2 ** ((threshold - 0.85) * 20) }) ?? threshold;
      seen.push(threshold);
    }
    expect(new Set(seen.slice(10)).size).toBe(1);
    expect(Math.abs(threshold - 0.85)).toBeLessThan(0.02);
  });
});

test("every move says why", () => {
  expect(moveThreshold(0.9, { ...QUIET, wrong: 6 }, POLICY)?.reason).toBe(
    "6.0 % of 100 warnings were wrong; the budget is 5.0 %.",
  );
  expect(moveThreshold(0.9, { ...QUIET, waitMsP99: 1_500 }, POLICY)?.reason).toBe(
    "The p99 of waits is 1500 ms; the target is 1000 ms.",
  );
});
