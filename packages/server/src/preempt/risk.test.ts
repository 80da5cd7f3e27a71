import { describe, expect, test } from "vitest";
import { merge } from "./policy.ts";
import { type HoldSigns, RISK_PARTS, type RiskPartName, riskOf, scoreOf, suspicionOf } from "./risk.ts";

const { weights: WEIGHTS } = merge([]);

/** A holder that is late: one of a thousand such holds lasts as long. */
const LATE: HoldSigns = {
  ...{ ageMs: 60_000, survivalRatio: 0.001, outlivesRatio: 0.8, remainingMs: 5_000, stuckRatio: 0.01 },
  ...{ silenceRatio: 0, illnessRatio: 0, waiters: 3, patienceMs: 600_000, contentionRatio: 0.5, loadRatio: 0.2 },
};

const score = (change: Partial<HoldSigns>): number => riskOf({ ...LATE, ...change }, WEIGHTS).score;
const part = (change: Partial<HoldSigns>, name: RiskPartName): number =>
  riskOf({ ...LATE, ...change }, WEIGHTS).parts.find((each) => each.name === name)?.value ?? Number.NaN;

test("the score is the weighted geometric mean of its parts", () => {
  const { score: whole, parts } = riskOf(LATE, { hold: 1, suspicion: 2, harm: 1, contention: 0, load: 0 });
  const [hold = 0, suspicion = 0, harm = 0] = parts.map(({ value }) => value);
  expect(whole).toBeCloseTo((hold * suspicion ** 2 * harm) ** (1 / 4), 12);
  expect(parts.map(({ name }) => name)).toEqual(RISK_PARTS);
});

describe("the score rises with", () => {
  const risers: readonly (readonly [string, readonly Partial<HoldSigns>[]])[] = [
    ["the rarity of such a long hold", [0.5, 0.1, 0.01, 0.001, 0].map((survivalRatio) => ({ survivalRatio }))],
    ["the share of holders that get stuck", [0.0001, 0.001, 0.01, 0.1].map((stuckRatio) => ({ stuckRatio }))],
    ["the silence of heartbeats", [0, 0.3, 0.9].map((silenceRatio) => ({ silenceRatio }))],
    ["the illness that it reports", [0, 0.2, 0.7].map((illnessRatio) => ({ illnessRatio }))],
    ["waiters", [0, 1, 10].map((waiters) => ({ waiters }))],
    ["expected requests", [0, 0.01, 1].map((arrivalsPerMs) => ({ arrivalsPerMs }))],
    ["contention", [0, 0.5, 1].map((contentionRatio) => ({ contentionRatio }))],
    ["load", [0, 0.5, 1].map((loadRatio) => ({ loadRatio }))],
    ["the chance to outlive the countdown", [0, 0.5, 1].map((outlivesRatio) => ({ outlivesRatio }))],
  ];
  test.each(risers)("%s", (_name, changes) => {
    const scores = changes.map(score);
    expect(scores).toEqual(scores.toSorted((a, b) => a - b));
    expect(scores.at(-1)).toBeGreaterThan(scores[0] ?? 1);
  });
});

describe("nobody is at risk", () => {
  test("whom nobody waits for", () => {
    expect(score({ waiters: 0 })).toBe(0);
  });

  test("of whose kind nobody gets stuck, as long as it is heard and well", () => {
    expect(score({ stuckRatio: 0, survivalRatio: 0 })).toBe(0);
  });
});

test("the work that would be lost speaks for a holder that may be healthy, and not for one that is surely stuck", () => {
  const maybe = { stuckRatio: 0.001, survivalRatio: 0.1, patienceMs: 30_000, waiters: 1 };
  expect(part({ ...maybe, ageMs: 86_400_000 }, "harm")).toBeLessThan(part({ ...maybe, ageMs: 1_000 }, "harm") / 2);
  expect(part({ silenceRatio: 1, ageMs: 86_400_000 }, "harm")).toBe(1);
});

test("suspicion follows Bayes' rule, with less weight on what histories say of rare holds", () => {
  const exactly = 0.01 / (0.01 + 0.99 * 0.001);
  expect(suspicionOf(LATE)).toBeLessThan(exactly);
  expect(suspicionOf(LATE)).toBeCloseTo(0.01 / (0.01 + 0.99 * 0.001 ** 0.85), 12);
  expect(suspicionOf({ ...LATE, survivalRatio: 1 })).toBeCloseTo(0.01, 12);
});

describe("whatever is put in, parts and score stay in [0, 1], and what is no number is no reason to act:", () => {
  const extremes = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1, 1e300];
  const names = Object.keys(LATE) as readonly (keyof HoldSigns)[]; // The object above has these keys.
  test.each(names)("%s", (name) => {
    for (const value of extremes) {
      const { score: whole, parts } = riskOf({ ...LATE, [name]: value }, WEIGHTS);
      for (const each of [whole, ...parts.map((row) => row.value)]) {
        expect(each).toBeGreaterThanOrEqual(0);
        expect(each).toBeLessThanOrEqual(1);
      }
    }
    expect(score({ [name]: Number.NaN })).toBeLessThanOrEqual(score({}) + 1e-12);
  });
});

test("parts of weight 0 do not count, and no weights at all give no score", () => {
  expect(
    scoreOf([
      { name: "hold", value: 0.25, weight: 2 },
      { name: "load", value: 0, weight: 0 },
    ]),
  ).toBeCloseTo(0.25, 12);
  expect(scoreOf([{ name: "hold", value: 1, weight: 0 }])).toBe(0);
});
