// conformal.test.ts: intervals keep what they promise, whatever the errors look like and whenever they change.
import { describe, expect, test } from "vitest";
import { normal, seededRandom } from "../challenger/random.ts";
import { beginInterval, drawnQuantile, INTERVAL_NUMBERS, LEVELS, learnError, redraw, seedPooled } from "./conformal.ts";

interface Interval {
  readonly block: Float64Array;
  readonly pooled: Float64Array;
}

function fresh(pooled: Float64Array = new Float64Array(INTERVAL_NUMBERS)): Interval {
  if (pooled.every((number) => number === 0)) seedPooled(pooled, 0);
  const block = new Float64Array(INTERVAL_NUMBERS);
  beginInterval(block, 0, pooled, 0);
  return { block, pooled };
}

/** Learns errors one by one; returns the share below each level over the last `scored`. */
function learnAll({ block, pooled }: Interval, errors: readonly number[], scored: number): readonly number[] {
  const below = LEVELS.map(() => 0);
  for (const [index, error] of errors.entries()) {
    if (index >= errors.length - scored)
      for (const level of LEVELS.keys()) if (error <= drawnQuantile(block, 0, level)) below[level]! += 1; // As many as LEVELS.
    block[0] = error;
    learnError(block, 0, pooled, 0, 2 ** (1 / 200));
    redraw(block, 0, pooled, 0);
  }
  return below.map((count) => count / scored);
}

function draws(length: number, seed: number, draw: (random: () => number) => number): readonly number[] {
  const random = seededRandom(seed);
  return Array.from({ length }, () => draw(random));
}

describe("each level is kept under as often as it says", () => {
  test.each([
    ["normal", (random: () => number) => normal(random)],
    ["one-sided", (random: () => number) => -Math.log(1 - random())],
    ["heavy-tailed", (random: () => number) => normal(random) / Math.max(0.05, random())],
    ["small", (random: () => number) => 0.02 * normal(random)],
    ["biased", (random: () => number) => 5 + normal(random)],
  ])("%s errors", (_, draw) => {
    const shares = learnAll(fresh(), draws(8_000, 1, draw), 6_000);
    for (const [level, share] of shares.entries()) {
      const promised = LEVELS[level]!; // As many as LEVELS.
      expect(Math.abs(share - promised)).toBeLessThan(3 * Math.sqrt((promised * (1 - promised)) / 6_000) + 0.005);
    }
  });

  test("errors too small for the buckets are covered, more often than promised", () => {
    const [low = 1, , high = 0] = learnAll(
      fresh(),
      draws(2_000, 7, (random) => 1e-9 * normal(random)),
      1_000,
    );
    expect(high - low).toBeGreaterThan(0.88);
  });

  test("also right after errors became three times as large", () => {
    const interval = fresh();
    learnAll(interval, draws(2_000, 2, normal), 1);
    const [low, , high] = learnAll(
      interval,
      draws(400, 3, (random) => 3 * normal(random)),
      300,
    );
    expect((high ?? 0) - (low ?? 0)).toBeGreaterThan(0.84);
  });
});

describe("quantiles", () => {
  test("are finite and in order from the start, and whatever comes", () => {
    const interval = fresh();
    const cruel = [0, 1e300, -1e300, Number.MIN_VALUE, -0, 5, 5, 5, 1e-40, -1e40];
    for (let round = 0; round < 300; round += 1) {
      const drawn = LEVELS.map((_, level) => drawnQuantile(interval.block, 0, level));
      expect(drawn.every(Number.isFinite)).toBe(true);
      expect([...drawn].sort((a, b) => a - b)).toEqual(drawn);
      learnAll(interval, [cruel[round % cruel.length]!], 1); // In range.
    }
  });

  test("of a young key are those of its kind, and its own after thirty errors", () => {
    const { pooled } = fresh();
    learnAll(
      fresh(pooled),
      draws(3_000, 4, (random) => 4 * normal(random)),
      1,
    );
    const young = fresh(pooled);
    expect(drawnQuantile(young.block, 0, 2)).toBeGreaterThan(5);
    learnAll(
      young,
      draws(200, 5, (random) => 0.5 * normal(random)),
      1,
    );
    expect(drawnQuantile(young.block, 0, 2)).toBeLessThan(2);
  });

  test("stay right when weights have grown so far that they are brought back", () => {
    const interval = fresh();
    const shares = learnAll(interval, draws(20_000, 6, normal), 10_000);
    expect(shares[2]).toBeCloseTo(0.95, 1);
    expect(interval.block.every(Number.isFinite)).toBe(true);
  });
});
