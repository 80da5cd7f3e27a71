import { expect, test } from "vitest";
import { spread, threadTimesIn } from "./threads.ts";

const PAGE = `# TYPE forelock_worker_0_cpu_seconds_total counter
forelock_worker_0_cpu_seconds_total 1.5
forelock_worker_1_cpu_seconds_total 1.25
forelock_front_cpu_seconds_total 2
forelock_partition_moves_total 3
`;

test("the times of all threads are found in the metrics", () => {
  expect(threadTimesIn(PAGE)).toEqual({ frontMs: 2_000, workerMs: [1_500, 1_250], moves: 3 });
  expect(() => threadTimesIn("forelock_up 1\n")).toThrow("no workers");
});

test("the spread is of what was taken in between", () => {
  const before = { frontMs: 0, workerMs: [100, 200], moves: 0 };
  expect(spread(before, { frontMs: 0, workerMs: [200, 250], moves: 0 })).toBe(2);
});
