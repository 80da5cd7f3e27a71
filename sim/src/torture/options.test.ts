import { expect, test } from "vitest";
import { ALL_FAULTS, FAULTS } from "./faults/kinds.ts";
import { faultsNamed } from "./faults/storm.ts";
import { commandOf, parseOptions } from "./options.ts";

test("a run is repeated by the command that it prints", () => {
  const args = [
    "--seconds",
    "20",
    "--seed",
    "7",
    "--history",
    "h.jsonl",
    "--faults",
    "kill,lost_answers",
    "--cluster",
    "--loopback",
  ];
  const options = parseOptions(args, () => "/nowhere");
  if (options === "help") throw new Error("that was not asked for");
  const again = commandOf(options).split(" -- ")[1]?.split(" ") ?? [];
  expect(parseOptions(again, () => "/elsewhere")).toEqual(options);
});

test.each([
  [["--seconds", "0"], "--seconds: 0; allowed 1 to"],
  [["--seed", "-1"], "argument is ambiguous"],
  [["--seed", "x"], "--seed: x; allowed 0 to"],
  [["--speed", "1"], "Unknown option"],
])("%j is refused", (args, complaint) => {
  expect(() => parseOptions(args, () => "/nowhere")).toThrow(complaint);
});

test("a fault that does not exist is named, with those that do", () => {
  expect(() => faultsNamed(["kill", "earthquake"], FAULTS, ALL_FAULTS)).toThrow(
    /earthquake; there are kill, .*power_cut/,
  );
});

test("the faults that break the promises by themselves are never drawn", () => {
  const kinds = faultsNamed(undefined, FAULTS, ALL_FAULTS).map(({ kind }) => kind);
  expect(kinds).not.toContain("lying_power_cut");
  expect(kinds.length).toBeGreaterThanOrEqual(12);
});
