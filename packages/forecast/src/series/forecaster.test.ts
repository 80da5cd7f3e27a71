// forecaster.test.ts: what a series forecaster promises: no look ahead, finite and ordered quantiles, honest intervals, recovery,
// bounded memory, equal answers to equal questions, refusals that say why.
import { describe, expect, test } from "vitest";
import { normal, seededRandom } from "../challenger/random.ts";
import { cruelHistories, dailyPattern } from "../challenger/testing/series.ts";
import type { SeriesForecast } from "./forecast.ts";
import { SeriesForecaster } from "./forecaster.ts";

const STEP_MS = 300_000;
const HOURLY = { stepMs: 3_600_000, seasonSteps: 24, weekSteps: 168 };
const FINE = { stepMs: STEP_MS, seasonSteps: 96, weekSteps: 672 };

type Grid = typeof HOURLY;

function taught(grid: Grid, values: ArrayLike<number>, key = "host"): SeriesForecaster {
  const forecaster = new SeriesForecaster(grid);
  teach(forecaster, grid, values, 0, key);
  return forecaster;
}

function teach(forecaster: SeriesForecaster, grid: Grid, values: ArrayLike<number>, from: number, key = "host"): void {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!; // In range.
    if (!Number.isNaN(value)) forecaster.observe(key, (from + index) * grid.stepMs, value);
  }
}

function load(length: number, seed: number, seasonSteps: number): Float64Array {
  const random = seededRandom(seed);
  return Float64Array.from({ length }, (_, t) => dailyPattern(t, seasonSteps) + 5 * normal(random));
}

function asked(forecaster: SeriesForecaster, horizon: number, key = "host"): SeriesForecast {
  const forecast = forecaster.forecast(key, horizon);
  if (forecast === undefined) throw new Error(`${key} is not known.`);
  return forecast;
}

function meanAbsolute(points: ArrayLike<number>, truth: ArrayLike<number>): number {
  let sum = 0;
  for (let step = 0; step < truth.length; step += 1) sum += Math.abs(points[step]! - truth[step]!); // As long as each other.
  return sum / truth.length;
}

function expectSound({ p5, p50, p90, p95, p99, steps }: SeriesForecast): void {
  const isSound = (step: number): boolean => {
    const levels = [p5, p50, p90, p95, p99].map((quantile) => quantile[step]!); // Below steps.
    return levels.every((value, level) => Number.isFinite(value) && value >= (levels[level - 1] ?? value));
  };
  expect(Array.from({ length: steps }, (_, step) => step).filter((step) => !isSound(step))).toEqual([]);
}

describe("what is forecast", () => {
  test("a daily pattern is forecast with an error near its noise", () => {
    for (const grid of [HOURLY, FINE]) {
      const values = load(20 * grid.seasonSteps, 1, grid.seasonSteps);
      const past = values.subarray(0, 19 * grid.seasonSteps);
      const truth = values.subarray(past.length, past.length + 48);
      expect(meanAbsolute(asked(taught(grid, past), 48).p50, truth)).toBeLessThan(6);
    }
  });

  test("values that come later change no forecast that was made before", () => {
    const values = load(1_500, 2, 96);
    const shuffled = values.slice();
    shuffled.subarray(1_000).reverse();
    const forecastsOf = (all: Float64Array): readonly SeriesForecast[] => {
      const forecaster = new SeriesForecaster(FINE);
      const forecasts: SeriesForecast[] = [];
      for (const [index, value] of all.subarray(0, 1_100).entries()) {
        if (index % 50 === 0 && index > 0 && index <= 1_000) forecasts.push(asked(forecaster, 48));
        forecaster.observe("host", index * STEP_MS, value);
      }
      return forecasts;
    };
    expect(forecastsOf(shuffled)).toEqual(forecastsOf(values));
  });

  test("clockwork is forecast without an error: what was said at an origin is scored with the value it was said of", () => {
    for (const grid of [HOURLY, FINE]) {
      const clockwork = Float64Array.from(
        { length: 12 * grid.seasonSteps },
        (_, t) => ((t % grid.seasonSteps) * 37) % 101,
      );
      const forecaster = taught(grid, clockwork.subarray(0, 11 * grid.seasonSteps));
      const truth = clockwork.subarray(11 * grid.seasonSteps).subarray(0, 24);
      // Were a delayed score taken one step off, smoothing would look better than what happened a day ago.
      expect(meanAbsolute(asked(forecaster, truth.length).p50, truth)).toBeLessThan(0.5);
      expect(asked(forecaster, 1).model).toMatch(/day|week/);
    }
  });

  test("with a short season the last value does not pass for the season", () => {
    const weekly = { stepMs: 86_400_000, seasonSteps: 7, weekSteps: 0 };
    const values = Float64Array.from({ length: 210 }, (_, t) => [10, 50, 20, 90, 40, 70, 5][t % 7]!); // 7 of them.
    const truth = values.subarray(0, 14); // 210 is a multiple of 7.
    expect(meanAbsolute(asked(taught(weekly, values), 14).p50, truth)).toBeLessThan(0.5);
  });

  test("a step of the level is followed within two half-lives", () => {
    const random = seededRandom(3);
    const values = Float64Array.from({ length: 1_400 }, (_, t) => (t < 1_200 ? 100 : 400) + 4 * normal(random));
    const forecaster = taught(FINE, values);
    const { p50 } = asked(forecaster, 24);
    expect(meanAbsolute(p50, new Float64Array(24).fill(400))).toBeLessThan(12);
  });

  test("one outlier is not taken for a level", () => {
    const values = load(1_000, 4, 96);
    const spiked = values.slice();
    spiked[999] = 1e6;
    const change = meanAbsolute(asked(taught(FINE, spiked), 48).p50, asked(taught(FINE, values), 48).p50);
    expect(change).toBeLessThan(40);
  });

  test("gaps are walked through, and the pattern is kept in step", () => {
    const values = load(20 * 96, 5, 96);
    const random = seededRandom(6);
    const holed = values.map((value, t) => (random() < 0.1 || (t > 900 && t < 1_150) ? Number.NaN : value));
    const past = holed.subarray(0, 19 * 96);
    expect(meanAbsolute(asked(taught(FINE, past), 48).p50, values.subarray(19 * 96, 19 * 96 + 48))).toBeLessThan(7);
  });

  test("after a gap longer than the history a key begins anew", () => {
    const forecaster = taught(HOURLY, load(200, 7, 24));
    forecaster.observe("host", 5_000 * HOURLY.stepMs, 3);
    expect(asked(forecaster, 1)).toMatchObject({ observations: 1 });
    expect(forecaster.history("host")).toEqual(Float64Array.of(3));
  });
});

