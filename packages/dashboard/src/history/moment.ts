// moment.ts: the locks as they were at one moment of the past, and the way a slider goes back in time. Pure.
import type { LockRow } from "../lock/lock-row.ts";
import { type Recorded, recordedAt } from "./recorded.ts";
import type { Span } from "./spans.ts";

/** A grant that lasts, from the live list: it may have begun before the log's memory, and then no entry tells of it. */
export interface Held {
  readonly name: string;
  readonly session: string;
  readonly client: string;
  readonly token: string;
  /** At the moment of the answer. */
  readonly heldMs: number;
}

/** Adds what is held now and began before the first entry. A new list. */
export function withHeld(spans: readonly Span[], held: readonly Held[]): readonly Span[] {
  const known = new Set(spans.filter(({ kind }) => kind === "hold").map(({ name, token }) => `${token} ${name}`));
  const older = held
    .filter(({ name, token }) => !known.has(`${token} ${name}`))
    .map(({ heldMs, ...rest }): Span => {
      return { kind: "hold", ...rest, fromMs: -heldMs, isCut: false, toMs: 0, end: undefined, reason: "", marks: [] };
    });
  return [...older, ...spans];
}

/** A row of a moment that is over: without forecasts, with what the log recorded of its first holder. */
export interface PastRow extends LockRow {
  readonly recorded: Recorded | undefined;
}

/** @param atMs 0 or below: before the moment of the answer */
export function locksAt(spans: readonly Span[], atMs: number): readonly PastRow[] {
  const byName = new Map<string, { holds: Span[]; waits: Span[] }>();
  for (const span of spans) {
    if (!isThere(span, atMs)) continue;
    const found = byName.get(span.name) ?? { holds: [], waits: [] };
    byName.set(span.name, found);
    (span.kind === "hold" ? found.holds : found.waits).push(span);
  }
  return [...byName].map(([name, { holds, waits }]) => rowOf(name, holds, waits, atMs));
}

const isThere = ({ fromMs, toMs, end }: Span, atMs: number): boolean =>
  fromMs <= atMs && (end === undefined || toMs > atMs);

/** Those of one lock at a moment. */
export function holdsAt(spans: readonly Span[], atMs: number): readonly Span[] {
  return spans.filter((span) => span.kind === "hold" && isThere(span, atMs));
}

function rowOf(name: string, holds: readonly Span[], waits: readonly Span[], atMs: number): PastRow {
  const [first] = holds;
  const waitedMs = waits.map(({ fromMs }) => atMs - fromMs);
  const recorded = first && recordedAt(first, atMs);
  const state = recorded?.state ?? first?.marks.findLast((mark) => mark.atMs <= atMs)?.kind;
  const holder = first === undefined ? undefined : { session: first.session, client: first.client, token: first.token };
  return {
    name,
    holder: state === undefined || holder === undefined ? holder : { ...holder, risk: { ...recorded?.risk, state } },
    recorded,
    holders: holds.length,
    heldMs: first === undefined ? 0 : atMs - first.fromMs,
    waiting: waits.length,
    waitedMs: Math.max(0, ...waitedMs),
    painMs: waitedMs.reduce((sum, ms) => sum + ms, 0),
    limit: 0,
  };
}

export const SLIDER_STEPS = 1_000;

/** The right end is now; what is near is finer: half of the way covers an eighth of the time. @returns 0 or below */
export function momentOf(step: number, reachMs: number): number {
  const back = 1 - Math.min(SLIDER_STEPS, Math.max(0, step)) / SLIDER_STEPS;
  return -(back ** 3) * reachMs || 0;
}

/** The other way round. @param atMs 0 or below */
export function stepOf(atMs: number, reachMs: number): number {
  return reachMs <= 0 ? SLIDER_STEPS : Math.round((1 - Math.cbrt(Math.min(1, -atMs / reachMs))) * SLIDER_STEPS);
}

/** The moment of the event before (-1) or after (1) this one. @param times rising @returns `atMs` itself at the end */
export function neighbour(times: readonly number[], atMs: number, direction: -1 | 1): number {
  if (direction < 0) return times.findLast((time) => time < atMs) ?? atMs;
  return times.find((time) => time > atMs) ?? 0;
}
