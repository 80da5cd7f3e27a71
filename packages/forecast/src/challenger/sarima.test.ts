// sarima.test.ts: that the fit finds known coefficients and can never leave the stable region, and what the challenger survives.
import { expect, test } from "vitest";
import { armaOf, difference, freeOf, innovations, lostSteps, type SarimaOrder } from "./arma.ts";
import { normal, seededRandom } from "./random.ts";
import { sarimaChallenger } from "./sarima.ts";
import { fitSarima } from "./sarima-fit.ts";
import { cruelHistories, dailyPattern, meanError, seasonalSeries } from "./testing/series.ts";

const HOURLY = { seasonSteps: 24, weekSteps: 0, seed: 1 };
const ARMA_1_1: SarimaOrder = { p: 1, d: 0, q: 1, seasonalP: 0, seasonalD: 0, seasonalQ: 0, period: 1 };
const AIRLINE_12: SarimaOrder = { p: 1, d: 0, q: 1, seasonalP: 0, seasonalD: 1, seasonalQ: 1, period: 12 };

/** (1 - phi B) (1 - B^period) x = (1 + theta B) (1 + big B^period) e, or without the season for period 0. */
function simulate(options: { phi: number; theta: number; big: number; period: number; length: number }): Float64Array {
  const { phi, theta, big, period, length } = options;
  const random = seededRandom(11);
  const errors = Float64Array.from({ length }, () => normal(random));
  const e = (t: number): number => errors[t] ?? 0;
  const changes = new Float64Array(length);
  const values = new Float64Array(length);
  for (let t = 0; t < length; t++) {
    const seasonal = period > 0 ? big * e(t - period) + theta * big * e(t - period - 1) : 0;
    changes[t] = phi * (changes[t - 1] ?? 0) + e(t) + theta * e(t - 1) + seasonal;
    values[t] = (changes[t] ?? 0) + (period > 0 ? (values[t - period] ?? 0) : 0);
  }
  return values;
}

test("the coefficients of a simulated ARMA(1, 1) are found", () => {
  const values = simulate({ phi: 0.7, theta: 0.4, big: 0, period: 0, length: 4000 });
  const fitted = fitSarima(values, ARMA_1_1, 0);
  expect(-(fitted?.arma.ar.coefficients[0] ?? 0)).toBeCloseTo(0.7, 1);
  expect(fitted?.arma.ma.coefficients[0]).toBeCloseTo(0.4, 1);
});

test("the coefficients of a simulated seasonal model are found", () => {
  const values = simulate({ phi: 0.6, theta: -0.3, big: -0.5, period: 12, length: 5000 });
  const { arma } = fitSarima(values, AIRLINE_12, lostSteps(AIRLINE_12)) ?? {};
  expect(-(arma?.ar.coefficients[0] ?? 0)).toBeCloseTo(0.6, 1);
  expect([...(arma?.ma.lags ?? [])]).toEqual([1, 12, 13]);
  expect(arma?.ma.coefficients[0]).toBeCloseTo(-0.3, 1);
  expect(arma?.ma.coefficients[1]).toBeCloseTo(-0.5, 1);
  expect(arma?.ma.coefficients[2]).toBeCloseTo(0.15, 1);
});

test("A1: whatever the parameters, an impulse dies out in the model and in its inverse", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 60; round++) {
    const order: SarimaOrder = { p: 3, d: 0, q: 3, seasonalP: 1, seasonalD: 0, seasonalQ: 1, period: 4 };
    const arma = armaOf(
      order,
      Float64Array.from({ length: 8 }, () => 1.5 * normal(random)),
    );
    for (const { lags, coefficients } of [arma.ar, arma.ma]) {
      const response = new Float64Array(40_000);
      response[0] = 1;
      for (let t = 1; t < response.length; t++) {
        let sum = 0;
        for (let i = 0; i < lags.length; i++) sum -= (coefficients[i] ?? 0) * (response[t - (lags[i] ?? 0)] ?? 0);
        response[t] = sum;
      }
      const peak = (from: number, until: number): number =>
        response.subarray(from, until).reduce((high, value) => Math.max(high, Math.abs(value)), 0);
      expect(peak(20_000, 40_000)).toBeLessThan(peak(0, 20_000)); // Close to the edge it takes its time, but it dies out.
    }
  }
});

