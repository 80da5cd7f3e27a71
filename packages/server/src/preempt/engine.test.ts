import { describe, expect, test } from "vitest";
import { type Assessment, Engine, type Holder, type HoldForecasts } from "./engine.ts";
import { Ledger } from "./ledger.ts";
import { merge } from "./policy.ts";

/** Holds that are exponential with this mean. */
const MEAN_MS = 1_000;
const EXPONENTIAL: HoldForecasts = {
  quantiles: (_client, _element, ageMs) => {
    const at = (level: number): number => ageMs - MEAN_MS * Math.log(1 - level);
    return { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), observations: 500, source: "pair" };
  },
  outlives: (_client, _element, ageMs, deadlineMs) => Math.exp((ageMs - deadlineMs) / MEAN_MS),
};

const HOLDER: Holder = {
  ...{ client: "ana", element: "orders/42", ageMs: 5_000, waiters: 2, silenceRatio: 0, illnessRatio: 0 },
  ...{ contentionRatio: 0.5, loadRatio: 0.1, ttlMs: 30_000 },
};
const OLD = { ageMs: 30_000 };

interface Scene {
  readonly forecasts?: HoldForecasts;
  readonly ledger?: Ledger;
  readonly set?: Readonly<Record<string, string>>;
}

function assess(
  change: Partial<Holder>,
  { forecasts = EXPONENTIAL, ledger = new Ledger(), set = {} }: Scene = {},
): Assessment {
  const policy = merge([new Map(Object.entries({ policy: "enforce", ...set }))]);
  return new Engine(forecasts, ledger).assess({ ...HOLDER, ...change }, policy, policy.threshold, 1_000_000);
}

describe("a contended holder", () => {
  test("of a usual age is left alone; one far older than such holds get is acted on, as the policy says", () => {
    expect([assess({ ageMs: 1_500 }).action, assess(OLD).action]).toEqual(["none", "enforce"]);
    for (const policy of ["observe", "warn", "enforce"]) expect(assess(OLD, { set: { policy } }).action).toBe(policy);
    expect(assess(OLD, { set: { policy: "off" } }).action).toBe("none");
  });

  test("scores higher as it grows older", () => {
    const scores = [1_000, 3_000, 6_000, 10_000, 20_000].map((ageMs) => assess({ ageMs }).risk.score);
    expect(scores).toEqual(scores.toSorted((a, b) => a - b));
  });

  test("is acted on sooner when its heartbeats are late", () => {
    expect([assess({ ageMs: 3_000 }).action, assess({ ageMs: 3_000, silenceRatio: 0.99 }).action]).toEqual([
      "none",
      "enforce",
    ]);
  });

  test("is told why in a sentence", () => {
    const { reason } = assess({ ageMs: 3_000, waiters: 1, illnessRatio: 0.7 });
    expect(reason).toMatch(
      /^Held for 3\.0 s; one of 20 such holds lasts as long, and it reports itself unwell: stuck with/,
    );
    expect(reason).toMatch(/ 1 request waits\.$/);
  });

  test("younger than the minimum hold, or without anyone waiting, is left alone", () => {
    expect(assess(OLD, { set: { minimumHoldMs: "30001" } }).action).toBe("none");
    expect(assess({ ...OLD, waiters: 0 }).action).toBe("none");
  });

  test("that was found wrongly warned is left alone until the cool-down is over", () => {
    const ledger = new Ledger();
    const { risk, threshold, countdownMs, reason } = assess(OLD);
    ledger.note({
      ...{ key: "g", kind: "warned", wallMs: 0, atMs: 990_000, name: HOLDER.element, token: 1n, client: "ana" },
      ...{ risk, threshold, countdownMs, waiters: 1, reason },
    });
    ledger.released("g", "ana", 995_000, 60_000);
    expect([assess(OLD, { ledger }).action, assess({ ...OLD, client: "bo" }, { ledger }).action]).toEqual([
      "none",
      "enforce",
    ]);
  });

  test("of a client that has used up its forced releases is warned, and not forced", () => {
    const ledger = new Ledger();
    for (let forced = 0; forced < 3; forced += 1) ledger.ended(`g${forced}`, "ana", "preempted", 999_000);
    expect(assess(OLD, { ledger, set: { preemptionsPerHourMax: "3" } }).action).toBe("warn");
    expect(assess(OLD, { ledger, set: { preemptionsPerHourMax: "4" } }).action).toBe("enforce");
  });
});

