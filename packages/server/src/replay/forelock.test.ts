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
  const forelock = simulate(SHOP, preemptor, { stuckRatio, seed: 3 });
  return { forelock, eta: preemptor.eta, moves: preemptor.moves };
}

describe("with stuck holders", () => {
  const conditions = { stuckRatio: 0.02, seed: 3 };
  const none = simulate(SHOP, noPreemption(), conditions);
  const { forelock, eta, moves } = under(0.02);

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
    expect(under(0.02)).toEqual({ forelock, eta, moves });
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

describe("the controller", () => {
  test("leaves the threshold where it is while there is nothing to mend", () => {
    expect(under(0.02).moves).toEqual({ count: 0, first: [] });
  });

  test("lowers it while waits are above their target, to its least at most, and that pre-empts more", () => {
    const { forelock, moves } = under(0.02, { waitMsTarget: "1000", thresholdMin: "0.5" });
    expect(moves.first.map(({ to }) => to).slice(0, 2)).toEqual([0.88, 0.86]);
    expect(moves.first.every(({ from, to, reason }) => to < from && reason.includes("target"))).toBe(true);
    expect(moves.first.at(-1)?.to).toBeGreaterThanOrEqual(0.5);
    expect(forelock.preemptions).toBeGreaterThan(under(0.02).forelock.preemptions);
  });

  test("raises it while too many warnings are wrong", () => {
    const set = { threshold: "0.1", thresholdMin: "0", countdownMs: "60000", coolDownMs: "0" };
    const { moves } = under(0, { ...set, preemptionsPerHourMax: "100000" });
    expect(moves.first[0]).toMatchObject({ from: 0.1, to: 0.12, reason: expect.stringContaining("were wrong") });
  });
});

/** Warns holders that are not late yet. */
const EAGER = {
  ...{ policy: "enforce", threshold: "0.1", thresholdMin: "0.1", thresholdMax: "0.1" },
  ...{ preemptionsPerHourMax: "100000", coolDownMs: "0", countdownMs: "10000", extensionMsMax: "600000" },
};

test("an extension is judged by the forecast and the policy, and one that was given is no wrong warning", () => {
  const answer = { acknowledgements: [{ afterMs: 10, extensionMs: 300_000 }], releasedMs: undefined };
  const workload = { ...SHOP, rows: SHOP.rows.map((row) => ({ ...row, answer })) };
  const run = (set: Readonly<Record<string, string>>) => {
    const policy = merge([new Map(Object.entries({ ...EAGER, ...set }))]);
    return simulate(workload, new ForelockPreemptor(() => policy), { stuckRatio: 0, seed: 3 });
  };
  const [given, refused] = [run({}), run({ extensionsMax: "0" })];
  expect(given.extended).toBeGreaterThan(0);
  expect([refused.extended, refused.acknowledged > 0]).toEqual([0, true]);
  expect(given.healthyForced / given.preemptions).toBeLessThan(refused.healthyForced / refused.preemptions);
});
