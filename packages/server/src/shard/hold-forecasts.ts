// hold-forecasts.ts: what a forecaster of durations says of one hold: as the hold that it follows, where it does, else as any of this
// client on this element at this age. Not here: who is asked for whom (profiles.ts), what follows from it (preempt/).
//   O1. A hold that is followed must not count as one more that has lasted so long: its handle goes before its names.
import {
  type DurationForecast,
  type DurationForecaster,
  emptyDurationForecast,
  type HoldHandle,
} from "@forelock/forecast";
import type { HoldForecasts, HoldQuantiles } from "../preempt/engine.ts";

/** A hold that goes on, or has not begun. */
export interface Hold {
  readonly client: string;
  readonly element: string;
  readonly ageMs: number;
  readonly nowMs: number;
  /** Handles leave the forecaster as plain numbers and come back: it refuses one that it does not know. */
  readonly self: number | undefined;
}

/** @param into is overwritten, and given back */
export function forecastOf(
  forecaster: DurationForecaster,
  { client, element, ageMs, nowMs, self }: Hold,
  into: DurationForecast = emptyDurationForecast(),
): DurationForecast {
  const own = self === undefined ? undefined : forecaster.forecastHold(self as HoldHandle, nowMs, into); // O1
  return own ?? forecaster.forecast(client, element, ageMs, into, nowMs);
}

/** Probability that it lasts longer than `deadlineMs`, from its beginning. */
export function outlivesOf(
  forecaster: DurationForecaster,
  { client, element, ageMs, nowMs, self }: Hold,
  deadlineMs: number,
): number {
  const own = self === undefined ? undefined : forecaster.outlivesHold(self as HoldHandle, nowMs, deadlineMs, ageMs);
  return own ?? forecaster.outlives(client, element, ageMs, deadlineMs, nowMs);
}

export function quantilesOf({ p50Ms, p90Ms, p99Ms, observations, level }: DurationForecast): HoldQuantiles {
  return { p50Ms, p90Ms, p99Ms, observations, source: level };
}

/** A forecaster alone, as the engine asks. */
export function holdForecasts(forecaster: DurationForecaster): HoldForecasts {
  const into = emptyDurationForecast();
  return {
    quantiles: (client, element, ageMs, nowMs, self) =>
      quantilesOf(forecastOf(forecaster, { client, element, ageMs, nowMs, self }, into)),
    outlives: (client, element, ageMs, deadlineMs, nowMs, self) =>
      outlivesOf(forecaster, { client, element, ageMs, nowMs, self }, deadlineMs),
  };
}
