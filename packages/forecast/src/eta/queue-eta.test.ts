// queue-eta.test.ts: waits from forecasts of others, and how they are kept honest.
import { expect, test } from "vitest";
import { logNormal, seededRandom } from "../duration/testing.ts";
import { QueueEta } from "./queue-eta.ts";
import type { DurationLike } from "./waiting.ts";

const Z = { p5Ms: -1.6449, p50Ms: 0, p90Ms: 1.2816, p95Ms: 1.6449, p99Ms: 2.3263 };

/** A log-normal duration that has just begun. */
function fresh(medianMs: number, sigma: number): DurationLike {
  const at = (z: number): number => medianMs * Math.exp(sigma * z);
  return { ageMs: 0, p5Ms: at(Z.p5Ms), p50Ms: medianMs, p90Ms: at(Z.p90Ms), p95Ms: at(Z.p95Ms), p99Ms: at(Z.p99Ms) };
}

function quantileOf(values: readonly number[], level: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(level * sorted.length)]!; // Not empty.
}

function logError(estimateMs: number, truthMs: number): number {
  return Math.abs(Math.log(estimateMs / truthMs));
}

test("with nobody ahead the wait is what remains of the holder's time", () => {
  const holder = { ageMs: 60_000, p5Ms: 61_000, p50Ms: 70_000, p90Ms: 100_000, p95Ms: 120_000, p99Ms: 200_000 };
  const estimate = new QueueEta().estimate({ holders: [holder], ahead: [], capacity: 1 });
  expect(logError(estimate.p50Ms, 10_000)).toBeLessThan(0.15);
  expect(logError(estimate.p90Ms, 40_000)).toBeLessThan(0.15);
});

test("without a holder and without anybody ahead there is nothing to wait for", () => {
  expect(new QueueEta().estimate({ holders: [], ahead: [], capacity: 1 })).toMatchObject({
    p50Ms: 0,
    p90Ms: 0,
    ahead: 0,
  });
  expect(new QueueEta().estimate({ holders: [], ahead: [], capacity: 3 }).p90Ms).toBeLessThan(1);
});

test.each([1, 4, 8, 30])(
  "the p90 behind %d others is between that of independent holds and the sum of their p90s",
  (ahead) => {
    const random = seededRandom(ahead);
    const estimate = new QueueEta().estimate({
      holders: [fresh(1_000, 0.5)],
      ahead: Array.from({ length: ahead }, () => fresh(1_000, 0.5)),
      capacity: 1,
    });
    const waits = Array.from({ length: 4_000 }, () => {
      let sum = 0;
      for (let hold = 0; hold <= ahead; hold += 1) sum += logNormal(random, 1_000, 0.5);
      return sum;
    });
    expect(logError(estimate.p50Ms, quantileOf(waits, 0.5))).toBeLessThan(0.12);
    // Wider than independent holds would have it, on purpose: holds of one queue go together.
    expect(estimate.p90Ms).toBeGreaterThan(quantileOf(waits, 0.9));
    // A tenth for the width of the buckets.
    expect(estimate.p90Ms).toBeLessThan(1.1 * (ahead + 1) * fresh(1_000, 0.5).p90Ms);
  },
);

test("an element that several share is free when the last of them has ended", () => {
  const random = seededRandom(1);
  const estimate = new QueueEta().estimate({
    holders: Array.from({ length: 5 }, () => fresh(1_000, 1)),
    ahead: [],
    capacity: 1,
  });
  const waits = Array.from({ length: 4_000 }, () =>
    Math.max(...Array.from({ length: 5 }, () => logNormal(random, 1_000, 1))),
  );
  expect(logError(estimate.p50Ms, quantileOf(waits, 0.5))).toBeLessThan(0.15);
  expect(logError(estimate.p90Ms, quantileOf(waits, 0.9))).toBeLessThan(0.2);
});

test("a group that will hold together counts as its longest, not as its sum", () => {
  const eta = new QueueEta();
  const group = Array.from({ length: 10 }, () => fresh(1_000, 0.2));
  const together = eta.estimate({ holders: [fresh(1_000, 0.2)], ahead: [group], capacity: 1 });
  const inTurn = eta.estimate({ holders: [fresh(1_000, 0.2)], ahead: group, capacity: 1 });
  expect(together.p50Ms).toBeLessThan(3_000);
  expect(inTurn.p50Ms).toBeGreaterThan(9_000);
});

