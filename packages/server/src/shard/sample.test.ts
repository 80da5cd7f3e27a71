import { expect, test } from "vitest";
import { Sample } from "./sample.ts";

test("a few are all learned from; of a flood every fourth, then every sixteenth, which stand for the rest", () => {
  const sample = new Sample();
  const taken = Array.from({ length: 10_000 }, () => sample.take(5));
  expect(taken.slice(0, 199).every((standsFor) => standsFor === 1)).toBe(true);
  expect(
    taken
      .slice(199, 1_999)
      .filter((standsFor) => standsFor > 0)
      .every((standsFor) => standsFor === 4),
  ).toBe(true);
  expect(taken.filter((standsFor) => standsFor > 0).length).toBeLessThan(1_200);
  const all = taken.reduce((sum, standsFor) => sum + standsFor, 0);
  expect(Math.abs(all - 10_000)).toBeLessThan(20);
  expect(sample.take(105)).toBe(1);
});
