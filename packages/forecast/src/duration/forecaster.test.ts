// forecaster.test.ts: what a forecaster of durations promises, on made-up work.
import { expect, test } from "vitest";
import { DURATION_MS_MAX } from "./buckets.ts";
import type { DurationForecast } from "./forecast.ts";
import { DurationForecaster } from "./forecaster.ts";
import { logNormal, seededRandom } from "./testing.ts";

const SMALL = { pairsMax: 64, clientsMax: 16, elementsMax: 16, runningMax: 256, seriesMax: 4, seriesLengthMax: 64 };
const Z90 = 1.2816;

function quantilesOf(forecast: DurationForecast): readonly number[] {
  return [forecast.p5Ms, forecast.p50Ms, forecast.p90Ms, forecast.p95Ms, forecast.p99Ms];
}

test("before anything was seen, the prior speaks: a median of a second", () => {
  const forecast = new DurationForecaster(SMALL).forecast("ana", "orders/1", 0);
  expect(forecast.level).toBe("prior");
  expect(forecast.p50Ms).toBeGreaterThan(900);
  expect(forecast.p50Ms).toBeLessThan(1_100);
  expect(forecast.p90Ms / forecast.p50Ms).toBeCloseTo(Math.exp(2 * Z90), -1);
});

test("the first duration of a pair is worth more than the prior, and a habit more than one duration", () => {
  const forecaster = new DurationForecaster(SMALL);
  forecaster.observe("ana", "orders/1", 60_000);
  const once = forecaster.forecast("ana", "orders/1", 0).p50Ms;
  for (let round = 0; round < 30; round += 1) forecaster.observe("ana", "orders/1", 60_000);
  const often = forecaster.forecast("ana", "orders/1", 0);
  expect(once).toBeGreaterThan(1_000);
  expect(often.level).toBe("pair");
  expect(often.observations).toBe(31);
  expect(often.p50Ms).toBeGreaterThan(50_000);
  expect(often.p50Ms).toBeLessThan(72_000);
});

test("a new pair borrows from its client, then from its element, then from all", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 60; round += 1) {
    forecaster.observe("slow", `orders/${round % 10}`, 500_000);
    forecaster.observe("fast", `orders/${round % 10}`, 5);
    forecaster.observe("other", "batch", 40_000);
  }
  expect(forecaster.forecast("slow", "new", 0)).toMatchObject({ level: "client" });
  expect(forecaster.forecast("slow", "new", 0).p50Ms).toBeGreaterThan(200_000);
  expect(forecaster.forecast("fast", "new", 0).p50Ms).toBeLessThan(20);
  expect(forecaster.forecast("new", "batch", 0)).toMatchObject({ level: "element" });
  expect(forecaster.forecast("new", "new", 0)).toMatchObject({ level: "all" });
});

test("coverage on independent durations is within three deviations of the levels", () => {
  const random = seededRandom(7);
  const forecaster = new DurationForecaster(SMALL);
  const rounds = 6_000;
  const hits = [0, 0, 0, 0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const durationMs = logNormal(random, 2_000, 1);
    for (const [index, quantileMs] of quantilesOf(forecaster.forecast("ana", "orders/1", 0)).entries())
      if (durationMs <= quantileMs) hits[index]! += 1; // Five of each.
    forecaster.observe("ana", "orders/1", durationMs);
  }
  for (const [index, level] of [0.05, 0.5, 0.9, 0.95, 0.99].entries()) {
    const deviation = Math.sqrt((level * (1 - level)) / rounds);
    expect(Math.abs(hits[index]! / rounds - level), `level ${level}`).toBeLessThan(3 * deviation + 0.002);
  }
  expect(forecaster.coverage()[2]).toBeGreaterThan(0.8);
});

test("a change of habit is recovered within four durations in the median, and in the tail within a hundred", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 200; round += 1) forecaster.observe("ana", "orders/1", 100);
  for (let round = 0; round < 4; round += 1) forecaster.observe("ana", "orders/1", 30_000);
  expect(forecaster.forecast("ana", "orders/1", 0).p50Ms).toBeGreaterThan(10_000);
  for (let round = 0; round < 196; round += 1) forecaster.observe("ana", "orders/1", 30_000);
  expect(forecaster.forecast("ana", "orders/1", 0).p5Ms).toBeLessThan(30_000);
  expect(forecaster.forecast("ana", "orders/1", 0).p99Ms).toBeGreaterThan(25_000);
});

