import { describe, expect, test } from "vitest";
import { fixedTimeout, noPreemption, timeoutsUpTo } from "./policies.ts";
import { type Fate, simulate, uniform } from "./simulation.ts";
import { type Answer, stretch } from "./workload.ts";

const COUNTDOWN_MS = 10_000;

/** Requests as `client@requestSeconds+durationSeconds` for one element. */
function workloadOf(...requests: readonly string[]) {
  const rows = requests.map((text) => {
    const [, client = "", at = "", held = ""] = /^(\w+)@([\d.]+)\+([\d.]+)$/.exec(text) ?? [];
    return { client, element: "a/b", requestMs: Number(at) * 1_000, durationMs: Number(held) * 1_000, isLost: false };
  });
  return stretch(rows, 1_000);
}

const WELL = { stuckRatio: 0, seed: 1 };

/** A seed under which the first attempt of row 0, and nothing else in reach, has this fate. */
function seedFor(fate: Fate, stuckRatio: number): number {
  for (let seed = 0; ; seed += 1) {
    const first = uniform(seed, 0, 0);
    const isWanted = fate === "dies" ? first < stuckRatio / 2 : first >= stuckRatio / 2 && first < stuckRatio;
    if (isWanted && uniform(seed, 1, 0) >= stuckRatio && uniform(seed, 2, 0) >= stuckRatio) return seed;
  }
}

test("without stuck holders and pre-emption everybody waits for those before him, and finishes", () => {
  const result = simulate(workloadOf("ana@0+10", "bo@2+10", "cy@4+1", "dee@100+1"), noPreemption(), WELL);
  expect(result).toMatchObject({ grants: 4, unfinished: 0, preemptions: 0, workLostMs: 0 });
  expect([result.waitMsMean, result.waitMsP99]).toEqual([(0 + 8_000 + 16_000 + 0) / 4, 16_000]);
});

describe("a holder that gets stuck", () => {
  test("by dying keeps the next one waiting until its session has expired", () => {
    const conditions = { stuckRatio: 0.2, seed: seedFor("dies", 0.2) };
    const result = simulate(workloadOf("ana@0+500", "bo@2+10"), noPreemption(), conditions);
    expect([result.waitMsP99, result.unfinished]).toEqual([28_000, 0]);
  });

  test("by hanging keeps the next one waiting for 20 times its duration", () => {
    const conditions = { stuckRatio: 0.2, seed: seedFor("hangs", 0.2) };
    const result = simulate(workloadOf("ana@0+5", "bo@2+10"), noPreemption(), conditions);
    expect([result.waitMsP99, result.unfinished]).toEqual([98_000, 0]);
  });

  test("is gone a countdown after the timeout, and that was no false pre-emption", () => {
    const conditions = { stuckRatio: 0.2, seed: seedFor("hangs", 0.2) };
    const result = simulate(workloadOf("ana@0+5", "bo@2+10"), fixedTimeout(20_000, COUNTDOWN_MS), conditions);
    expect(result).toMatchObject({
      ...{ waitMsP99: 28_000, preemptions: 1, falsePreemptions: 0, healthyForced: 0, workLostMs: 0, unfinished: 0 },
    });
  });

  test("as it was recorded is lost when it is as old as it was then", () => {
    const [lost, ...others] = workloadOf("ana@0+50", "bo@2+10").rows;
    const rows = lost === undefined ? others : [{ ...lost, isLost: true }, ...others];
    const result = simulate({ ...workloadOf(), rows }, noPreemption(), WELL);
    expect([result.waitMsP99, result.unfinished]).toEqual([48_000, 0]);
  });
});

describe("a healthy holder that is pre-empted", () => {
  test("within a countdown of its end releases, and was pre-empted falsely", () => {
    const result = simulate(workloadOf("ana@0+25", "bo@2+1"), fixedTimeout(20_000, COUNTDOWN_MS), WELL);
    expect(result).toMatchObject({
      ...{
        preemptions: 1,
        falsePreemptions: 1,
        gracefulReleases: 1,
        healthyForced: 0,
        workLostMs: 0,
        waitMsP99: 23_000,
      },
    });
  });

  test("loses its work, and asks again behind those who wait; it has waited since its first request", () => {
    // Forced at 30 s; bo holds until 35 s; ana again, alone now, from 35 s.
    const result = simulate(workloadOf("ana@0+100", "bo@2+5"), fixedTimeout(20_000, COUNTDOWN_MS), WELL);
    expect(result).toMatchObject({
      ...{ grants: 3, preemptions: 1, falsePreemptions: 0, healthyForced: 1, gracefulReleases: 0, workLostMs: 30_000 },
      ...{ waitMsP99: 35_000, grantWaitMsP99: 28_000, unfinished: 0 },
    });
  });

  test("gives up after five grants that were lost, and counts as unfinished", () => {
    const others = Array.from({ length: 40 }, (_, index) => `bo@${1 + index * 10}+1`);
    const result = simulate(workloadOf("ana@0+1000", ...others), fixedTimeout(20_000, COUNTDOWN_MS), WELL);
    expect(result).toMatchObject({ healthyForced: 5, unfinished: 1 });
  });
});

