// duration.ts: spans of time as people write and read them. Not here: clocks (clock.ts), other quantities (quantity.ts).
import { UsageError } from "./usage-error.ts";

const MS_BY_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** The wire carries waits as 32 bits of milliseconds: about 49 days. */
export const DURATION_MS_MAX = 4_294_967_295;

export const DURATION_FORM = "a number and a unit, ms, s, m or h, as in 250ms, 5s, 2m or 1h";

/**
 * Reads a duration such as `5s` or `1.5h` into whole milliseconds, rounded up so that a wait is never shorter than asked for.
 * @param field what the text was given for, named in the complaint
 * @throws UsageError for a missing unit (5 what?), a sign, or more than DURATION_MS_MAX
 */
export function parseDurationMs(field: string, text: string): number {
  const match = /^(\d{1,10}(?:\.\d{1,6})?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new UsageError(`${field} is "${text}": give ${DURATION_FORM}.`);
  const [, amount = "", unit = ""] = match;
  const ms = Math.ceil(Number(amount) * (MS_BY_UNIT[unit] ?? Number.NaN));
  if (ms > DURATION_MS_MAX) throw new UsageError(`${field} is "${text}": at most 1193h (49 days).`);
  return ms;
}

/** For people: three significant figures below a minute, two units above. Never negative: clocks of two machines may disagree. */
export function formatDuration(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 999.5) return `${Math.round(span)} ms`;
  if (span < 9_995) return `${(span / 1_000).toFixed(2)} s`;
  if (span < 59_950) return `${(span / 1_000).toFixed(1)} s`;
  const seconds = Math.round(span / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${pad(hours % 24)} h`;
}

/** Sub-millisecond spans too, for measurements. */
export function formatLatency(ms: number): string {
  if (ms < 0.9995) return `${Math.round(ms * 1_000)} us`;
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${ms.toFixed(1)} ms`;
  return formatDuration(ms);
}

const pad = (count: number): string => String(count).padStart(2, "0");