test("given its age, work that is either short or long is known to be the long kind", () => {
  const random = seededRandom(3);
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 400; round += 1)
    forecaster.observe("ana", "orders/1", logNormal(random, round % 5 === 0 ? 600_000 : 1_000, 0.3));
  const fresh = forecaster.forecast("ana", "orders/1", 0);
  const aged = forecaster.forecast("ana", "orders/1", 30_000);
  expect(fresh.p50Ms).toBeLessThan(2_500);
  expect(aged.p50Ms).toBeGreaterThan(300_000);
  expect(aged.p5Ms).toBeGreaterThanOrEqual(30_000);
});

test("conditional quantiles of a log-normal duration are right to a tenth", () => {
  const random = seededRandom(5);
  const forecaster = new DurationForecaster(SMALL);
  const past: number[] = [];
  for (let round = 0; round < 3_000; round += 1) {
    const durationMs = logNormal(random, 10_000, 0.8);
    past.push(durationMs);
    forecaster.observe("ana", `orders/${round}`, durationMs); // Always new: the client's and all others' habit counts.
  }
  const ageMs = 15_000;
  const outlasted = past.filter((durationMs) => durationMs > ageMs).sort((a, b) => a - b);
  const p50Ms = outlasted[Math.floor(outlasted.length / 2)]!; // A third of them outlasted it.
  const forecast = forecaster.forecast("bo", "new", ageMs);
  expect(Math.abs(Math.log(forecast.p50Ms / p50Ms))).toBeLessThan(0.12);
});

test("work older than anything known is expected to last about as long again, at any age", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 500; round += 1) forecaster.observe("ana", "orders/1", 100);
  for (const ageMs of [1e6, 1e9, DURATION_MS_MAX, 10 * DURATION_MS_MAX]) {
    const forecast = forecaster.forecast("ana", "orders/1", ageMs);
    expect(forecast.p50Ms).toBeGreaterThan(1.1 * ageMs);
    expect(forecast.p50Ms).toBeLessThan(4 * ageMs);
    expect(forecaster.outlives("ana", "orders/1", ageMs, 2 * ageMs)).toBeGreaterThan(0.2);
    expect(forecaster.outlives("ana", "orders/1", ageMs, 1_000 * ageMs)).toBeLessThan(0.1);
  }
});

test("the risk of outliving a deadline agrees with the quantiles, and falls with the deadline", () => {
  const random = seededRandom(11);
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 500; round += 1) forecaster.observe("ana", "orders/1", logNormal(random, 3_000, 1));
  for (const ageMs of [0, 2_000, 20_000]) {
    const forecast = forecaster.forecast("ana", "orders/1", ageMs);
    expect(forecaster.outlives("ana", "orders/1", ageMs, forecast.p50Ms)).toBeCloseTo(0.5, 3);
    expect(forecaster.outlives("ana", "orders/1", ageMs, forecast.p90Ms)).toBeCloseTo(0.1, 3);
    expect(forecaster.outlives("ana", "orders/1", ageMs, forecast.p99Ms)).toBeCloseTo(0.01, 3);
    expect(forecaster.outlives("ana", "orders/1", ageMs, ageMs)).toBe(1);
    expect(forecaster.outlives("ana", "orders/1", ageMs, 1e12)).toBeLessThan(0.01);
  }
});

test("what is learned of running work lengthens the forecast of the client's other work", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 40; round += 1) forecaster.observe("ana", "orders/1", round % 2 === 0 ? 1_000 : 100_000);
  const before = forecaster.forecast("ana", "orders/1", 0, undefined, 0).p50Ms;
  for (let hold = 0; hold < 30; hold += 1) forecaster.begin("ana", "orders/1", 0);
  const young = forecaster.forecast("ana", "orders/1", 0, undefined, 0).p50Ms;
  const old = forecaster.forecast("ana", "orders/1", 0, undefined, 50_000).p50Ms;
  expect(young).toBeCloseTo(before, -2);
  expect(old).toBeGreaterThan(60_000);
});

test("counting running work keeps the tail honest where learning from completed work alone is biased short", () => {
  const random = seededRandom(2);
  const counted = new DurationForecaster(SMALL);
  const ignored = new DurationForecaster(SMALL);
  // A batch of 200 begins at once; by 10 s only its short half has ended.
  const durations = Array.from({ length: 200 }, () => logNormal(random, 10_000, 1.5));
  for (const durationMs of durations) {
    const handle = counted.begin("ana", "batch", 0)!; // Fewer than the limit.
    if (durationMs > 10_000) continue;
    counted.end(handle, durationMs);
    ignored.observe("ana", "batch", durationMs);
  }
  const truth = [...durations].sort((a, b) => a - b)[100]!; // The median of 200.
  const withRunning = counted.forecast("ana", "batch", 0, undefined, 10_000).p50Ms;
  const without = ignored.forecast("ana", "batch", 0).p50Ms;
  expect(Math.abs(Math.log(withRunning / truth))).toBeLessThan(0.5 * Math.abs(Math.log(without / truth)));
});

