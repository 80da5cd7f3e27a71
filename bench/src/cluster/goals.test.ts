import { expect, test } from "vitest";
import { judgeCluster, resultsOf } from "./goals.ts";
import type { CyclesFound } from "./run.ts";

const cycles = (...perSecond: readonly number[]): CyclesFound => ({ perSecond, p50Ms: 1, p99Ms: 2, cpuMsPerCycle: 1 });

test("the object has exactly the published keys, and null where nothing was measured", () => {
  expect(resultsOf({})).toEqual({
    ratios: { etcd3Lock: null, sharedLease: null },
    move: { pauseMsP99: null, failed: null },
    ownerDeath: { pauseMsMax: null },
    etcd: { fileMb: null },
  });
});

test("a ratio is of the medians, and unsure when single repetitions disagree about the goal", () => {
  const ratios = {
    forelock: cycles(1_600, 1_700, 1_500),
    etcd3: cycles(100, 100, 120),
    "shared-lease": cycles(100, 100, 100),
  };
  expect(resultsOf({ ratios }).ratios).toEqual({ etcd3Lock: 16, sharedLease: 16 });
  const [etcd3Lock, sharedLease] = judgeCluster({ ratios }, 2_000);
  expect(etcd3Lock).toMatchObject({ isMet: true, isSure: false });
  expect(sharedLease).toMatchObject({ isMet: true, isSure: true });
});

test("what was not measured is not judged", () => {
  expect(judgeCluster({}, 2_000)).toEqual([]);
});

test("a short form says for how much the goal of etcd's file is", () => {
  const growth = { appendedMb: 384, fileMb: 200, seconds: 10, lockCycles: 1, failed: 0, failure: undefined };
  expect(judgeCluster({ growth }, 2_000)[0]?.line).toContain("the goal is for 2048");
});

test("one pause beyond the bound misses the goal of an owner's death", () => {
  const deaths = { pausesMs: [2_200, 2_600], asked: 10, failed: 0, failure: undefined };
  expect(judgeCluster({ deaths }, 2_000)[0]).toMatchObject({ isMet: false, isSure: false });
});