describe("intervals", () => {
  test("nine in ten values of independent noise lie within p5 and p95, at every step ahead", () => {
    const random = seededRandom(8);
    const values = Float64Array.from(
      { length: 6_000 },
      () => 50 + 10 * normal(random) + (random() < 0.1 ? 30 * random() : 0),
    );
    const forecaster = new SeriesForecaster(FINE);
    let inside = 0;
    let scored = 0;
    for (const [index, value] of values.entries()) {
      if (index >= 2_000 && index % 8 === 0 && index + 8 <= values.length) {
        const { p5, p95 } = asked(forecaster, 8);
        for (let step = 0; step < 8; step += 1) {
          const truth = values[index + step]!; // In range.
          scored += 1;
          if (truth >= p5[step]! && truth <= p95[step]!) inside += 1; // Below 8.
        }
      }
      forecaster.observe("host", index * STEP_MS, value);
    }
    const sigma = Math.sqrt((0.9 * 0.1) / scored);
    expect(Math.abs(inside / scored - 0.9)).toBeLessThan(3 * sigma + 0.01); // The levels move about their place by design.
    expect(Math.abs(asked(forecaster, 1).coverage90Ratio - 0.9)).toBeLessThan(0.08);
  });

  test("a young key borrows the width that older keys of its kind have", () => {
    const wide = new SeriesForecaster(FINE);
    const calm = new SeriesForecaster(FINE);
    const random = seededRandom(9);
    for (let index = 0; index < 3_000; index += 1) {
      wide.observe("old", index * STEP_MS, 100 + (random() < 0.2 ? 60 : 1) * normal(random));
      calm.observe("old", index * STEP_MS, 100 + 10 * normal(random));
    }
    for (const forecaster of [wide, calm]) teach(forecaster, FINE, [100, 104, 97, 101], 3_000, "young");
    const widthOf = ({ p5, p95 }: SeriesForecast): number => p95[0]! - p5[0]!; // At least one step.
    expect(widthOf(asked(wide, 1, "young"))).toBeGreaterThan(1.2 * widthOf(asked(calm, 1, "young")));
  });
});

describe("whatever comes", () => {
  test.each(Object.entries(cruelHistories()))(
    "quantiles of %s are finite and in order, from the first value on",
    (_, values) => {
      const sane = values.filter((value) => Math.abs(value) <= 1e100);
      for (const grid of [HOURLY, FINE, { stepMs: 10_000, seasonSteps: 0, weekSteps: 0 }]) {
        const forecaster = new SeriesForecaster(grid);
        for (const [index, value] of sane.entries()) {
          forecaster.observe("host", index * grid.stepMs, value);
          if (index < 5 || index % 97 === 0) expectSound(asked(forecaster, 70));
        }
      }
    },
  );

  test("equal calls give bit-equal answers", () => {
    const values = load(1_200, 10, 96);
    expect(asked(taught(FINE, values), 48)).toEqual(asked(taught(FINE, values), 48));
    expect(Buffer.compare(taught(FINE, values).save(), taught(FINE, values).save())).toBe(0);
  });

  test("a forecast fills the arrays it is given when they have room", () => {
    const forecaster = taught(HOURLY, load(100, 11, 24));
    const first = asked(forecaster, 48);
    expect(forecaster.forecast("host", 12, first)).toBe(first);
    expect(first.steps).toBe(12);
    expect(forecaster.forecast("host", 49, first)).not.toBe(first);
  });
});

