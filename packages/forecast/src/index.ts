// index.ts: what the forecast package offers. Two families: durations (how long will this hold last) and series (what will this
// number be). Pure: no clock, no chance, no I/O; times and seeds are arguments.

export type { Challenger, ChallengerOptions, FittedChallenger } from "./challenger/challenger.ts";
export { ridgeChallenger } from "./challenger/ridge.ts";
export {
  DURATION_QUANTILES,
  type DurationForecast,
  type DurationLevel,
  emptyDurationForecast,
} from "./duration/forecast.ts";
export { DurationForecaster, type DurationForecasterOptions, type HoldHandle } from "./duration/forecaster.ts";