test("who lets countdowns run out gets shorter ones, down to a quarter, and never below 100 ms", () => {
  const ledger = new Ledger();
  const countdowns = [0, 1, 2, 3].map((offences) => {
    if (offences > 0) ledger.ended(`g${offences}`, "ana", "preempted", 0);
    return [assess(OLD, { ledger }).countdownMs, assess(OLD, { ledger, set: { countdownMs: "150" } }).countdownMs];
  });
  expect(countdowns).toEqual([
    [10_000, 150],
    [5_000, 100],
    [2_500, 100],
    [2_500, 100],
  ]);
});

describe("nothing is done for the sake of forecasts that", () => {
  const broken: Readonly<Record<string, Partial<HoldForecasts>>> = {
    "are missing": { quantiles: () => undefined },
    fail: {
      quantiles: () => {
        throw new Error("the model is gone");
      },
    },
    "fail half way": {
      outlives: () => {
        throw new Error("the model is gone");
      },
    },
    "are no numbers": { quantiles: () => ({ p50Ms: Number.NaN, p90Ms: 1, p99Ms: 2, observations: 9, source: "pair" }) },
    "give no probability": { outlives: () => Number.NaN },
    "contradict themselves": { quantiles: () => ({ p50Ms: 9, p90Ms: 5, p99Ms: 1, observations: 9, source: "pair" }) },
    "never end": {
      quantiles: () => ({ p50Ms: 1, p90Ms: 2, p99Ms: Number.POSITIVE_INFINITY, observations: 9, source: "pair" }),
    },
    "say that it goes on": { outlives: () => 1 },
    "know nothing yet": {
      quantiles: () => ({ p50Ms: 1, p90Ms: 2, p99Ms: 3, observations: 0, source: "prior" }),
      outlives: () => 0,
    },
  };
  test.each(Object.entries(broken))("%s", (_name, forecasts) => {
    expect(assess(OLD, { forecasts: { ...EXPONENTIAL, ...forecasts } }).action).toBe("none");
  });
});

describe("a request that waits", () => {
  const wait = { ...HOLDER, client: "slow" };
  /** Of client slow a hundred times as long as of the others. */
  const forecasts: HoldForecasts = {
    quantiles: (client, element, ageMs, nowMs) => {
      const found = EXPONENTIAL.quantiles(client, element, ageMs, nowMs);
      const factor = client === "slow" ? 100 : 1;
      if (found === undefined) return undefined;
      const { p50Ms, p90Ms, p99Ms } = found;
      return { ...found, p50Ms: p50Ms * factor, p90Ms: p90Ms * factor, p99Ms: p99Ms * factor };
    },
    outlives: (client, _element, ageMs, deadlineMs) =>
      Math.exp((ageMs - deadlineMs) / (MEAN_MS * (client === "slow" ? 100 : 1))),
  };
  const offender = new Ledger();
  for (let end = 0; end < 500; end += 1) offender.ended(`e${end}`, "slow", "expired", 0);
  const assessWait = (client: string, set: Readonly<Record<string, string>>, ledger = offender): Assessment =>
    new Engine(forecasts, ledger).assessWait({ ...wait, client }, merge([new Map(Object.entries(set))]), 0);
  const LOW = { policy: "enforce", pendingThreshold: "0.7" };

  test("of a client that holds long and gets stuck often is told so, and only when the policy acts", () => {
    expect(assessWait("slow", LOW).action).toBe("enforce");
    expect(assessWait("slow", { ...LOW, policy: "observe" }).action).toBe("none");
    expect(assessWait("slow", LOW).reason).toContain("slow usually holds orders/42 for 69.3 s");
  });

  test("of any other client is left alone", () => {
    expect(assessWait("ana", LOW).action).toBe("none");
    expect(assessWait("slow", LOW, new Ledger()).action).toBe("none");
  });
});
