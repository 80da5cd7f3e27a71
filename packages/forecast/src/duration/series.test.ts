// series.test.ts: busy pairs as series, and challengers that have to earn their say.
import { expect, test } from "vitest";
import { challengerTable } from "./challenge.ts";
import { DurationForecaster } from "./forecaster.ts";
import { logNormal, seededRandom } from "./testing.ts";

const OPTIONS = { pairsMax: 64, clientsMax: 16, elementsMax: 64, runningMax: 64, seriesMax: 2, seriesLengthMax: 128 };
/** Durations that alternate: a hierarchy sees two kinds, a model of series knows which is next. */
const alternating = (index: number): number => (index % 2 === 0 ? 100 : 10_000);
const knowsAlternation = {
  forecast: (recent: Float64Array, steps: number): Float64Array =>
    Float64Array.from({ length: steps }, (_, step) => recent[recent.length - 2 + (step % 2)]!), // At least two are there.
};

function busy(forecaster: DurationForecaster, rounds: number, durationMs: (index: number) => number): void {
  for (let round = 0; round < rounds; round += 1) {
    forecaster.observe("ana", "orders/1", durationMs(round));
    const series = forecaster.seriesOf("ana", "orders/1");
    if (series === undefined || series.logs.length < 64 || series.end % 4 !== 0) continue;
    const table = challengerTable("knows", knowsAlternation, series, 4);
    if (table !== undefined) forecaster.challenge("ana", "orders/1", table);
  }
}

test("the last durations of a busy pair are a series, in order, as logarithms of milliseconds", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  for (let round = 0; round < 400; round += 1) forecaster.observe("ana", "orders/1", 1_000 + round);
  const [series] = forecaster.busiest(5);
  expect(series).toMatchObject({ client: "ana", element: "orders/1" });
  expect(series?.logs).toHaveLength(128);
  expect(Math.exp(series!.logs.at(-1)!)).toBeCloseTo(1_399, 6); // It is there, and full.
  expect(Math.exp(series!.logs[0]!)).toBeCloseTo(1_272, 6);
  expect(series?.end).toBe(forecaster.seriesEndOf("ana", "orders/1"));
});

test("a pair that rests gives its place to a busier one, and a pair that is as busy does not take it", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  for (let round = 0; round < 100; round += 1) {
    forecaster.observe("ana", "orders/1", 10);
    forecaster.observe("ana", "orders/2", 10);
  }
  for (let round = 0; round < 200; round += 1)
    for (const element of ["orders/1", "orders/2", "orders/3"]) forecaster.observe("ana", element, 10);
  expect(forecaster.seriesOf("ana", "orders/3")).toBeUndefined();
  for (let round = 0; round < 5_000; round += 1) forecaster.observe("ana", "orders/3", 10);
  expect(forecaster.seriesOf("ana", "orders/3")?.logs).toHaveLength(128);
  expect(forecaster.gauges.series).toBe(2);
});

test("a challenger is silent until 20 of its forecasts were scored, then takes the word where it is better", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  busy(forecaster, 32 + 64 + 16, alternating);
  const [early] = forecaster.standings("ana", "orders/1");
  expect(early).toMatchObject({ name: "knows", weight: 0 });
  expect(early?.scored).toBeLessThan(20);
  busy(forecaster, 200, alternating);
  const [late] = forecaster.standings("ana", "orders/1");
  expect(late?.scored).toBeGreaterThan(100);
  expect(late!.loss).toBeLessThan(0.2 * late!.hierarchyLoss); // It is there.
  expect(late!.weight).toBeGreaterThan(0.9);
  const next = forecaster.forecast("ana", "orders/1", 0);
  expect(next.level).toBe("series");
  expect(next.p50Ms).toBeLessThan(200);
  expect(forecaster.forecast("ana", "orders/1", 1_000).p50Ms).toBeGreaterThan(5_000); // Given its age, it is the long kind after all.
});

