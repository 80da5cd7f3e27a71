// band.ts: the age of a hold against the forecast of its end, as places on a bar and in words. Pure. The forecast is of the whole
// length given the age so far, so the age lies below it; when it does not, the forecast is older than the age.
import type { HoldForecast } from "@forelock/protocol";
import { age, duration, durations } from "../format/format.ts";
import type { Json } from "../wire/json.ts";

export interface Band {
  /** Places on the bar, in [0, 1]. */
  readonly age: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** For those who do not see the bar, and for those who hover over it. */
  readonly words: string;
}

/** The bar ends a little after all that is on it. */
const HEADROOM = 1.08;
/** A tail that is longer than this many times p90 runs out of the bar: drawn in full it would press all else to the left. */
const TAIL_MAX = 1.6;

/** @returns undefined without a forecast, or with one that is not of numbers */
export function bandOf(heldMs: number, forecast: Json<HoldForecast> | undefined): Band | undefined {
  if (forecast === undefined) return undefined;
  const { p50Ms = 0, p90Ms = 0, p99Ms = 0, observations = 0, source = "" } = forecast;
  if (![p50Ms, p90Ms, p99Ms].every(Number.isFinite)) return undefined;
  const endMs = Math.max(heldMs, Math.min(p99Ms, p90Ms * TAIL_MAX), p90Ms, 1) * HEADROOM;
  const at = (ms: number): number => Math.min(1, Math.max(0, ms / endMs));
  const left = (ms: number): number => Math.max(0, ms - heldMs);
  const evidence = observations === 0 ? "without history of its own" : `from ${observations} holds (${source})`;
  const rest =
    left(p90Ms) === 0
      ? "past where nine of ten such holds have ended"
      : `likely ${durations(left(p50Ms), left(p90Ms))} more, at most ${duration(left(p99Ms))} in 99 of 100`;
  return {
    age: at(heldMs),
    p50: at(p50Ms),
    p90: at(p90Ms),
    p99: at(p99Ms),
    words: `Held ${age(heldMs)}; ${rest}; ${evidence}.`,
  };
}

/** The rest of the hold in a few words: "3 s to 8 s more". */
export function restOf(heldMs: number, forecast: Json<HoldForecast> | undefined): string {
  if (forecast === undefined) return "no forecast yet";
  const left = (ms = 0): number => Math.max(0, ms - heldMs);
  return left(forecast.p90Ms) === 0 ? "overdue" : `${durations(left(forecast.p50Ms), left(forecast.p90Ms))} more`;
}
