// forecast.ts: what a forecast of one duration says. Not here: how it is made (forecaster.ts).

/** Which part of the hierarchy had the largest say, from the most specific to the least. `series`: a challenger of the pair. */
export type DurationLevel = "series" | "pair" | "client" | "element" | "all" | "prior";

/** The levels of every duration forecast, ascending; `quantilesMs` has one entry for each. */
export const DURATION_QUANTILES = [0.05, 0.5, 0.9, 0.95, 0.99] as const;

/**
 * Quantiles of the *total* duration of work that is already `ageMs` old, in milliseconds: what remains is the quantile less
 * `ageMs`. Finite, never falling from one level to the next, never below `ageMs`. A caller that passes it back as `into` owns it.
 */
export interface DurationForecast {
  ageMs: number;
  p5Ms: number;
  p50Ms: number;
  p90Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** Who spoke mostly. */
  level: DurationLevel;
  /** Durations learned at that level, including those since forgotten. */
  observations: number;
  /** Share of recent durations at or below the p50 and the p90 that was forecast for them, in [0, 1]; 0.5 and 0.9 are honest. */
  coverage50Ratio: number;
  coverage90Ratio: number;
}

/** An empty forecast to pass as `into`. */
export function emptyDurationForecast(): DurationForecast {
  return {
    ageMs: 0,
    p5Ms: 0,
    p50Ms: 0,
    p90Ms: 0,
    p95Ms: 0,
    p99Ms: 0,
    level: "prior",
    observations: 0,
    coverage50Ratio: 0.5,
    coverage90Ratio: 0.9,
  };
}
