import { expect, test } from "vitest";
import { Sample } from "./sample.ts";

test("a few are all learned from; of a flood every eighth, then every 32nd, which stand for the rest", () => {
  const sample = new Sample();
  const taken = Array.from({ length: 10_000 }, () => sample.take(5));
  expect(taken.slice(0, 99).every((standsFor) => standsFor === 1)).toBe(true);
  expect(
    taken
      .slice(99, 799)
      .filter((standsFor) => standsFor > 0)
      .every((standsFor) => standsFor === 8),
  ).toBe(true);
  expect(taken.filter((standsFor) => standsFor > 0).length).toBeLessThan(500);
  const all = taken.reduce((sum, standsFor) => sum + standsFor, 0);
  expect(Math.abs(all - 10_000)).toBeLessThan(40);
  expect(sample.take(105)).toBe(1);
});
