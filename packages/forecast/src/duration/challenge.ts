// challenge.ts: from a model that forecasts points to a table that a pair's hierarchy can be challenged with. Not here: models
// (challenger/), the scoring (series.ts).
import { DURATION_QUANTILES } from "./forecast.ts";
import type { DurationTable, SeriesOfPair } from "./series.ts";

/** What is asked of a fitted model of series: the next values, from any origin of the series. */
export interface PointForecaster {
  /** @returns `steps` finite values, the first one step after the last of `recent` */
  forecast(recent: Float64Array, steps: number): Float64Array;
}

const LEVELS = DURATION_QUANTILES.length;
/** Past origins that the model is asked for; each costs a forecast. */
const ORIGINS_MAX = 48;
const ORIGINS_MIN = 8;

/**
 * The model's next `steps` log durations with an interval: its own errors from past origins of the same series, added as they are,
 * so that a tail that leans one way stays so. Meant for the worker that fitted the model.
 * @param steps 1 to 64
 * @returns `undefined` when the series is shorter than the model can be judged by, or the model answers with what is no number
 * Source: split conformal quantiles of signed errors, horizon by horizon; Lei et al. (2018).
 */
export function challengerTable(
  name: string,
  model: PointForecaster,
  series: SeriesOfPair,
  steps: number,
): DurationTable | undefined {
  const { logs, end } = series;
  const origins = Math.min(ORIGINS_MAX, Math.floor(logs.length / 2));
  if (origins < ORIGINS_MIN) return undefined;
  const errors: number[][] = Array.from({ length: steps }, () => []);
  for (let back = origins; back >= 1; back -= 1) {
    const origin = logs.length - back;
    const points = model.forecast(logs.subarray(0, origin), Math.min(steps, back));
    for (let step = 0; step < Math.min(steps, back); step += 1)
      errors[step]!.push(logs[origin + step]! - points[step]!); // In range.
  }
  const points = model.forecast(logs, steps);
  const quantiles = new Float64Array(steps * LEVELS);
  let known: readonly number[] = [];
  for (let step = 0; step < steps; step += 1) {
    const own = errors[step]!; // In range.
    if (own.length >= ORIGINS_MIN) known = own.sort((a, b) => a - b); // Far steps have few origins: they take the last that had enough.
    for (let level = 0; level < LEVELS; level += 1)
      quantiles[step * LEVELS + level] = points[step]! + quantileOf(known, DURATION_QUANTILES[level]!); // In range.
  }
  return quantiles.every(Number.isFinite) ? { name, origin: end, quantiles } : undefined;
}

/** Source: Hyndman and Fan (1996), definition 7. */
function quantileOf(sorted: readonly number[], level: number): number {
  const at = level * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!); // In range: not empty.
}