test.each([
  { capacity: 2, ahead: 0 },
  { capacity: 4, ahead: 3 },
  { capacity: 3, ahead: 40 },
])("with $capacity permits and $ahead ahead the next one free is foreseen", ({ capacity, ahead }) => {
  const random = seededRandom(capacity);
  const estimate = new QueueEta().estimate({
    holders: Array.from({ length: capacity }, () => fresh(1_000, 0.7)),
    ahead: Array.from({ length: ahead }, () => fresh(1_000, 0.7)),
    capacity,
  });
  const waits = Array.from({ length: 2_000 }, () => {
    const free = Array.from({ length: capacity }, () => logNormal(random, 1_000, 0.7)).sort((a, b) => a - b);
    for (let waiter = 0; waiter < ahead; waiter += 1) {
      free[0]! += logNormal(random, 1_000, 0.7); // At least one permit.
      free.sort((a, b) => a - b);
    }
    return free[0]!; // As above.
  });
  // Of a duration only five quantiles are known, and the first of several to end lies between the lower two.
  expect(logError(estimate.p50Ms, quantileOf(waits, 0.5))).toBeLessThan(0.25);
  expect(logError(estimate.p90Ms, quantileOf(waits, 0.9))).toBeLessThan(0.15);
});

test("a whole queue is estimated in one pass as each of its waiters would be", () => {
  const eta = new QueueEta();
  const holders = [fresh(5_000, 1)];
  const queue = Array.from({ length: 20 }, (_, place) => fresh(500 * (1 + (place % 3)), 0.8));
  for (const capacity of [1, 2]) {
    const all = eta.estimateAll({ holders, ahead: queue, capacity }, 15);
    expect(all).toHaveLength(15);
    for (const place of [0, 1, 7, 9, 14])
      expect(all[place]?.p90Ms).toBeCloseTo(eta.estimate({ holders, ahead: queue.slice(0, place), capacity }).p90Ms, 6);
  }
});

test("waits that are always twice the estimate are learned, at both quantiles", () => {
  const random = seededRandom(8);
  const eta = new QueueEta();
  const hits = { p50: 0, p90: 0 };
  const rounds = 4_000;
  for (let round = 0; round < rounds; round += 1) {
    const estimate = eta.estimate({ holders: [fresh(1_000, 0.6)], ahead: [], capacity: 1 });
    const waitMs = logNormal(random, 2_000, 1.2);
    if (round >= 500 && waitMs <= estimate.p50Ms) hits.p50 += 1;
    if (round >= 500 && waitMs <= estimate.p90Ms) hits.p90 += 1;
    eta.observe(estimate, waitMs);
  }
  expect(hits.p50 / (rounds - 500)).toBeCloseTo(0.5, 1);
  expect(Math.abs(hits.p90 / (rounds - 500) - 0.9)).toBeLessThan(0.02);
  const { coverage50Ratio, coverage90Ratio, observed } = eta.coverage();
  expect(observed).toBe(rounds);
  expect(Math.abs(coverage50Ratio - 0.5)).toBeLessThan(0.12);
  expect(Math.abs(coverage90Ratio - 0.9)).toBeLessThan(0.07);
});

test("truths that come late and all at once do not push a correction past what they say", () => {
  const eta = new QueueEta();
  const estimates = Array.from({ length: 3_000 }, () =>
    eta.estimate({ holders: [fresh(1_000, 0.1)], ahead: [], capacity: 1 }),
  );
  for (const estimate of estimates) eta.observe(estimate, 3_000);
  const { p50Ms, p90Ms } = eta.estimate({ holders: [fresh(1_000, 0.1)], ahead: [], capacity: 1 });
  expect(p50Ms).toBeGreaterThan(2_500);
  expect(p90Ms).toBeLessThan(4_500);
});

test("whatever it is given, an estimate is finite and its quantiles are in order", () => {
  const random = seededRandom(21);
  const eta = new QueueEta();
  const extreme = [0, Number.NaN, Number.POSITIVE_INFINITY, -5, 1e300, Number.MIN_VALUE];
  for (let round = 0; round < 500; round += 1) {
    const any = (): number =>
      random() < 0.5 ? extreme[Math.floor(random() * extreme.length)]! : 10 ** (14 * random()); // In range.
    const duration = (): DurationLike => ({
      ageMs: any(),
      p5Ms: any(),
      p50Ms: any(),
      p90Ms: any(),
      p95Ms: any(),
      p99Ms: any(),
    });
    const some = (max: number): readonly DurationLike[] => Array.from({ length: Math.floor(max * random()) }, duration);
    const view = { holders: some(4), ahead: [...some(12), some(3)], capacity: 1 + Math.floor(3 * random()) };
    const estimate = eta.estimate(view);
    expect(Number.isFinite(estimate.p90Ms), JSON.stringify(view)).toBe(true);
    expect(estimate.p50Ms).toBeGreaterThanOrEqual(0);
    expect(estimate.p90Ms).toBeGreaterThanOrEqual(estimate.p50Ms);
    eta.observe(estimate, random() < 0.5 ? 0 : 10 ** (14 * random()));
  }
});

