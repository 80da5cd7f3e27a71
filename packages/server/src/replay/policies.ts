// policies.ts: what forelock is measured against: no pre-emption, and pre-emption of every contended holder at one age.
import type { WarningCause } from "../partition/state.ts";
import type { Attempt, Preemptor } from "./simulation.ts";

const FIRST_MS = 1_000;
const STEP = 1.25;

export function noPreemption(): Preemptor {
  return { ...DEAF, name: "none", nextLookMs: () => Number.POSITIVE_INFINITY, look: () => undefined };
}

/** Pre-empts a holder of `timeoutMs` that others wait for, with a countdown as forelock's. */
export function fixedTimeout(timeoutMs: number, countdownMs: number): Preemptor {
  const cause: WarningCause = {
    ...{ countdownMs, enforce: true, score: 1, threshold: 1, parts: [], by: "" },
    reason: `Held for ${timeoutMs} ms.`,
  };
  return {
    ...DEAF,
    name: `fixed-${timeoutMs}`,
    nextLookMs: (_attempt, ageMs) => Math.max(ageMs, timeoutMs),
    look: (attempt: Attempt, _waiters, nowMs) => (nowMs - attempt.grantMs >= timeoutMs ? cause : undefined),
  };
}

/** From 1 s, in steps of x1.25, up to the longest hold; whole milliseconds. */
export function timeoutsUpTo(longestMs: number): readonly number[] {
  const timeouts: number[] = [];
  for (let ms = FIRST_MS; ms <= longestMs; ms *= STEP) timeouts.push(Math.round(ms));
  return timeouts;
}

const NO_EXTENSION = "A timeout is not extended.";
const DEAF = { requested: () => {}, granted: () => {}, ended: () => {}, acknowledged: () => NO_EXTENSION };
