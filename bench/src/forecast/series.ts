// series.ts: the rolling-origin back-test of series. Each series is observed value by value and forecast at its origins, by the hot
// path alone, with challengers, and by simple peers. Not here: packages as peers (packages.ts), the command (command.ts).
import { emptySeriesForecast, type SeriesForecast, SeriesForecaster } from "@forelock/forecast";
import { SeriesChallengers } from "./series-challengers.ts";
import type { PackSeries, Series } from "./series-file.ts";
import { originsOf, PointTally, type SeriesScore, SeriesTally, scaleOf } from "./series-score.ts";

export interface SeriesFileReport extends SeriesScore {
  readonly file: string;
}

/** Scores of one way to forecast, over all files. */
export interface SeriesReport {
  readonly maseMean: number;
  readonly maseGeoMean: number;
  readonly coverage90Mean: number;
  readonly coverage90Worst: number;
  readonly scaledPinballMean: number;
  readonly files: readonly SeriesFileReport[];
}

/** The seed of every fit. */
const SEED = 1;
const KEY = "series";

/** @param at origins that are scored; default: those of the rules */
export function backTestSeries(series: Series, withChallengers: boolean, at?: readonly number[]): SeriesFileReport {
  const { file, stepMs, startMs, values, seasonSteps, weekSteps, horizon } = series;
  const origins = new Set(at ?? originsOf(values.length, horizon));
  const tally = new SeriesTally(scaleOf(values, Math.floor(values.length * 0.6), seasonSteps));
  const forecaster = new SeriesForecaster({ stepMs, seasonSteps, weekSteps, keysMax: 1 });
  const challengers = new SeriesChallengers(forecaster, { key: KEY, seasonSteps, weekSteps, seed: SEED });
  const into = emptySeriesForecast(horizon);
  const challengedAt = challengedFrom(values.length, originsOf(values.length, horizon)[0] ?? 0);
  let newest = 0;
  for (const [index, value] of values.entries()) {
    if (origins.has(index)) {
      const late = index - 1 - newest; // Steps since the newest value, when the last ones are a gap.
      const forecast = forecaster.forecast(KEY, horizon + late, into);
      if (forecast !== undefined) tally.add(values.subarray(index, index + horizon), from(forecast, late));
    }
    if (Number.isNaN(value)) continue;
    const t = startMs + index * stepMs;
    forecaster.observe(KEY, t, value);
    newest = index;
    if (withChallengers && index >= challengedAt) challengers.work(index, t, origins.has(index + 1));
  }
  return { file, ...tally.score() };
}

/** The same forecast without its first `steps`. */
function from(forecast: SeriesForecast, steps: number): SeriesForecast {
  const { p5, p50, p90, p95, p99 } = forecast;
  const [low, middle, ninety, high, highest] = [p5, p50, p90, p95, p99].map((quantile) => quantile.subarray(steps));
  return { ...forecast, p5: low ?? p5, p50: middle ?? p50, p90: ninety ?? p90, p95: high ?? p95, p99: highest ?? p99 };
}

/** The server works for challengers all the time; here it is enough that their trials are settled by the first origin. */
function challengedFrom(length: number, firstOrigin: number): number {
  return Math.max(0, Math.min(Math.floor(length * 0.45), firstOrigin - 400));
}

/** One origin, at the end of the official training part. */
export function backTestPack(pack: readonly PackSeries[], withChallengers: boolean): { readonly maseMean: number } {
  const stepMs = 3_600_000;
  const scores = pack.map(({ train, test }) => {
    const forecaster = new SeriesForecaster({ stepMs, seasonSteps: 24, weekSteps: 168, keysMax: 1 });
    const challengers = new SeriesChallengers(forecaster, { key: KEY, seasonSteps: 24, weekSteps: 168, seed: SEED });
    for (const [index, value] of train.entries()) {
      forecaster.observe(KEY, index * stepMs, value);
      const isLast = index === train.length - 1;
      if (withChallengers && index >= train.length - PACK_CHALLENGED_STEPS)
        challengers.work(index, index * stepMs, isLast);
    }
    const tally = new SeriesTally(scaleOf(train, train.length, 24));
    const forecast = forecaster.forecast(KEY, test.length);
    if (forecast !== undefined) tally.add(test, forecast);
    return tally.score().mase;
  });
  return { maseMean: mean(scores) };
}
const PACK_CHALLENGED_STEPS = 320;

export interface PeerScore {
  readonly name: string;
  readonly maseMean: number;
}

/** The last value, the last season, and simple exponential smoothing, on the same origins. */
export function scorePeers(all: readonly Series[]): readonly PeerScore[] {
  const byName = new Map<string, number[]>();
  for (const series of all)
    for (const [name, mase] of Object.entries(simplePeers(series)))
      byName.set(name, [...(byName.get(name) ?? []), mase]);
  return [...byName].map(([name, scores]) => ({ name, maseMean: mean(scores) }));
}

/** MASE by name. */
export function simplePeers({ values, seasonSteps, horizon }: Series): Readonly<Record<string, number>> {
  const scale = scaleOf(values, Math.floor(values.length * 0.6), seasonSteps);
  const tallies = {
    "last value": new PointTally(scale),
    "seasonal naive": new PointTally(scale),
    "smoothing 0.2": new PointTally(scale),
  };
  const origins = new Set(originsOf(values.length, horizon));
  let last = Number.NaN;
  let level = Number.NaN;
  for (const [index, value] of values.entries()) {
    if (origins.has(index)) {
      const truth = values.subarray(index, index + horizon);
      tallies["last value"].add(truth, new Float64Array(horizon).fill(last));
      tallies["smoothing 0.2"].add(truth, new Float64Array(horizon).fill(level));
      tallies["seasonal naive"].add(truth, seasonalNaive(values.subarray(0, index), seasonSteps, horizon));
    }
    if (Number.isNaN(value)) continue;
    last = value;
    level = Number.isNaN(level) ? value : level + 0.2 * (value - level);
  }
  return Object.fromEntries(Object.entries(tallies).map(([name, tally]) => [name, tally.mase()]));
}

/** The value one season before, as often as it takes to be in the past; the last known one where that is a gap. */
export function seasonalNaive(past: Float64Array, seasonSteps: number, horizon: number): Float64Array {
  const lag = Math.max(1, seasonSteps);
  const last = past.findLast((value) => !Number.isNaN(value)) ?? Number.NaN;
  return Float64Array.from({ length: horizon }, (_, step) => {
    const before = past[past.length + step - lag * Math.ceil((step + 1) / lag)] ?? Number.NaN;
    return Number.isNaN(before) ? last : before;
  });
}

export function packNaive(pack: readonly PackSeries[]): number {
  return mean(
    pack.map(({ train, test }) => {
      const tally = new PointTally(scaleOf(train, train.length, 24));
      tally.add(test, seasonalNaive(train, 24, test.length));
      return tally.mase();
    }),
  );
}

export function summarise(files: readonly SeriesFileReport[]): SeriesReport {
  return {
    maseMean: mean(files.map(({ mase }) => mase)),
    maseGeoMean: Math.exp(mean(files.map(({ mase }) => Math.log(mase)))),
    coverage90Mean: mean(files.map(({ coverage90 }) => coverage90)),
    coverage90Worst: Math.min(...files.map(({ coverage90 }) => coverage90)),
    scaledPinballMean: mean(files.map(({ scaledPinball }) => scaledPinball)),
    files,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