test("what is no capacity or no wait is refused by name", () => {
  const eta = new QueueEta();
  expect(() => eta.estimate({ holders: [], ahead: [], capacity: 0 })).toThrow(
    /^capacity is 0; it must be a whole number/,
  );
  const estimate = eta.estimate({ holders: [fresh(1_000, 1)], ahead: [], capacity: 1 });
  expect(() => eta.observe(estimate, Number.NaN)).toThrow(/^actualWaitMs is NaN/);
  expect(() => eta.observe(estimate, -1)).toThrow(/^actualWaitMs is -1/);
});

test("corrections come back from bytes, and bytes of something else are refused", () => {
  const eta = new QueueEta();
  const view = { holders: [fresh(1_000, 1)], ahead: [fresh(1_000, 1)], capacity: 1 };
  for (let round = 0; round < 50; round += 1) eta.observe(eta.estimate(view), 30_000);
  const restored = QueueEta.restore(eta.serialize());
  expect(restored.estimate(view)).toEqual(eta.estimate(view));
  expect(restored.coverage()).toEqual(eta.coverage());
  const damaged = eta.serialize();
  damaged[20]! ^= 1; // In range.
  expect(() => QueueEta.restore(damaged)).toThrow(/damaged/);
});

test("a wait that outlasts its quantile is learned from before it ends, and once", () => {
  const eta = new QueueEta();
  const view = { holders: [fresh(1_000, 0.3)], ahead: [], capacity: 1 };
  const told = eta.estimate(view);
  const handle = eta.enter(told, 0)!; // Fewer than the limit.
  eta.enter(told, 60_000);
  const overdue = eta.estimate(view);
  expect(overdue.p50Ms).toBeGreaterThan(told.p50Ms);
  expect(overdue.p90Ms).toBeGreaterThan(told.p90Ms);
  expect(eta.coverage().observed).toBe(0);
  eta.granted(handle, 60_001);
  expect(eta.coverage().observed).toBe(1);
  expect(eta.estimate(view).p50Ms).toBe(overdue.p50Ms);
});

test("a wait that ends in time draws the estimates down, and one that is left teaches nothing more", () => {
  const eta = new QueueEta();
  const view = { holders: [fresh(1_000, 0.3)], ahead: [], capacity: 1 };
  const told = eta.estimate(view);
  const left = eta.enter(told, 0)!; // Fewer than the limit, so below.
  expect(eta.left(left)).toBe(true);
  expect(eta.left(left)).toBe(false);
  expect(eta.granted(left, 10)).toBe(false);
  expect(eta.estimate(view)).toEqual(told);
  expect(eta.granted(eta.enter(told, 100)!, 110)).toBe(true);
  expect(eta.estimate(view).p50Ms).toBeLessThan(told.p50Ms);
});

test("no more waits are followed than the limit, and reminders of those that left do not pile up", () => {
  const eta = new QueueEta(2);
  const estimate = eta.estimate({ holders: [fresh(1e9, 0.3)], ahead: [], capacity: 1 });
  for (let round = 0; round < 5_000; round += 1) {
    const handle = eta.enter(estimate, round)!; // One at a time.
    if (round % 2 === 0) eta.left(handle);
    else eta.granted(handle, round + 1);
  }
  expect(eta.enter(estimate, 5_000)).toBeDefined();
  expect(eta.enter(estimate, 5_000)).toBeDefined();
  expect(eta.enter(estimate, 5_000)).toBeUndefined();
  expect(eta.following).toBe(2);
});

test("where the short waits of a batch end first, following them keeps p50 honest and telling only their ends does not", () => {
  const covered = (follows: boolean): number => {
    const random = seededRandom(17);
    const eta = new QueueEta();
    const ends: { readonly atMs: number; readonly tell: () => void }[] = [];
    let hits = 0;
    const waits = 3_000;
    for (let wait = 0; wait < waits; wait += 1) {
      const nowMs = wait * 100;
      // A tenth of the run lasts as long as the longest waits, so most truths come late.
      const waitMs = logNormal(random, 60_000, 1.5);
      while (ends[0] !== undefined && ends[0].atMs <= nowMs) ends.shift()?.tell();
      const estimate = eta.estimate({ holders: [fresh(60_000, 1.5)], ahead: [], capacity: 1 });
      if (waitMs <= estimate.p50Ms) hits += 1;
      const handle = follows ? eta.enter(estimate, nowMs) : undefined;
      const atMs = nowMs + waitMs;
      const tell = (): void => {
        if (handle === undefined) eta.observe(estimate, waitMs);
        else eta.granted(handle, atMs);
      };
      ends.push({ atMs, tell });
      ends.sort((a, b) => a.atMs - b.atMs);
    }
    return hits / waits;
  };
  const followed = covered(true);
  expect(Math.abs(followed - 0.5)).toBeLessThan(0.08);
  expect(Math.abs(followed - 0.5)).toBeLessThan(Math.abs(covered(false) - 0.5));
});
