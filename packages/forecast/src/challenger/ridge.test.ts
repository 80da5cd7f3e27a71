// ridge.test.ts: what the ridge challenger learns, and what it must survive.
import { expect, test } from "vitest";
import { normal, seededRandom } from "./random.ts";
import { ridgeChallenger } from "./ridge.ts";
import { cruelHistories, dailyPattern, meanError, seasonalSeries } from "./testing/series.ts";

const HOURLY = { seasonSteps: 24, weekSteps: 168, seed: 1 };

test("a pure daily pattern is continued to the last digit that matters", () => {
  const history = seasonalSeries({ length: 600, seasonSteps: 24, noise: 0, seed: 1 });
  const forecast = ridgeChallenger.fit(history, HOURLY)?.forecast(history, 48) ?? [];
  const truth = Array.from({ length: 48 }, (_, h) => dailyPattern(600 + h, 24));
  expect(meanError(forecast, truth)).toBeLessThan(0.1); // The pattern is 60 from low to high.
});

test("noise is averaged out: the error is below that of the day before", () => {
  const history = seasonalSeries({ length: 900, seasonSteps: 24, noise: 5, seed: 2 });
  const forecast = ridgeChallenger.fit(history, HOURLY)?.forecast(history, 48) ?? [];
  const truth = Array.from({ length: 48 }, (_, h) => dailyPattern(900 + h, 24));
  const dayBefore = truth.map((_, h) => history[900 - 24 + (h % 24)] ?? 0);
  expect(meanError(forecast, truth)).toBeLessThan(0.6 * meanError(dayBefore, truth));
});

test("a working week is told from its weekend", () => {
  const isWeekend = (t: number): boolean => t % 168 >= 120;
  const value = (t: number): number => (isWeekend(t) ? 0.3 : 1) * dailyPattern(t, 24);
  const random = seededRandom(3);
  const history = Float64Array.from({ length: 114 + 168 * 5 }, (_, t) => value(t) + normal(random));
  const forecast = ridgeChallenger.fit(history, HOURLY)?.forecast(history, 48) ?? [];
  const truth = Array.from({ length: 48 }, (_, h) => value(history.length + h));
  const dayBefore = truth.map((_, h) => history[history.length - 24 + (h % 24)] ?? 0);
  expect(meanError(forecast, truth)).toBeLessThan(0.2 * meanError(dayBefore, truth));
});

test("an outage of a hundred in the past costs little", () => {
  const clean = seasonalSeries({ length: 800, seasonSteps: 24, noise: 1, seed: 4 });
  const broken = clean.map((value, t) => (t >= 400 && t < 430 ? 0 : value));
  const truth = Array.from({ length: 48 }, (_, h) => dailyPattern(800 + h, 24));
  const forecast = ridgeChallenger.fit(broken, HOURLY)?.forecast(broken, 48) ?? [];
  expect(meanError(forecast, truth)).toBeLessThan(5);
});

test("without a season, a process that remembers is forecast better than by its last value", () => {
  const random = seededRandom(6);
  const values = new Float64Array(1200);
  for (let t = 2; t < values.length; t++) {
    values[t] = 1.4 * (values[t - 1] ?? 0) - 0.8 * (values[t - 2] ?? 0) + normal(random);
  }
  const fitted = ridgeChallenger.fit(values.subarray(0, 1000), { seasonSteps: 0, weekSteps: 0, seed: 1 });
  const origins = Array.from({ length: 30 }, (_, i) => 1000 + 6 * i);
  const errors = origins.map((origin) => {
    const truth = values.subarray(origin, origin + 6);
    const forecast = fitted?.forecast(values.subarray(0, origin), 6) ?? [];
    return [meanError(forecast, truth), meanError(new Float64Array(6).fill(values[origin - 1] ?? 0), truth)] as const;
  });
  const sum = (at: 0 | 1): number => errors.reduce((total, error) => total + error[at], 0);
  expect(sum(0)).toBeLessThan(0.7 * sum(1));
});

test("a fit from a while ago follows a level that has moved since", () => {
  const history = seasonalSeries({ length: 700, seasonSteps: 24, noise: 1, seed: 7 });
  const fitted = ridgeChallenger.fit(history, HOURLY);
  const recent = Float64Array.from({ length: 700 + 48 }, (_, t) => dailyPattern(t, 24) + (t >= 700 ? 500 : 0));
  const forecast = fitted?.forecast(recent, 3) ?? [];
  expect(forecast[0]).toBeGreaterThan(300); // The old level is 100, the new one 600.
});

test.each(Object.entries(cruelHistories()))("%s: finite or no fit, and the same for the same seed", (_, history) => {
  for (const options of [HOURLY, { seasonSteps: 0, weekSteps: 0, seed: 1 }]) {
    const before = Float64Array.from(history);
    const forecast = ridgeChallenger.fit(history, options)?.forecast(history, 60);
    expect(history).toEqual(before);
    expect(forecast?.every(Number.isFinite) ?? true).toBe(true);
    expect(ridgeChallenger.fit(history, options)?.forecast(history, 60)).toEqual(forecast);
  }
});
