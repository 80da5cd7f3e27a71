// session.ts: from when to when a session certainly lived, by what its client was told.
//   S1. A lease cannot end before `ttl_ms` after the *call* of the last keepalive that was answered `alive`.
//   S2. It may live longer than that for any time: a session is dead only once someone was told so.
import type { Action } from "./action.ts";
import { groupBy, numberOf } from "./record.ts";
import type { Violation } from "./violation.ts";

export interface Session {
  readonly key: string;
  /** Before this moment its lease has certainly not run out, nor was it asked to close (S1). */
  readonly earliestEndNs: number;
  /** From this moment on it is certainly dead (S2); Infinity when nobody was told so. */
  readonly deadFromNs: number;
  /** The first call of a close that was answered; Infinity when there is none. */
  readonly closedByNs: number;
  /** Whether a close was asked for whose outcome is not known. */
  readonly closeUnknown: boolean;
  readonly deathLines: readonly number[];
}

export interface SessionOptions {
  /** Clocks of the service count in whole milliseconds: leases may seem shorter by this much. */
  readonly leaseSlackNs: number;
}

export interface SessionReport {
  readonly sessions: ReadonlyMap<string, Session>;
  readonly violations: readonly Violation[];
}

const MS = 1_000_000;

export function sessionsOf(actions: readonly Action[], options: SessionOptions): SessionReport {
  const own = actions.filter(({ op }) => op === "session_open" || op === "keepalive" || op === "session_close");
  const sessions = new Map<string, Session>();
  const violations: Violation[] = [];
  for (const [key, ofSession] of groupBy(own, (action) => action.key)) {
    const { session, robbed } = sessionOf(key, ofSession, options);
    sessions.set(key, session);
    if (robbed !== undefined) violations.push(robbed);
  }
  return { sessions, violations };
}

function sessionOf(
  key: string,
  actions: readonly Action[],
  options: SessionOptions,
): { session: Session; robbed: Violation | undefined } {
  const opens = actions.filter(({ op, status }) => op === "session_open" && status !== "fail");
  const closes = actions.filter(({ op, status }) => op === "session_close" && status !== "fail");
  const beats = actions.filter(({ op, status }) => op === "keepalive" && status === "ok");
  // Opened twice under one name: being told dead is about one life and says nothing about the other.
  const deaths = opens.length > 1 ? [] : beats.filter(({ result }) => result["alive"] === false);
  const told = deaths.sort((a, b) => a.returnNs - b.returnNs)[0];
  const closedByNs = least(closes.filter(({ status }) => status === "ok").map(({ returnNs }) => returnNs));
  const askedToCloseNs = least(closes.map(({ callNs }) => callNs));
  const deadFromNs = Math.min(told?.returnNs ?? Number.POSITIVE_INFINITY, closedByNs);
  // The open counts as the first sign of life: it was carried out at its call or later.
  const alive = beats.filter(({ result, callNs }) => result["alive"] === true && callNs < deadFromNs);
  const lastSignNs = Math.max(...[...opens, ...alive].map(({ callNs }) => callNs), Number.NEGATIVE_INFINITY);
  const ttlMs = numberOf(opens[0]?.args ?? {}, "ttl_ms");
  // Opened twice under one name, or never: nothing can be said about its lease, so it is taken to end at once.
  const known = opens.length === 1 && ttlMs !== undefined;
  const leaseEndNs = known ? lastSignNs + ttlMs * MS - options.leaseSlackNs : Number.NEGATIVE_INFINITY;
  const robbed = told !== undefined && leaseEndNs > told.returnNs && askedToCloseNs > told.returnNs;
  return {
    session: {
      key,
      earliestEndNs: Math.min(leaseEndNs, askedToCloseNs),
      deadFromNs,
      closedByNs,
      closeUnknown: closes.some(({ status }) => status === "unknown"),
      deathLines: [...(told?.lines ?? []), ...closes.flatMap(({ lines }) => lines)],
    },
    robbed: robbed
      ? {
          kind: "session_robbed",
          key,
          message: `told dead at ${told.returnNs} ns, but its lease ran until ${leaseEndNs} ns at least`,
          lines: told.lines,
        }
      : undefined,
  };
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}
