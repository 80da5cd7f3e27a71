// table.test.ts: what a terminal shows.

import { expect, test } from "vitest";
import { count, duration, ratio, table } from "./table.ts";

test("columns line up: names left, numbers right", () => {
  expect(
    table(
      ["target", "cycles/s"],
      [
        ["forelock", "87,412"],
        ["etcd3", "9"],
      ],
    ),
  ).toBe(["target    cycles/s", "--------  --------", "forelock    87,412", "etcd3            9"].join("\n"));
});

test("a missing cell is blank", () => {
  expect(table(["a", "b", "c"], [["1"]])).toBe("a  b  c\n-  -  -\n1");
});

test("numbers carry three digits and a unit that fits", () => {
  expect([0.0123, 4.5678, 1234, Number.NaN].map(duration)).toEqual(["12.3 us", "4.57 ms", "1.23 s", "-"]);
  expect([2.345, 123.4, 0.0512].map(ratio)).toEqual(["2.35x", "123x", "0.0512x"]);
  expect([87412.4, Number.NaN].map(count)).toEqual(["87,412", "-"]);
});
