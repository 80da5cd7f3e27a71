import { expect, test } from "vitest";
import { parseClusterOptions } from "./options.ts";

test("without arguments everything is measured in its short form", () => {
  expect(parseClusterOptions([])).toMatchObject({ only: [], nodes: 3, moves: 100, appendMb: 384, json: undefined });
});

test("the full form appends 2,048 MB", () => {
  expect(parseClusterOptions(["--full"])).toMatchObject({ appendMb: 2_048 });
});

test("--json takes a file, or none for the standard output", () => {
  expect(parseClusterOptions(["--json", "--full"])).toMatchObject({ json: "-", appendMb: 2_048 });
  expect(parseClusterOptions(["--json", "run.json"])).toMatchObject({ json: "run.json" });
});

test("one node is refused, and so is what is not known", () => {
  expect(parseClusterOptions(["--nodes", "1"])).toContain("2 or more");
  expect(parseClusterOptions(["--only", "nothing"])).toContain("There is no part nothing");
  expect(parseClusterOptions(["--fast"])).toBe("--fast is not an option.");
  expect(parseClusterOptions(["--moves", "none"])).toBe("--moves is positive.");
});