test("a series that never was below zero is not forecast there; one that was, is", () => {
  const random = seededRandom(16);
  const bursts = Float64Array.from({ length: 600 }, () => (random() < 0.3 ? 20 * random() : 0.1));
  expect(asked(taught(HOURLY, bursts), 48).p5.every((value) => value >= 0)).toBe(true);
  const shifted = bursts.map((value) => value - 100);
  expect(asked(taught(HOURLY, shifted), 48).p50.every((value) => value < 0)).toBe(true);
});

describe("keys", () => {
  test("the key longest unused makes room, and begins anew when it comes back", () => {
    const forecaster = new SeriesForecaster({ ...HOURLY, keysMax: 2 });
    for (const key of ["a", "b"]) teach(forecaster, HOURLY, load(60, 12, 24), 0, key);
    asked(forecaster, 1, "a");
    forecaster.observe("c", 0, 5);
    expect(forecaster.size).toBe(2);
    expect(forecaster.forecast("b", 1)).toBeUndefined();
    expect(asked(forecaster, 1, "a").observations).toBe(60);
    forecaster.observe("b", 0, 7);
    expect(asked(forecaster, 3, "b").p50).toEqual(Float64Array.of(7, 7, 7));
  });

  test("keys do not disturb each other's point forecasts", () => {
    const values = load(400, 13, 24);
    const both = new SeriesForecaster({ ...HOURLY, keysMax: 8 });
    for (const [index, value] of values.entries())
      for (const key of ["noise", "host"])
        both.observe(key, index * HOURLY.stepMs, key === "host" ? value : 1e6 * ((index * 7) % 5));
    expect(asked(both, 48).p50).toEqual(asked(taught(HOURLY, values), 48).p50);
  });

  test("the busiest keys come first", () => {
    const forecaster = new SeriesForecaster(HOURLY);
    teach(forecaster, HOURLY, load(10, 14, 24), 0, "quiet");
    teach(forecaster, HOURLY, load(30, 14, 24), 0, "busy");
    expect(forecaster.busiest(1)).toEqual(["busy"]);
    for (let call = 0; call < 40; call += 1) asked(forecaster, 1, "quiet");
    expect(forecaster.busiest(5)).toEqual(["quiet", "busy"]);
  });

  test("the history is a copy of the newest values, with gaps as NaN", () => {
    const forecaster = new SeriesForecaster({ ...HOURLY, historySteps: 256 });
    const values = Float64Array.from({ length: 300 }, (_, t) => (t === 290 ? Number.NaN : t));
    teach(forecaster, HOURLY, values, 0);
    expect(forecaster.history("host")).toEqual(values.slice(-256));
    expect(forecaster.newest("host")).toBe(299 * HOURLY.stepMs);
    expect(forecaster.history("nobody")).toHaveLength(0);
  });
});

describe("refusals name the field, the value and the range, and change nothing", () => {
  test.each([
    ["value", (f: SeriesForecaster) => f.observe("host", 1e9, Number.NaN), "value is NaN"],
    ["value", (f: SeriesForecaster) => f.observe("host", 1e9, 1e101), "from -1e+100 to 1e+100"],
    ["t", (f: SeriesForecaster) => f.observe("host", Number.NaN, 1), "t is NaN"],
    ["t", (f: SeriesForecaster) => f.observe("host", 9 * HOURLY.stepMs, 1), `must be at least ${10 * HOURLY.stepMs}`],
    [
      "horizon",
      (f: SeriesForecaster) => f.forecast("host", 0),
      "horizon is 0; it must be a whole number from 1 to 4096",
    ],
    ["points", (f: SeriesForecaster) => f.offer("host", "m", 0, Float64Array.of(1, Infinity)), "points[1] is Infinity"],
  ])("%s", (_, act, message) => {
    const forecaster = taught(HOURLY, load(10, 15, 24));
    const before = forecaster.save();
    expect(() => act(forecaster)).toThrow(message);
    expect(Buffer.compare(forecaster.save(), before)).toBe(0);
  });

  test.each([
    [{ stepMs: 0 }, "stepMs is 0"],
    [{ seasonSteps: 1 }, "seasonSteps is 1"],
    [{ weekSteps: 100 }, "weekSteps is 100; it must be 0 or a multiple of seasonSteps, 24"],
    [{ historySteps: 1_000 }, "historySteps is 1000; it must be a power of two, such as 1024"],
    [{ keysMax: 0 }, "keysMax is 0"],
  ])("options %j", (options, message) => {
    expect(() => new SeriesForecaster({ ...HOURLY, ...options })).toThrow(message);
  });
});
