import { describe, expect, test } from "vitest";
import type { Clock } from "../environment.ts";
import { heartbeatIntervalMs, tickIntervalMs } from "./heartbeats.ts";
import { Lease, PartitionLeases } from "./lease.ts";

function manualClock(): Clock & { nowMs: number; sleptMs: number } {
  const clock = {
    nowMs: 1_000,
    sleptMs: 0,
    wallMs: () => 1_700_000_000_000 + clock.nowMs + clock.sleptMs,
    monotonicMs: () => clock.nowMs,
    after: () => ({ dispose: () => {} }),
  };
  return clock;
}

/** What is remembered must never say longer than what is looked up. */
function remainingMs(lease: Lease): number {
  const hasPassed = lease.hasPassed();
  const leftMs = lease.remainingMs();
  expect(hasPassed).toBe(leftMs <= 0);
  return leftMs;
}

describe("safe-until", () => {
  test("is the time of sending plus the ttl, less 500 ms or a twentieth of the ttl", () => {
    const clock = manualClock();
    const short = new Lease(clock);
    short.extend(1_000, 1_000);
    expect(remainingMs(short)).toBeCloseTo(500, 2);
    const long = new Lease(clock);
    long.extend(1_000, 30_000);
    expect(remainingMs(long)).toBeCloseTo(28_500, 2);
    clock.nowMs += 28_501;
    expect(remainingMs(long)).toBeLessThan(0);
  });

  test("never falls: an answer to an older heartbeat changes nothing", () => {
    const lease = new Lease(manualClock());
    lease.extend(1_000, 30_000);
    lease.extend(400, 30_000);
    expect(remainingMs(lease)).toBeCloseTo(28_500, 2);
  });

  test("is seen by every thread that shares the memory", () => {
    const clock = manualClock();
    const main = new Lease(clock);
    new Lease(clock, main.shared).extend(1_000, 30_000);
    expect(remainingMs(main)).toBeCloseTo(28_500, 2);
  });

  test("counts the time that the machine slept, until the next heartbeat; a wall clock put back counts nothing", () => {
    const clock = manualClock();
    const lease = new Lease(clock);
    lease.extend(1_000, 30_000);
    clock.sleptMs = 20_000;
    expect(remainingMs(lease)).toBeCloseTo(8_500, 2);
    lease.extend(1_001, 30_000);
    expect(remainingMs(lease)).toBeCloseTo(28_501, 2);
    clock.sleptMs = -50_000;
    expect(remainingMs(lease)).toBeCloseTo(28_501, 2);
  });
});

test("has passed once the time is over, also when the machine slept it away, and not any more after a heartbeat", () => {
  const clock = manualClock();
  const main = new Lease(clock);
  const heartbeats = new Lease(clock, main.shared);
  expect(main.hasPassed()).toBe(true); // Before the first.
  heartbeats.extend(1_000, 30_000);
  expect(main.hasPassed()).toBe(false);
  clock.nowMs += 28_000;
  expect(main.hasPassed()).toBe(false);
  clock.sleptMs = 600;
  expect(main.hasPassed()).toBe(true);
  heartbeats.extend(clock.nowMs, 30_000);
  expect(main.hasPassed()).toBe(false);
  clock.nowMs += 28_501;
  expect(main.hasPassed()).toBe(true);
});

test("the silence of the main loop is measured from its last turn", () => {
  const clock = manualClock();
  const lease = new Lease(clock);
  lease.tick();
  clock.nowMs += 700;
  expect(lease.sinceTickMs()).toBeCloseTo(700, 2);
});

test.each([1_000, 10_000, 30_000, 300_000])(
  "heartbeats of a ttl of %d ms come more often than every tenth of it",
  (ttlMs) => {
    expect(heartbeatIntervalMs(ttlMs)).toBeLessThan(ttlMs / 10);
    expect(heartbeatIntervalMs(ttlMs)).toBeLessThanOrEqual(2_500);
    expect(tickIntervalMs(ttlMs)).toBeLessThan(heartbeatIntervalMs(ttlMs));
  },
);

describe("safe-until of partitions", () => {
  test("is moved for those that an answer lists, and for no others", () => {
    const leases = PartitionLeases.forPartitions(manualClock(), 4);
    leases.extend([1, 3], 1_000, 30_000);
    expect([0, 1, 2, 3].map((partition) => leases.hasPassed(partition))).toEqual([true, false, true, false]);
    expect(leases.remainingMs(3)).toBeCloseTo(28_500, 2);
    leases.extendAll(1_000, 10_000);
    expect(leases.remainingMs(3)).toBeCloseTo(28_500, 2); // It never falls.
    expect(leases.remainingMs(0)).toBeCloseTo(9_500, 2);
  });

  test("is seen by every thread, and has passed for a partition that there is not", () => {
    const clock = manualClock();
    const main = PartitionLeases.forPartitions(clock, 2);
    new PartitionLeases(clock, main.shared).extend([1], 1_000, 30_000);
    expect(main.hasPassed(1)).toBe(false);
    expect(main.hasPassed(2)).toBe(true);
    clock.nowMs += 28_501;
    expect(main.hasPassed(1)).toBe(true);
  });
});
