import { describe, expect, test } from "vitest";
import { HeartbeatRhythm } from "./suspicion.ts";

/** Heartbeats at these moments. */
function rhythmOf(...moments: readonly number[]): HeartbeatRhythm {
  const rhythm = new HeartbeatRhythm();
  for (const moment of moments) rhythm.heard(moment);
  return rhythm;
}

const steady = (beats: number, everyMs: number): readonly number[] =>
  Array.from({ length: beats }, (_, index) => index * everyMs);

describe("a client with a steady rhythm", () => {
  const rhythm = rhythmOf(...steady(20, 1_000)); // The last at 19,000.

  test("is not suspected while the next heartbeat is not due", () => {
    expect([rhythm.suspicion(19_000), rhythm.suspicion(19_500), rhythm.suspicion(20_000)]).toEqual([0, 0, 0]);
  });

  test("is suspected the more the longer it is silent, and never with certainty", () => {
    const suspicions = [20_050, 20_100, 20_200, 20_400, 40_000].map((nowMs) => rhythm.suspicion(nowMs));
    expect(suspicions).toEqual(suspicions.toSorted((a, b) => a - b));
    expect(suspicions[1]).toBeCloseTo(0.68, 1); // One standard deviation late.
    expect(suspicions[3]).toBeGreaterThan(0.999);
    expect(suspicions[4]).toBeLessThanOrEqual(1);
  });

  test("has no jitter to speak of", () => {
    expect(rhythm.jitterMs).toBe(0);
  });
});

test("the same silence tells less of a client that is often late", () => {
  const wild = rhythmOf(0, 500, 2_000, 2_300, 4_000, 4_600, 6_500, 7_000);
  const calm = rhythmOf(...steady(8, 1_000));
  expect(wild.suspicion(7_000 + 1_500)).toBeLessThan(calm.suspicion(7_000 + 1_500) / 1.5);
  expect(wild.jitterMs).toBeGreaterThan(400);
});

test("a rhythm that changes is learned anew", () => {
  const slower = rhythmOf(...steady(50, 100), ...steady(200, 5_000).map((ms) => 5_000 + ms));
  const lastMs = 5_000 + 199 * 5_000;
  expect(slower.suspicion(lastMs + 5_000)).toBeLessThan(0.2);
  expect(slower.suspicion(lastMs + 12_000)).toBeGreaterThan(0.95);
});

test("too few heartbeats suspect nobody, and a clock that falls breaks nothing", () => {
  expect(new HeartbeatRhythm().suspicion(1e9)).toBe(0);
  expect(rhythmOf(0, 1_000, 2_000).suspicion(1e9)).toBe(0);
  const fallen = rhythmOf(0, 1_000, 2_000, 500, 1_500, 2_500);
  expect(fallen.suspicion(3_000)).toBe(0);
  expect(fallen.suspicion(20_000)).toBeGreaterThan(0.9);
});
