import { expect, test } from "vitest";
import { parseWorkersOptions } from "./options.ts";

test("options have defaults, and each takes a value", () => {
  expect(parseWorkersOptions([])).toEqual({ workers: 2, seconds: 4, repetitions: 3, json: undefined });
  expect(parseWorkersOptions(["--workers", "3", "--json", "run.json"])).toEqual({
    ...{ workers: 3, seconds: 4, repetitions: 3, json: "run.json" },
  });
});

test("what is not understood is said", () => {
  expect(parseWorkersOptions(["--workers"])).toBe("--workers needs a value.");
  expect(parseWorkersOptions(["--workers", "1"])).toBe("--workers is 1; it takes 2 to 64.");
  expect(parseWorkersOptions(["--worker", "2"])).toBe("--worker is not an option.");
  expect(parseWorkersOptions(["--seconds", "soon"])).toContain("--seconds is");
});