test("a challenger that is no better than the hierarchy stays silent", () => {
  const random = seededRandom(4);
  const forecaster = new DurationForecaster(OPTIONS);
  busy(forecaster, 600, () => logNormal(random, 1_000, 1));
  const [standing] = forecaster.standings("ana", "orders/1");
  expect(standing?.scored).toBeGreaterThan(300);
  expect(standing?.weight).toBe(0);
  expect(forecaster.forecast("ana", "orders/1", 0).level).toBe("pair");
});

test("a table that came after the work began is not scored on it", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  for (let round = 0; round < 100; round += 1) forecaster.observe("ana", "orders/1", 1_000);
  const handle = forecaster.begin("ana", "orders/1", 0)!; // Fewer than the limit.
  forecaster.forecastHold(handle, 0);
  forecaster.observe("ana", "orders/1", 1_000);
  const origin = forecaster.seriesEndOf("ana", "orders/1")!; // It is the only pair.
  forecaster.challenge("ana", "orders/1", {
    name: "late",
    origin,
    quantiles: new Float64Array(5).fill(Math.log(5_000)),
  });
  forecaster.end(handle, 5_000);
  expect(forecaster.standings("ana", "orders/1")).toMatchObject([{ name: "late", scored: 0 }]);
});

test("tables that are none are refused by field, and one for a pair without a place is not taken", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  const quantiles = Float64Array.of(1, 2, 3, 4, 5);
  expect(forecaster.challenge("ana", "orders/1", { name: "arima", origin: 0, quantiles })).toBe(false);
  const refused = (table: { name?: string; origin?: number; quantiles?: Float64Array }): (() => boolean) => {
    return () => forecaster.challenge("ana", "orders/1", { name: "arima", origin: 0, quantiles, ...table });
  };
  expect(refused({ name: "" })).toThrow(/^name has 0 characters/);
  expect(refused({ origin: -1 })).toThrow(/^origin is -1/);
  expect(refused({ quantiles: new Float64Array(4) })).toThrow(/^quantiles has 4 values/);
  expect(refused({ quantiles: Float64Array.of(1, 2, 1, 4, 5) })).toThrow(
    /^quantiles\[2\] is 1; it must be finite and not below/,
  );
  expect(refused({ quantiles: Float64Array.of(1, 2, Number.NaN, 4, 5) })).toThrow(/^quantiles\[2\] is NaN/);
});

test("a pair has at most four challengers; a newer table of the same name takes the older one's place", () => {
  const forecaster = new DurationForecaster(OPTIONS);
  for (let round = 0; round < 100; round += 1) forecaster.observe("ana", "orders/1", 1_000);
  const enter = (name: string): boolean =>
    forecaster.challenge("ana", "orders/1", { name, origin: 0, quantiles: Float64Array.of(1, 2, 3, 4, 5) });
  expect(["a", "b", "c", "d", "e", "a"].map(enter)).toEqual([true, true, true, true, false, true]);
  expect(forecaster.standings("ana", "orders/1").map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
});

test("a challenger's interval is that of its own errors, horizon by horizon", () => {
  const random = seededRandom(9);
  const logs = Float64Array.from({ length: 400 }, () => Math.log(logNormal(random, 1_000, 0.5)));
  const mean = { forecast: (_: Float64Array, steps: number) => new Float64Array(steps).fill(Math.log(1_000)) };
  const table = challengerTable("mean", mean, { client: "ana", element: "e", logs, end: 400 }, 3)!; // Long enough.
  expect(table.origin).toBe(400);
  expect(table.quantiles).toHaveLength(15);
  expect(table.quantiles[2]! - table.quantiles[1]!).toBeGreaterThan(0.4); // 0.64 for 48 errors of deviation 0.5, give or take.
  expect(table.quantiles[2]! - table.quantiles[1]!).toBeLessThan(0.9);
  expect(
    challengerTable("mean", mean, { client: "ana", element: "e", logs: logs.subarray(0, 10), end: 10 }, 3),
  ).toBeUndefined();
  const broken = { forecast: (_: Float64Array, steps: number) => new Float64Array(steps).fill(Number.NaN) };
  expect(challengerTable("broken", broken, { client: "ana", element: "e", logs, end: 400 }, 3)).toBeUndefined();
});
