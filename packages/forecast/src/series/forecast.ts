// forecast.ts: what a forecast of a series says, and what happens to the models behind it. Not here: how it is made (forecaster.ts).

/**
 * Quantiles of the next values of one series; index 0 is one step after the newest value. Finite, never falling from p5 to p99
 * at any step; not below zero for a series that never was. A caller that passes it back as `into` owns it; arrays longer than `steps` are left as they are beyond.
 */
export interface SeriesForecast {
  steps: number;
  p5: Float64Array;
  p50: Float64Array;
  p90: Float64Array;
  p95: Float64Array;
  p99: Float64Array;
  /** The champion: who had the largest say in p50 for long enough. The others are mixed in. */
  model: string;
  /** Values learned of this key, including those since forgotten. */
  observations: number;
  /** Share of recent values that lay within the p5 to p95 that was forecast for them, in [0, 1]; 0.9 is honest. */
  coverage90Ratio: number;
}

/** An empty forecast with room for `steps`, to pass as `into`. */
export function emptySeriesForecast(steps: number): SeriesForecast {
  const room = (): Float64Array => new Float64Array(steps);
  return {
    steps: 0,
    p5: room(),
    p50: room(),
    p90: room(),
    p95: room(),
    p99: room(),
    model: "",
    observations: 0,
    coverage90Ratio: 0.9,
  };
}

/** A change of champion: the one that took over is `promoted`, the one it took over from is `demoted`. Always in this pair. */
export interface SeriesEvent {
  readonly kind: "promoted" | "demoted";
  readonly key: string;
  /** Of the value that decided it, as it was observed: milliseconds. */
  readonly t: number;
  readonly model: string;
  /** Mean absolute error over the scored horizons, in units of the series. */
  readonly score: number;
  readonly otherModel: string;
  readonly otherScore: number;
}
