// index.ts: what the forecast package offers. Two families: durations (how long will this hold last) and series (what will this
// number be). Pure: no clock, no chance, no I/O; times and seeds are arguments.

export type { Challenger, ChallengerOptions, FittedChallenger } from "./challenger/challenger.ts";
export { lstmChallenger } from "./challenger/lstm.ts";
export { seededRandom } from "./challenger/random.ts";
export { ridgeChallenger } from "./challenger/ridge.ts";
export { sarimaChallenger } from "./challenger/sarima.ts";
export { FitSchedule, type Plan, REFIT_RULES, type RefitRule, type ScheduleOptions } from "./challenger/schedule.ts";
export { challengerTable, type PointForecaster } from "./duration/challenge.ts";
export {
  DURATION_QUANTILES,
  type DurationForecast,
  type DurationLevel,
  emptyDurationForecast,
} from "./duration/forecast.ts";
export { DurationForecaster, type DurationGauges } from "./duration/forecaster.ts";
export type { DurationForecasterOptions } from "./duration/options.ts";
export type { HoldHandle } from "./duration/running.ts";
export type { ChallengerStanding, DurationTable, SeriesOfPair } from "./duration/series.ts";
export { cutAt } from "./eta/cut.ts";
export type { WaitHandle } from "./eta/pending.ts";
export { type EtaEstimate, QueueEta, type QueueView } from "./eta/queue-eta.ts";
export type { DurationLike } from "./eta/waiting.ts";
export { emptySeriesForecast, type SeriesEvent, type SeriesForecast } from "./series/forecast.ts";
export { SeriesForecaster } from "./series/forecaster.ts";
export type { SeriesOptions } from "./series/shape.ts";
