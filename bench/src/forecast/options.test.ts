// options.test.ts: the command line of `bench forecast` is understood, or says what it did not understand.
import { expect, test } from "vitest";
import { parseForecastOptions } from "./options.ts";

test("nothing given means made-up data, everything, and tables for people", () => {
  const expected = {
    series: undefined,
    durations: undefined,
    json: undefined,
    svg: undefined,
    challengers: true,
    packages: true,
  };
  expect(parseForecastOptions([], undefined)).toEqual(expected);
});

test("the environment names a folder of both, and an argument goes before it", () => {
  expect(parseForecastOptions(["--series", "mine"], "all")).toMatchObject({
    series: "mine",
    durations: "all/durations",
  });
});

test("--json without a file goes to the standard output, wherever it stands", () => {
  expect(parseForecastOptions(["--json", "--hot"], undefined)).toMatchObject({ json: "-", challengers: false });
  expect(parseForecastOptions(["--svg", "a.svg", "--json"], undefined)).toMatchObject({ json: "-", svg: "a.svg" });
  expect(parseForecastOptions(["--json", "run.json", "--no-packages"], undefined)).toMatchObject({
    json: "run.json",
    packages: false,
  });
});

test.each([
  [["--fast"], "--fast is not an option."],
  [["--svg"], "--svg needs a value."],
  [["--series", "--json"], "--series needs a value."],
])("%j is refused with a sentence", (words, sentence) => {
  expect(parseForecastOptions(words, undefined)).toBe(sentence);
});