test("a hold is no evidence of itself", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 20; round += 1) forecaster.observe("ana", "orders/1", 1_000 + round);
  const handle = forecaster.begin("ana", "orders/1", 0)!; // Fewer than the limit.
  const held = forecaster.forecastHold(handle, 5_000)!; // It runs.
  forecaster.cancel(handle);
  const asked = forecaster.forecast("ana", "orders/1", 5_000, undefined, 5_000);
  expect(held).toEqual(asked);
});

test("a hold cut short is learned as longer than its age", () => {
  const cut = new DurationForecaster(SMALL);
  const ended = new DurationForecaster(SMALL);
  for (let round = 0; round < 30; round += 1) {
    for (const forecaster of [cut, ended]) forecaster.observe("ana", "orders/1", round % 3 === 0 ? 60_000 : 500);
    cut.drop(cut.begin("ana", "orders/1", 0)!, 5_000); // Fewer than the limit.
    ended.observe("ana", "orders/1", 5_000);
  }
  expect(cut.gauges.running).toBe(0);
  expect(cut.forecast("ana", "orders/1", 0).p90Ms).toBeGreaterThan(ended.forecast("ana", "orders/1", 0).p90Ms);
  expect(cut.outlives("ana", "orders/1", 0, 5_000)).toBeGreaterThan(0.4);
});

test("a handle answers to nothing once its hold has ended, also when its slot is used again", () => {
  const forecaster = new DurationForecaster({ ...SMALL, runningMax: 1 });
  const first = forecaster.begin("ana", "orders/1", 0)!; // The only one.
  expect(forecaster.begin("bo", "orders/1", 0)).toBeUndefined();
  expect(forecaster.gauges.runningRefused).toBe(1);
  expect(forecaster.end(first, 10)).toBe(true);
  expect(forecaster.end(first, 20)).toBe(false);
  const second = forecaster.begin("bo", "orders/1", 20)!; // There is room again.
  expect(forecaster.drop(first, 30)).toBe(false);
  expect(forecaster.cancel(first)).toBe(false);
  expect(forecaster.forecastHold(first, 30)).toBeUndefined();
  expect(forecaster.outlivesHold(first, 30, 40)).toBeUndefined();
  expect(forecaster.outlivesHold(second, 30, 40)).toBeGreaterThan(0);
  expect(forecaster.gauges.learned).toBe(1);
});

test("a clock that fell counts as no time, never as a negative duration", () => {
  const forecaster = new DurationForecaster(SMALL);
  const handle = forecaster.begin("ana", "orders/1", 1_000)!; // Fewer than the limit.
  expect(forecaster.forecastHold(handle, 10)).toMatchObject({ ageMs: 0 });
  expect(forecaster.end(handle, 10)).toBe(true);
});

test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300])(
  "%d is refused as a time, by name, and nothing is changed",
  (bad) => {
    const forecaster = new DurationForecaster(SMALL);
    forecaster.observe("ana", "orders/1", 10);
    const handle = forecaster.begin("ana", "orders/1", 0)!; // Fewer than the limit.
    const before = forecaster.serialize();
    expect(() => forecaster.observe("ana", "orders/1", bad)).toThrow(
      /^durationMs is .*; it must be a number of milliseconds from 0 to /,
    );
    expect(() => forecaster.begin("ana", "orders/1", bad)).toThrow(/^nowMs is /);
    expect(() => forecaster.end(handle, bad)).toThrow(/^nowMs is /);
    expect(() => forecaster.drop(handle, bad)).toThrow(/^nowMs is /);
    expect(() => forecaster.forecast("ana", "orders/1", bad)).toThrow(/^ageMs is /);
    expect(() => forecaster.forecastHold(handle, bad)).toThrow(/^nowMs is /);
    expect(() => forecaster.outlives("ana", "orders/1", 0, bad)).toThrow(/^deadlineMs is /);
    expect(() => forecaster.outlivesHold(handle, 0, bad)).toThrow(/^deadlineMs is /);
    expect(forecaster.gauges.running).toBe(1);
    expect(forecaster.serialize()).toEqual(before);
  },
);

