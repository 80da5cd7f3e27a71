// series.test.ts: files are read as they are meant, scores are those of the rules, and the made-up back-test beats the naive one.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { emptySeriesForecast } from "@forelock/forecast";
import { describe, expect, test } from "vitest";
import { calibrationSvg, calibrationText } from "./calibration.ts";
import { backTestPack, backTestSeries, packNaive, seasonalNaive, simplePeers, summarise } from "./series.ts";
import { makeSeries, parseSeries, readPacks } from "./series-file.ts";
import { originsOf, SeriesTally, scaleOf } from "./series-score.ts";

describe("a file of a series", () => {
  test("has its step, its gaps and its season from its times", () => {
    const lines = Array.from({ length: 100 }, (_, index) => `${index * 3_600},${index === 3 ? "" : index}`);
    lines.splice(50, 1);
    const series = parseSeries("a.csv", ["timestamp,value", ...lines, ""].join("\n"));
    expect(series).toMatchObject({ stepMs: 3_600_000, seasonSteps: 24, weekSteps: 168, horizon: 48 });
    expect(series.values).toHaveLength(100);
    expect(Array.from(series.values.subarray(2, 5))).toEqual([2, Number.NaN, 4]);
    expect(series.values[50]).toBeNaN();
    expect(series.values[99]).toBe(99);
  });

  test.each([
    ["days", 86_400, { seasonSteps: 7, weekSteps: 0, horizon: 14 }],
    ["seconds", 10, { seasonSteps: 0, weekSteps: 0, horizon: 12 }],
  ])("of %s follows the rules for its step", (_, seconds, rules) => {
    const lines = Array.from({ length: 30 }, (_, index) => `${index * seconds},${index}`);
    expect(parseSeries("a.csv", ["timestamp,value", ...lines].join("\n"))).toMatchObject(rules);
  });

  test("with a line that is none is refused by its number", () => {
    expect(() => parseSeries("a.csv", "timestamp,value\n0,1\n300,many\n")).toThrow('a.csv, line 3: "300,many"');
  });
});

describe("scores", () => {
  test("the scale is the mean change over a season, without pairs that have a gap", () => {
    expect(scaleOf(Float64Array.of(1, 2, 4, Number.NaN, 8), 5, 2)).toBe((3 + 4) / 2);
    expect(scaleOf(Float64Array.of(1, 2, 4), 3, 0)).toBe(1.5);
  });

  test("origins are sixteen in the last part, each with a whole horizon after it", () => {
    const origins = originsOf(1_000, 48);
    expect(origins).toHaveLength(16);
    expect(origins[0]).toBeGreaterThan(600);
    expect(Math.max(...origins) + 48).toBeLessThanOrEqual(1_000);
  });

  test("a forecast is scored against the truth that is there", () => {
    const forecast = emptySeriesForecast(3);
    forecast.steps = 3;
    forecast.p50.fill(10);
    forecast.p5.fill(8);
    for (const quantile of [forecast.p90, forecast.p95, forecast.p99]) quantile.fill(12);
    const tally = new SeriesTally(2);
    tally.add(Float64Array.of(11, Number.NaN, 14), forecast);
    const pinball = (0.05 * 3 + 0.5 * 1 + 0.05 * 1 + 0.05 * 6 + 0.5 * 4 + 0.95 * 2) / 6;
    expect(tally.score()).toMatchObject({ mase: (1 + 4) / 2 / 2, coverage90: 0.5, below: [0, 0, 0.5, 0.5, 0.5] });
    expect(tally.score().scaledPinball).toBeCloseTo((2 * pinball) / 2, 12);
  });

  test("the seasonal naive goes back as many seasons as it must", () => {
    const past = Float64Array.of(1, 2, 3, 4, Number.NaN, 6);
    expect(Array.from(seasonalNaive(past, 3, 5))).toEqual([4, 6, 6, 4, 6]);
  });

  const folder = process.env["FORELOCK_BENCH_DATA"];
  const pack = folder === undefined ? "" : join(folder, "series");
  test.skipIf(!existsSync(pack))("the daily naive scores 1.233 on the odd half of M4 hourly", () => {
    const odd = readPacks(pack).filter(({ id }) => Number(id.slice(1)) % 2 === 1);
    expect(packNaive(odd)).toBeCloseTo(1.233, 3);
  });
});

describe("the back-test", () => {
  test("of made-up series beats the naive ones, with honest intervals", () => {
    const all = makeSeries(5);
    const { maseMean, coverage90Mean, files } = summarise(all.map((series) => backTestSeries(series, false)));
    const naive = all.map((series) => simplePeers(series));
    for (const name of ["last value", "seasonal naive"])
      expect(maseMean).toBeLessThan(0.9 * naive.reduce((sum, scores) => sum + (scores[name] ?? 0) / naive.length, 0));
    expect(Math.abs(coverage90Mean - 0.9)).toBeLessThan(0.06);
    expect(files.map(({ file }) => file)).toEqual(all.map(({ file }) => file));
  });

  test("with challengers is the same for the same data, and no worse than without", () => {
    const values = Float64Array.from(
      { length: 748 },
      (_, t) => 100 + 30 * Math.sin((2 * Math.PI * t) / 24) + 0.2 * t + ((t * 7_919) % 13),
    );
    const pack = [{ id: "H1", train: values.subarray(0, 700), test: values.subarray(700) }];
    const challenged = backTestPack(pack, true);
    expect(backTestPack(pack, true)).toEqual(challenged);
    expect(challenged.maseMean).toBeLessThanOrEqual(1.05 * backTestPack(pack, false).maseMean);
  }, 30_000);
});

test("the calibration is drawn with a mark for each level", () => {
  const curves = [
    {
      name: "a < b",
      points: [
        { promised: 0.5, observed: 0.5 },
        { promised: 0.9, observed: 0.8 },
      ],
    },
  ];
  const text = calibrationText(curves);
  expect(text).toContain("p50 ....................*");
  expect(text.split("\n")[2]).toMatch(/o\.+\|.* 0\.800$/);
  const svg = calibrationSvg(curves);
  expect(svg.match(/<circle /g)).toHaveLength(2);
  expect(svg).toContain("a &lt; b");
});
