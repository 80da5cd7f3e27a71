import { describe, expect, test } from "vitest";
import { merge } from "../preempt/policy.ts";
import { ForelockPreemptor } from "./forelock.ts";
import { fixedTimeout, noPreemption, timeoutsUpTo } from "./policies.ts";
import { simulate, uniform } from "./simulation.ts";
import { type Row, stretch } from "./workload.ts";

/** Work of two clients on three elements: holds around a length of each pair's own, now and then three times as long. */
function shop(rows: number) {
  const requests: Row[] = [];
  for (let index = 0; index < rows; index += 1) {
    const drawn = (which: number): number => uniform(11, index, which);
    const client = drawn(0) < 0.5 ? "ana" : "bo";
    const element = ["till", "scale", "door"][Math.floor(drawn(1) * 3)] ?? "door";
    const usualMs = (client === "ana" ? 20_000 : 60_000) * (element === "till" ? 1 : 4);
    const durationMs = Math.round(usualMs * (0.7 + 0.6 * drawn(2)) * (drawn(3) < 0.02 ? 3 : 1));
    requests.push({ client, element, requestMs: index * 40_000, durationMs, isLost: false });
  }
  return stretch(requests, 0.5);
}

const SHOP = shop(1_500);

function under(stuckRatio: number, set: Readonly<Record<string, string>> = {}) {
  const policy = merge([new Map(Object.entries({ policy: "enforce", ...set }))]);
  const preemptor = new ForelockPreemptor(() => policy);
  return { forelock: simulate(SHOP, preemptor, { stuckRatio, seed: 3 }), eta: preemptor.eta };
}

describe("with stuck holders", () => {
  const conditions = { stuckRatio: 0.02, seed: 3 };
  const none = simulate(SHOP, noPreemption(), conditions);
  const { forelock, eta } = under(0.02);

  test("waits are shorter than without pre-emption, and everything finishes", () => {
    expect(forelock.waitMsP99).toBeLessThan(none.waitMsP99 * 0.9);
    expect([forelock.unfinished, none.unfinished]).toEqual([0, 0]);
  });

  test("no fixed timeout has waits as short at fewer healthy holders lost", () => {
    const harmed = ({ falsePreemptions, healthyForced }: typeof forelock): number => falsePreemptions + healthyForced;
    for (const timeoutMs of timeoutsUpTo(2_000_000).filter((ms) => ms > 60_000)) {
      const rival = simulate(SHOP, fixedTimeout(timeoutMs, 10_000), conditions);
      if (rival.waitMsP99 <= forelock.waitMsP99) expect(harmed(rival)).toBeGreaterThanOrEqual(harmed(forelock));
    }
  });

  test("half of the waits end within the p50 of their estimate, nine of ten within its p90", () => {
    expect(eta.waits).toBeGreaterThan(300);
    expect(Math.abs(eta.coverage50 - 0.5)).toBeLessThan(0.06);
    expect(Math.abs(eta.coverage90 - 0.9)).toBeLessThan(0.05);
  });

  test("the same input gives the same result", () => {
    expect(under(0.02)).toEqual({ forelock, eta });
  });
});

test("without stuck holders hardly anybody is pre-empted", () => {
  const { forelock } = under(0);
  expect(forelock.preemptions / forelock.grants).toBeLessThan(0.005);
});

test("what is set of the policy holds: nobody is pre-empted before the minimum hold, and none under observe", () => {
  expect(under(0.02, { minimumHoldMs: "86400000" }).forelock.preemptions).toBe(0);
  expect(under(0.02, { policy: "observe" }).forelock.preemptions).toBe(0);
});
