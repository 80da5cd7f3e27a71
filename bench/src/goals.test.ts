// goals.test.ts: goals are judged by ratios of one run, and only when both sides were measured.

import { expect, test } from "vitest";
import { judge } from "./goals.ts";
import { Ledger } from "./ledger.ts";

function ledgerOf(cyclesByTarget: Readonly<Record<string, number>>): Ledger {
  const ledger = new Ledger();
  for (const [target, value] of Object.entries(cyclesByTarget)) {
    ledger.add({ scenario: "in-flight", target, load: "256 in flight", metric: "cyclesPerSecond" }, value);
  }
  return ledger;
}

test("a goal that is reached passes, one that is not is a miss, with its ratio", () => {
  const lines = judge(ledgerOf({ forelock: 50_000, "redlock-always": 20_000, "bare-durable": 125_000 })).map(
    (one) => one.line,
  );
  expect(lines).toEqual([
    "PASS  256 in flight: cycles against redlock, appendfsync always (aim: 4x): 2.5x (at least 2x)",
    "MISS  256 in flight: cycles against the bare durable loop: 0.4x (at least 0.5x)",
  ]);
});

test("nothing is judged without its other side", () => {
  expect(judge(ledgerOf({ forelock: 50_000 }))).toEqual([]);
});

test("flat means the slowest and the fastest within the bound", () => {
  const ledger = new Ledger();
  [1.0, 1.1, 1.9, 2.1].forEach((value, index) => {
    ledger.add(
      { scenario: "hand-off", target: "forelock", load: `${10 ** index} waiters`, metric: "handOffP50Ms" },
      value,
    );
  });
  expect(judge(ledger)[0]).toMatchObject({ isMet: false, reached: 2.1 });
});

test("a peer that finished nothing is not an infinite advantage", () => {
  expect(judge(ledgerOf({ forelock: 50_000, etcd3: 0 }))).toEqual([]);
});

test("a goal that single repetitions judge otherwise is marked as unsure", () => {
  const ledger = new Ledger();
  for (const [own, base] of [
    [50, 20],
    [30, 20],
    [60, 20],
  ] as const) {
    ledger.add({ scenario: "in-flight", target: "forelock", load: "256 in flight", metric: "cyclesPerSecond" }, own);
    ledger.add(
      { scenario: "in-flight", target: "redlock-always", load: "256 in flight", metric: "cyclesPerSecond" },
      base,
    );
  }
  expect(judge(ledger)[0]?.line).toBe(
    "PASS? 256 in flight: cycles against redlock, appendfsync always (aim: 4x): 2.5x (at least 2x, repetitions 1.5x to 3x)",
  );
});

test("a side that failed in some repetitions leaves the goal unsure", () => {
  const ledger = ledgerOf({ forelock: 10, "redlock-always": 20 });
  ledger.add({ scenario: "in-flight", target: "redlock-always", load: "256 in flight", metric: "cyclesPerSecond" }, 20);
  expect(judge(ledger)[0]?.line).toBe(
    "MISS? 256 in flight: cycles against redlock, appendfsync always (aim: 4x): 0.5x (at least 2x, a side failed in some repetitions)",
  );
});