describe("a holder whose answer to a warning is known", () => {
  const answering = (answer: Answer, ...requests: readonly string[]) => {
    const { rows, ...workload } = workloadOf(...requests);
    return { ...workload, rows: rows.map((row) => (row.client === "ana" ? { ...row, answer } : row)) };
  };
  const soon = { acknowledgements: [{ afterMs: 100, extensionMs: 0 }], releasedMs: 4_000 };

  test("releases as long after its warning as then, and has lost nothing", () => {
    const workload = answering(soon, "ana@0+100", "bo@2+5");
    expect(simulate(workload, fixedTimeout(20_000, COUNTDOWN_MS), WELL)).toMatchObject({
      ...{ grants: 2, preemptions: 1, falsePreemptions: 0, healthyForced: 0, gracefulReleases: 1, workLostMs: 0 },
      ...{ waitMsP99: 22_000, acknowledged: 1, extended: 0, unfinished: 0 },
    });
  });

  test("is forced at the end of its countdown when it released no sooner then", () => {
    const late = { ...soon, releasedMs: 11_000 };
    const result = simulate(answering(late, "ana@0+100", "bo@2+5"), fixedTimeout(20_000, COUNTDOWN_MS), WELL);
    expect(result).toMatchObject({ healthyForced: 1, gracefulReleases: 0, acknowledged: 1 });
  });

  test("is given more time where the policy gives it", () => {
    const generous = { ...fixedTimeout(20_000, COUNTDOWN_MS), acknowledged: () => "" };
    const extended = { acknowledgements: [{ afterMs: 100, extensionMs: 5_000 }], releasedMs: 12_000 };
    const workload = answering(extended, "ana@0+100", "bo@2+5");
    expect(simulate(workload, generous, WELL)).toMatchObject({ gracefulReleases: 1, extended: 1, waitMsP99: 30_000 });
    const refused = simulate(workload, fixedTimeout(20_000, COUNTDOWN_MS), WELL);
    expect(refused).toMatchObject({ healthyForced: 1, acknowledged: 1, extended: 0 });
  });

  test("does nothing when it is dead or hangs", () => {
    for (const fate of ["dies", "hangs"] as const) {
      const conditions = { stuckRatio: 0.2, seed: seedFor(fate, 0.2) };
      const workload = answering(soon, "ana@0+5", "bo@2+10");
      const result = simulate(workload, fixedTimeout(6_000, COUNTDOWN_MS), conditions);
      expect(result).toMatchObject({ acknowledged: 0, gracefulReleases: 0, waitMsP99: 14_000 });
    }
  });
});

test("nobody is pre-empted for nobody's sake, and a holder older than the timeout at once when somebody comes", () => {
  const timeout = fixedTimeout(20_000, COUNTDOWN_MS);
  expect(simulate(workloadOf("ana@0+100", "bo@100+1"), timeout, WELL).preemptions).toBe(0);
  const late = simulate(workloadOf("ana@0+100", "bo@50+1"), timeout, WELL);
  expect([late.preemptions, late.workLostMs]).toEqual([1, 60_000]);
});

test("half of the stuck die and half hang, the same ones under every seed and none without", () => {
  const drawn = Array.from({ length: 20_000 }, (_, index) => uniform(7, index, 0));
  const shareBelow = (limit: number): number => drawn.filter((each) => each < limit).length / drawn.length;
  expect(shareBelow(0.01)).toBeCloseTo(0.01, 2);
  expect(shareBelow(0.5)).toBeCloseTo(0.5, 1);
  expect(uniform(7, 3, 1)).toBe(uniform(7, 3, 1));
  expect(new Set([uniform(7, 3, 1), uniform(7, 3, 2), uniform(8, 3, 1), uniform(7, 4, 1)]).size).toBe(4);
});

test("the sweep of timeouts goes from a second to the longest hold in steps of a quarter", () => {
  expect(timeoutsUpTo(2_000)).toEqual([1_000, 1_250, 1_563, 1_953]);
  expect(timeoutsUpTo(999)).toEqual([]);
});
