// session/backoff.ts: how long to pause before trying again. Pure.
import type { RetrySettings } from "../settings.ts";

/**
 * Drawn between 0 and a bound that doubles: full jitter, so that clients cut off together do not come back together.
 * @param failures in a row, 0 or more; @param random uniform in [0, 1)
 * Source: Brooker, "Exponential Backoff And Jitter" (2015).
 */
export function pauseMs(failures: number, { pauseMs, pauseMsMax }: RetrySettings, random: () => number): number {
  return random() * Math.min(pauseMsMax, pauseMs * 2 ** Math.min(failures, 30));
}
