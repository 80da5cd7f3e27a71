// gantt.ts: spans as bars in lanes, one lane for each client, over a window of time. Pure. Not here: how it is drawn (parts/).
import { clientName } from "../lock/lock-row.ts";
import type { Span } from "./spans.ts";

export interface Bar {
  readonly span: Span;
  /** Left and right end, in [0, 1] of the window. */
  readonly from: number;
  readonly to: number;
}

export interface Lane {
  readonly label: string;
  readonly session: string;
  readonly bars: readonly Bar[];
}

export interface Gantt {
  readonly lanes: readonly Lane[];
  /** Clients that did not fit. */
  readonly left: number;
}

/** At most this many lanes: those who were busy last. */
const LANES_MAX = 24;

/** @param fromMs and the end of the window, both 0 or below */
export function ganttOf(spans: readonly Span[], fromMs: number, toMs: number): Gantt {
  const lengthMs = Math.max(1, toMs - fromMs);
  const lanes = new Map<string, { label: string; bars: Bar[]; lastMs: number }>();
  for (const span of spans) {
    if (span.toMs < fromMs || span.fromMs > toMs) continue;
    const lane = lanes.get(span.session) ?? { label: clientName(span), bars: [], lastMs: Number.NEGATIVE_INFINITY };
    lanes.set(span.session, lane);
    lane.lastMs = Math.max(lane.lastMs, span.toMs);
    const at = (ms: number): number => Math.min(1, Math.max(0, (ms - fromMs) / lengthMs));
    lane.bars.push({ span, from: at(span.fromMs), to: at(span.toMs) });
  }
  const busiest = [...lanes].sort(([, a], [, b]) => b.lastMs - a.lastMs);
  const shown = busiest.slice(0, LANES_MAX).map(([session, { label, bars }]) => ({ session, label, bars }));
  return { lanes: shown, left: busiest.length - shown.length };
}

/** Round steps of the axis, 3 to 7 of them, 0 or below, rising. */
export function ticksOf(fromMs: number, toMs: number): readonly number[] {
  const lengthMs = Math.max(1, toMs - fromMs);
  const stepMs = TICKS_MS.find((ms) => lengthMs / ms <= 7) ?? Math.ceil(lengthMs / 7 / DAY_MS) * DAY_MS;
  const ticks: number[] = [];
  for (let tick = Math.ceil(fromMs / stepMs) * stepMs; tick <= toMs; tick += stepMs) ticks.push(tick || 0);
  return ticks;
}

const DAY_MS = 86_400_000;
const TICKS_MS = [
  1_000,
  2_000,
  5_000,
  10_000,
  30_000,
  60_000,
  120_000,
  300_000,
  600_000,
  1_800_000,
  3_600_000,
  7_200_000,
  21_600_000,
  43_200_000,
  DAY_MS,
];
