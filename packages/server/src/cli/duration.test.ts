import { expect, test } from "vitest";
import { formatDuration, formatLatency, parseDurationMs } from "./duration.ts";
import { UsageError } from "./usage-error.ts";

test.each([
  ["250ms", 250],
  ["5s", 5_000],
  ["1.5s", 1_500],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["0s", 0],
  ["0.1ms", 1],
])("%s is %d ms", (text, ms) => {
  expect(parseDurationMs("--wait", text)).toBe(ms);
});

test.each(["5", "", "-5s", "5 s", "s", "5sec", "1e3ms", "5S", "1m30s", "٥s", "99999999999s"])(
  'a duration "%s" is refused with field, value and form',
  (text) => {
    expect(() => parseDurationMs("--wait", text)).toThrow(UsageError);
    expect(() => parseDurationMs("--wait", text)).toThrow(
      `--wait is "${text}": give a number and a unit, ms, s, m or h`,
    );
  },
);

test("a duration beyond what the wire carries is refused, not cut", () => {
  expect(() => parseDurationMs("--wait", "1194h")).toThrow("at most 1193h");
});

test.each([
  [-3, "0 ms"],
  [0, "0 ms"],
  [999, "999 ms"],
  [1_234, "1.23 s"],
  [12_345, "12.3 s"],
  [59_999, "1 m 00 s"],
  [245_000, "4 m 05 s"],
  [3_600_000, "1 h 00 m"],
  [90_000_000, "1 d 01 h"],
])("%d ms reads as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("latencies below a millisecond are given in microseconds", () => {
  expect([0.0421, 1.234, 12.34, 250].map(formatLatency)).toEqual(["42 us", "1.23 ms", "12.3 ms", "250 ms"]);
});
