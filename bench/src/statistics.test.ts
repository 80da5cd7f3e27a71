// statistics.test.ts: the arithmetic under every number that the benchmark prints.

import { expect, test } from "vitest";
import { LatencyRecorder, median, quantileOfSorted, spreadRatio } from "./statistics.ts";

test("a quantile is a value that was seen, by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([0, 0.5, 0.99, 1].map((level) => quantileOfSorted(hundred, level))).toEqual([1, 50, 99, 100]);
  expect(quantileOfSorted([], 0.5)).toBeNaN();
});

test("the median sorts by value and means the middle two", () => {
  expect(median([100, 9, 20])).toBe(20);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test("the spread is relative to the median", () => {
  expect(spreadRatio([90, 100, 110])).toBeCloseTo(0.2);
  expect(spreadRatio([7])).toBe(0);
});

test("a full recorder keeps an even sample, the count and the maximum", () => {
  const recorder = new LatencyRecorder(64);
  for (let ms = 1; ms <= 10_000; ms += 1) recorder.add(ms);
  const summary = recorder.summary();
  expect(summary.count).toBe(10_000);
  expect(summary.maxMs).toBe(10_000);
  expect(Math.abs(summary.p50Ms - 5_000)).toBeLessThan(500);
  expect(Math.abs(summary.p99Ms - 9_900)).toBeLessThan(500);
});
