// cut.ts: a duration that somebody will end, if it has not ended by then. Not here: who, and when (the caller).
import type { DurationLike } from "./waiting.ts";

/** @param mostMs how old it gets at most; Infinity when nobody ends it. It is not younger than it is. */
export function cutAt(duration: DurationLike, mostMs: number): DurationLike {
  if (mostMs === Number.POSITIVE_INFINITY) return duration;
  const { ageMs, p5Ms, p50Ms, p90Ms, p95Ms, p99Ms } = duration;
  const most = Math.max(ageMs, mostMs);
  return {
    ageMs,
    p5Ms: Math.min(p5Ms, most),
    p50Ms: Math.min(p50Ms, most),
    p90Ms: Math.min(p90Ms, most),
    p95Ms: Math.min(p95Ms, most),
    p99Ms: Math.min(p99Ms, most),
  };
}
