// recorded.ts: what the log knows of a holder at a moment of the past: the warning it had been given, with the score that it was
// given for. Forecasts themselves are not in the log: between two warnings nothing is known. Pure.
import type { Risk } from "@forelock/protocol";
import type { Json } from "../wire/json.ts";
import type { Span } from "./spans.ts";

export interface Recorded {
  /** What the hold's last mark says: warned, acknowledged or extended. */
  readonly state: string;
  /** As it was when the warning was given; undefined where the log does not tell. */
  readonly risk: Json<Risk> | undefined;
  /** From the warning to the moment. */
  readonly sinceMs: number;
  /** Of the countdown, at the moment; undefined when nothing is to be forced, or how long an extension was is not told. */
  readonly leftMs: number | undefined;
}

/** @param atMs 0 or below: before the moment of the answer */
export function recordedAt({ marks }: Span, atMs: number): Recorded | undefined {
  const before = marks.filter((mark) => mark.atMs <= atMs);
  const warned = before.findLast(({ kind }) => kind === "warned");
  const last = before.at(-1);
  if (warned === undefined || last === undefined) return undefined;
  const { risk } = warned;
  const sinceMs = atMs - warned.atMs;
  const isExtended = before.some(({ kind, atMs: markedMs }) => kind === "extended" && markedMs >= warned.atMs);
  const countdownMs = risk?.countdownMs ?? -1;
  const leftMs = countdownMs < 0 || isExtended ? undefined : Math.max(0, countdownMs - sinceMs);
  return { state: last.kind, risk, sinceMs, leftMs };
}
