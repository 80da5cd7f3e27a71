// options.test.ts: the command line is understood, or says what it did not understand.

import { expect, test } from "vitest";
import { parseOptions } from "./options.ts";

test("nothing given means everything, three times, two seconds each", () => {
  expect(parseOptions([])).toMatchObject({
    peers: true,
    only: [],
    seconds: 2,
    repetitions: 3,
    profile: false,
    json: undefined,
  });
});

test("a suite, repeated scenarios and values", () => {
  const words = [
    "forelock-only",
    "--only",
    "held",
    "--only",
    "disk",
    "--seconds",
    "0.5",
    "--json",
    "run.json",
    "--profile",
  ];
  expect(parseOptions(words)).toMatchObject({
    peers: false,
    only: ["held", "disk"],
    seconds: 0.5,
    json: "run.json",
    profile: true,
  });
});

test.each([
  [["--fast"], "--fast is not an option."],
  [["--json"], "--json needs a value."],
  [["--only", "magic"], "There is no scenario magic"],
  [["--seconds", "0"], "--seconds, --repetitions and --scale are positive."],
])("%j is refused with a sentence", (words, sentence) => {
  expect(parseOptions(words)).toContain(sentence);
});
