import { expect, test } from "vitest";
import { ServiceTime } from "./service-time.ts";

/** `partition epoch sequence elapsed` to when it was. */
function timesOf(...records: readonly (readonly [number, number, number, number])[]): readonly number[] {
  const time = new ServiceTime();
  return records.map(([partition, epoch, sequence, elapsedMs]) => time.take({ partition, epoch, sequence, elapsedMs }));
}

test("in a life whose start is in the log, elapsed times add up by partition", () => {
  expect(timesOf([0, 1, 1, 0], [1, 1, 1, 0], [0, 1, 2, 5_000], [1, 1, 2, 7_000], [0, 1, 3, 3_000])).toEqual([
    0, 0, 5_000, 7_000, 8_000,
  ]);
});

test("the next life begins where the last was heard of, in whichever partition", () => {
  expect(timesOf([0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 2, 9_000], [0, 2, 2, 10], [1, 2, 3, 12], [0, 2, 3, 1_000])).toEqual(
    [0, 0, 9_000, 9_010, 9_012, 10_010],
  );
});

test("where the beginning of a life is cut off, a partition speaks first at the moment of the others", () => {
  expect(timesOf([0, 4, 70, 3_600_000], [0, 4, 71, 1_000], [1, 4, 20, 3_601_000], [1, 4, 21, 500])).toEqual([
    0, 1_000, 1_000, 1_500,
  ]);
});
