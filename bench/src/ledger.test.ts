// ledger.test.ts: repetitions are kept, and ratios compare medians of one run.

import { expect, test } from "vitest";
import { Ledger, type Measure } from "./ledger.ts";

const at = (target: string): Measure => ({
  scenario: "in-flight",
  target,
  load: "256 in flight",
  metric: "cyclesPerSecond",
});

test("the median of the repetitions stands for the measurement", () => {
  const ledger = new Ledger();
  for (const value of [10, 30, 20]) ledger.add(at("forelock"), value);
  for (const value of [4, 5, 6]) ledger.add(at("redlock"), value);
  expect(ledger.ratio(at("forelock"), at("redlock"))).toBe(4);
  expect(ledger.entries()[0]).toMatchObject({ target: "forelock", values: [10, 30, 20], median: 20, spreadRatio: 1 });
});

test("there is no ratio to what was not measured", () => {
  const ledger = new Ledger();
  ledger.add(at("forelock"), 10);
  expect(ledger.ratio(at("forelock"), at("etcd3"))).toBeUndefined();
});