test("an option out of its range is refused with its name and range", () => {
  expect(() => new DurationForecaster({ pairsMax: 0 })).toThrow(
    "pairsMax is 0; it must be a whole number from 1 to 1048576.",
  );
  expect(() => new DurationForecaster({ clientsMax: 1.5 })).toThrow("clientsMax is 1.5;");
  expect(() => new DurationForecaster({ priorSigma: Number.NaN })).toThrow("priorSigma is NaN;");
});

test("whatever durations come, forecasts are finite, never fall, and are never below the age", () => {
  const random = seededRandom(13);
  const forecaster = new DurationForecaster({ ...SMALL, pairsMax: 8, clientsMax: 4, elementsMax: 4 });
  const extremes = [0, Number.MIN_VALUE, 0.1, 1, DURATION_MS_MAX, Number.MAX_SAFE_INTEGER];
  for (let round = 0; round < 3_000; round += 1) {
    const pick = (count: number): number => Math.floor(count * random());
    const [client, element] = [`c${pick(8)}`, `e${pick(8)}`];
    const durationMs = random() < 0.5 ? extremes[pick(extremes.length)]! : 10 ** (15 * random() - 2); // In range.
    if (random() < 0.7) forecaster.observe(client, element, durationMs);
    else {
      const handle = forecaster.begin(client, element, round);
      if (handle !== undefined && random() < 0.9) forecaster.drop(handle, Math.min(durationMs, 1e15));
    }
    const ageMs = random() < 0.5 ? extremes[pick(extremes.length)]! : 10 ** (15 * random() - 2); // In range.
    const quantiles = quantilesOf(forecaster.forecast(client, element, ageMs));
    let least = ageMs;
    for (const quantileMs of quantiles) {
      expect(Number.isFinite(quantileMs) && quantileMs >= least, `${quantiles} at ${ageMs}`).toBe(true);
      least = quantileMs;
    }
    const risk = forecaster.outlives(client, element, ageMs, durationMs);
    expect(risk >= 0 && risk <= 1).toBe(true);
  }
});

test("a row that has learned for long is scaled down and forecasts on as if nothing had happened", () => {
  const forecaster = new DurationForecaster(SMALL);
  for (let round = 0; round < 5_000; round += 1)
    forecaster.observe("ana", "orders/1", round % 10 === 0 ? 10_000 : 1_000);
  const forecast = forecaster.forecast("ana", "orders/2", 0);
  expect(forecast.p50Ms).toBeGreaterThan(850);
  expect(forecast.p50Ms).toBeLessThan(1_200);
  expect(forecaster.outlives("ana", "orders/1", 0, 5_000)).toBeGreaterThan(0.05);
  expect(forecaster.outlives("ana", "orders/1", 0, 5_000)).toBeLessThan(0.25);
});

test("at its limits the least recently used is forgotten, and what stays is as it was", () => {
  const forecaster = new DurationForecaster({ ...SMALL, pairsMax: 4, clientsMax: 4, elementsMax: 4 });
  for (let round = 0; round < 50; round += 1) forecaster.observe("kept", "kept", 77_000);
  for (let client = 0; client < 100; client += 1) {
    forecaster.observe(`passing-${client}`, `passing-${client}`, 5);
    forecaster.observe("kept", "kept", 77_000);
  }
  expect(forecaster.gauges).toMatchObject({ pairs: 4, clients: 4, elements: 4, learned: 250 });
  expect(forecaster.forecast("kept", "kept", 0)).toMatchObject({ level: "pair", observations: 150 });
  expect(forecaster.forecast("passing-1", "passing-1", 0).level).toBe("all");
});

test("a client that is forgotten and comes back does not find the pairs of its former self", () => {
  const forecaster = new DurationForecaster({ ...SMALL, clientsMax: 1 });
  for (let round = 0; round < 50; round += 1) forecaster.observe("ana", "orders/1", 500_000);
  forecaster.observe("bo", "orders/1", 10);
  forecaster.observe("ana", "orders/2", 10);
  expect(forecaster.forecast("ana", "orders/1", 0).level).not.toBe("pair");
});

test("a pair takes at most 640 bytes", () => {
  expect(new DurationForecaster().gauges.bytesPerPair).toBeLessThanOrEqual(640);
  expect(new DurationForecaster({ pairsMax: 16_385 }).gauges.bytesPerPair).toBeLessThanOrEqual(640);
});
