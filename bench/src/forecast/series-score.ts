// series-score.ts: the scores of series forecasts. Not here: what is forecast from where (series.ts).
//   Mean absolute scaled error: Hyndman and Koehler (2006). Pinball loss: Koenker and Bassett (1978).
import type { SeriesForecast } from "@forelock/forecast";

export const LEVELS = [0.05, 0.5, 0.9, 0.95, 0.99] as const;

export interface SeriesScore {
  readonly mase: number;
  /** Share of the truth within p5 and p95, in [0, 1]. */
  readonly coverage90: number;
  /** Twice the mean pinball loss at p5, p50 and p95, over the scale of `mase`. */
  readonly scaledPinball: number;
  /** Share of the truth at or below each of LEVELS. */
  readonly below: readonly number[];
}

/** Mean |x[t] - x[t - season]| over the first `length` values; of neighbours when there is no season. NaN when there is no pair. */
export function scaleOf(values: Float64Array, length: number, seasonSteps: number): number {
  const lag = Math.max(1, seasonSteps);
  let sum = 0;
  let pairs = 0;
  for (let index = lag; index < length; index += 1) {
    const change = Math.abs(values[index]! - values[index - lag]!); // In range: lag <= index < length.
    if (Number.isNaN(change)) continue;
    sum += change;
    pairs += 1;
  }
  return sum / pairs;
}

/** Where to forecast from: 24 origins spread over the last 40 %, of which the last 16 are scored. */
export function originsOf(length: number, horizon: number): readonly number[] {
  const first = Math.floor(length * 0.6);
  const between = Math.max(1, Math.floor((length - first - horizon) / 24));
  return Array.from({ length: 16 }, (_, index) => first + (index + 8) * between).filter(
    (origin) => origin + horizon <= length,
  );
}

/** Sums the scores of the forecasts of one series. */
export class SeriesTally {
  readonly #scale: number;
  #count = 0;
  #absolute = 0;
  #covered = 0;
  #pinball = 0;
  readonly #below = LEVELS.map(() => 0);

  constructor(scale: number) {
    this.#scale = scale;
  }

  /** `truth[0]` is one step after the origin; a gap is NaN and is not scored. */
  add(truth: Float64Array, forecast: SeriesForecast): void {
    const quantiles = [forecast.p5, forecast.p50, forecast.p90, forecast.p95, forecast.p99];
    for (const [step, value] of truth.entries()) {
      if (Number.isNaN(value)) continue;
      this.#count += 1;
      const said = quantiles.map((levels) => levels[step]!); // A forecast has as many steps as the truth.
      const [p5 = Number.NaN, p50 = Number.NaN, , p95 = Number.NaN] = said;
      this.#absolute += Math.abs(value - p50);
      if (value >= p5 && value <= p95) this.#covered += 1;
      this.#pinball += (pinball(value, p5, 0.05) + pinball(value, p50, 0.5) + pinball(value, p95, 0.95)) / 3;
      for (const [level, quantile] of said.entries()) if (value <= quantile) this.#below[level]! += 1; // As many as LEVELS.
    }
  }

  score(): SeriesScore {
    return {
      mase: this.#absolute / this.#count / this.#scale,
      coverage90: this.#covered / this.#count,
      scaledPinball: (2 * this.#pinball) / this.#count / this.#scale,
      below: this.#below.map((count) => count / this.#count),
    };
  }
}

/** Mean absolute scaled error of point forecasts. */
export class PointTally {
  readonly #scale: number;
  #count = 0;
  #absolute = 0;

  constructor(scale: number) {
    this.#scale = scale;
  }

  add(truth: Float64Array, points: ArrayLike<number>): void {
    for (const [step, value] of truth.entries()) {
      if (Number.isNaN(value)) continue;
      this.#count += 1;
      this.#absolute += Math.abs(value - (points[step] ?? Number.NaN));
    }
  }

  mase(): number {
    return this.#absolute / this.#count / this.#scale;
  }
}

function pinball(value: number, quantile: number, level: number): number {
  return value >= quantile ? level * (value - quantile) : (1 - level) * (quantile - value);
}
