import { expect, test } from "vitest";
import { figure, judged, tableOf, towards } from "./figure.ts";

test("the table says what was measured, the goal, and whether it was met", () => {
  const table = tableOf([
    towards(figure("safety", "operations checked", 12_345, "operations"), "10,000,000"),
    judged(figure("safety", "violations", 1, "violations"), "0", false),
    judged(figure("overload", "goodput at 3x", 0.954, "of that"), ">= 0.9", true),
  ]);
  expect(table.split("\n").map((row) => row.split(/ {2,}/))).toEqual([
    ["area", "figure", "value", "goal"],
    ["safety", "operations checked", "12,345 operations", "10,000,000"],
    ["safety", "violations", "1 violations", "0", "MISSED"],
    ["overload", "goodput at 3x", "0.95 of that", ">= 0.9", "met"],
  ]);
});
