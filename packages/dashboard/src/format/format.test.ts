import { expect, test } from "vitest";
import { age, bytes, duration, durations, percent, plural, shortId } from "./format.ts";

test.each([
  [0, "0 ms"],
  [0.4, "0 ms"],
  [4.25, "4.3 ms"],
  [999, "999 ms"],
  [999.9, "1 s"],
  [1_540, "1.5 s"],
  [12_400, "12 s"],
  [59_960, "1 min"],
  [61_000, "1 min 1 s"],
  [3_600_000, "1 h"],
  [3_725_000, "1 h 2 min"],
  [90_000_000, "1 d 1 h"],
  [-5, "0 ms"],
  [Number.NaN, "–"],
  [Number.POSITIVE_INFINITY, "–"],
])("%d ms read as %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test("ages tick in whole seconds", () => {
  expect([age(10), age(1_999), age(61_500)]).toEqual(["< 1 s", "1 s", "1 min 1 s"]);
});

test("other figures have one form each", () => {
  expect([percent(0), percent(0.034), percent(0.5), percent(1)]).toEqual(["0 %", "3.4 %", "50 %", "100 %"]);
  expect([bytes(0), bytes(1_536), bytes(3 * 1_024 ** 3)]).toEqual(["0 B", "1.5 KiB", "3 GiB"]);
  expect([plural(1, "grant"), plural(1_200, "grant")]).toEqual(["1 grant", "1,200 grants"]);
  expect([durations(3_000, 8_000), durations(3_010, 3_020)]).toEqual(["3 s to 8 s", "3 s"]);
  expect([shortId("abc"), shortId("bCdmYNQuXiZoMnhqFsfAkA")]).toEqual(["abc", "bCdmYNQu…"]);
});
