import { expect, test } from "vitest";
import { calibrationPoints, figuresOf } from "./prediction.ts";

test("every figure has a value and says what it is of, also before anything happened", () => {
  const empty = figuresOf({});
  expect(empty.map(({ title, value }) => `${title} ${value}`)).toEqual([
    "Warnings 0",
    "Right 0",
    "Wrong 0",
    "Ignored 0",
    "Forced 0",
    "Only observed 0",
    "Would have saved 0 ms",
  ]);
  expect(empty.every(({ help }) => !/NaN|undefined/.test(help))).toBe(true);
});

test("shares are of the warnings, and of what was judged", () => {
  const figures = figuresOf({
    warnings: 10,
    released: 6,
    wrong: 1,
    observedRight: 3,
    observedWrong: 1,
    observedSavedMs: 61_000,
  });
  expect(figures.find(({ title }) => title === "Right")?.help).toContain("60 %");
  expect(figures.find(({ title }) => title === "Only observed")?.help).toContain("75 %");
  expect(figures.at(-1)?.value).toBe("1 min 1 s");
});

test("the points stand over their quantiles, and what is missing is missing", () => {
  const calibrations = [
    { of: "hold", quantile: 0.9, coverage: 0.88 },
    { of: "hold", quantile: 0.5, coverage: 0.49 },
    { of: "eta", quantile: 0.5, coverage: 0.55 },
  ];
  expect(calibrationPoints(calibrations)).toEqual([
    [0, 0.5, 0.9, 1],
    [0, 0.5, 0.9, 1],
    [null, 0.49, 0.88, null],
    [null, 0.55, null, null],
  ]);
});