test("partial autocorrelations and coefficients are two names of one model", () => {
  const free = Float64Array.of(0.4, -0.9, 0.2);
  const { ar } = armaOf({ ...ARMA_1_1, p: 3, q: 0 }, free);
  const back = freeOf(ar.coefficients.map((value) => -value));
  for (const [i, value] of free.entries()) expect(back[i]).toBeCloseTo(value, 9);
});

test("innovations undo what the model did", () => {
  const random = seededRandom(4);
  const arma = armaOf(ARMA_1_1, Float64Array.of(0.5, -0.3));
  const truth = Float64Array.from({ length: 300 }, () => normal(random));
  const values = new Float64Array(300);
  for (let t = 0; t < 300; t++) {
    const own = (arma.ar.coefficients[0] ?? 0) * (values[t - 1] ?? 0);
    values[t] = (truth[t] ?? 0) + (arma.ma.coefficients[0] ?? 0) * (truth[t - 1] ?? 0) - own;
  }
  const errors = new Float64Array(300);
  innovations(arma, { values, errors, from: 0 });
  expect(meanError(errors, truth)).toBeLessThan(1e-12);
});

test("differences at one and at the period leave nothing of a trend with a season", () => {
  const values = Float64Array.from({ length: 60 }, (_, t) => 3 * t + dailyPattern(t, 12));
  const order: SarimaOrder = { ...AIRLINE_12, d: 1 };
  const rest = difference(values, order).subarray(lostSteps(order));
  expect(rest.length).toBe(47);
  expect(rest.every((value) => Math.abs(value) < 1e-9)).toBe(true);
});

test("a noisy day is forecast better than by the day before", () => {
  const history = seasonalSeries({ length: 900, seasonSteps: 24, noise: 5, seed: 2 });
  const forecast = sarimaChallenger.fit(history, HOURLY)?.forecast(history, 48) ?? [];
  const truth = Array.from({ length: 48 }, (_, h) => dailyPattern(900 + h, 24));
  const dayBefore = truth.map((_, h) => history[900 - 24 + (h % 24)] ?? 0);
  expect(meanError(forecast, truth)).toBeLessThan(0.7 * meanError(dayBefore, truth));
});

test("log durations without a season: a slowly moving middle is followed", () => {
  const random = seededRandom(8);
  let middle = 0;
  const values = Float64Array.from({ length: 1500 }, () => {
    middle = 0.98 * middle + 0.2 * normal(random);
    return middle + 0.8 * normal(random);
  });
  const fitted = sarimaChallenger.fit(values.subarray(0, 1000), { seasonSteps: 0, weekSteps: 0, seed: 1 });
  const next = Float64Array.from(
    { length: 500 },
    (_, i) => fitted?.forecast(values.subarray(0, 1000 + i), 1)[0] ?? Number.NaN,
  );
  const truth = values.subarray(1000);
  expect(meanError(next, truth)).toBeLessThan(0.9 * meanError(values.subarray(999, 1499), truth));
});

test("a past of another length or of nothing still gives numbers", () => {
  const history = seasonalSeries({ length: 400, seasonSteps: 24, noise: 1, seed: 9 });
  const fitted = sarimaChallenger.fit(history, HOURLY);
  for (const recent of [new Float64Array(0), history.subarray(0, 5), Float64Array.of(Number.NaN, 1e308, -1e308)]) {
    const forecast = fitted?.forecast(recent, 70);
    expect(forecast?.length).toBe(70);
    expect(forecast?.every(Number.isFinite)).toBe(true);
  }
});

test.each(Object.entries(cruelHistories()))("%s: finite or no fit, and the same for the same seed", (_, history) => {
  for (const options of [HOURLY, { seasonSteps: 0, weekSteps: 0, seed: 1 }]) {
    const before = Float64Array.from(history);
    const forecast = sarimaChallenger.fit(history, options)?.forecast(history, 60);
    expect(history).toEqual(before);
    expect(forecast?.every(Number.isFinite) ?? true).toBe(true);
    expect(sarimaChallenger.fit(history, options)?.forecast(history, 60)).toEqual(forecast);
  }
});
