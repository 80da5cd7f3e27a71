// timeline.ts: a history as text: a lane for each session, with what it held, when it waited, and what befell it. Pure. Not here:
// asking for the history, the list of what was notable (history.ts).
//   T1. Whatever happened is seen: a hold shorter than a column still takes one.
//   T2. What was going on before the chart begins reaches from its left edge; what goes on now, to the right one.
import type { HistoryEntry } from "@forelock/client";
import { formatDuration } from "./duration.ts";
import { printable } from "./quantity.ts";
import { displayWidth, renderTable } from "./table.ts";

export interface TimelineWish {
  /** Oldest first, of one name; also those before the chart begins. */
  readonly entries: readonly HistoryEntry[];
  /** From the left edge to now; above 0. */
  readonly spanMs: number;
  /** Columns in all. */
  readonly width: number;
}

export const HELD = "█";
export const WAITED = "░";
export const IDLE = "·";

/** What is marked in a lane, the gravest last: it covers the others in its column. */
export const MARKS: readonly (readonly [kind: string, mark: string])[] = [
  ["warned", "!"],
  ["acknowledged", "a"],
  ["extended", "+"],
  ["expired", "E"],
  ["forced", "F"],
  ["preempted", "P"],
];

/** Below it the label gives way no more, and lines may wrap. */
const CHART_WIDTH_MIN = 20;
const LABEL_WIDTH_MAX = 32;

/** One line a session, in order of appearance, and the scale below. Empty when there are no sessions. */
export function timelineLines({ entries, spanMs, width }: TimelineWish): readonly string[] {
  const lanes = distinct(lanesOf(entries).filter((lane) => isInside(lane, spanMs)));
  if (lanes.length === 0) return [];
  const labels = lanes.map(({ label }) => printable(label));
  const widest = Math.min(LABEL_WIDTH_MAX, Math.max(...labels.map(displayWidth)));
  const chartWidth = Math.max(CHART_WIDTH_MIN, width - widest - 2);
  const columns = [
    { title: "", align: "left", shrinks: true },
    { title: "", align: "left" },
  ] as const;
  const rows = lanes.map((lane, index) => [labels[index] ?? "", drawLane(lane, spanMs, chartWidth)]);
  const [, ...lines] = renderTable(columns, rows, widest + 2 + chartWidth);
  return [...lines, " ".repeat(labelWidth(lines, chartWidth)) + scale(spanMs, chartWidth)];
}

/** Of the labels as they were fitted, with the gap behind them. */
const labelWidth = (lines: readonly string[], chartWidth: number): number =>
  Math.max(0, displayWidth(lines[0] ?? "") - chartWidth);

interface Span {
  /** Infinity: before the history begins. */
  readonly fromAgoMs: number;
  toAgoMs: number;
}

interface Lane {
  readonly session: string;
  readonly label: string;
  readonly holds: Span[];
  readonly waits: Span[];
  readonly marks: { readonly agoMs: number; readonly kind: string }[];
  readonly openHolds: Map<bigint, Span>;
  readonly openWaits: Span[];
}

function lanesOf(entries: readonly HistoryEntry[]): readonly Lane[] {
  const lanes = new Map<string, Lane>();
  for (const entry of entries) {
    const lane = lanes.get(entry.session) ?? {
      session: entry.session,
      label: entry.client === "" ? entry.session : entry.client,
      holds: [],
      waits: [],
      marks: [],
      openHolds: new Map(),
      openWaits: [],
    };
    lanes.set(entry.session, lane);
    follow(lane, entry);
  }
  return [...lanes.values()];
}

const isInside = ({ holds, waits, marks }: Lane, spanMs: number): boolean =>
  [...holds, ...waits].some(({ toAgoMs }) => toAgoMs <= spanMs) || marks.some(({ agoMs }) => agoMs <= spanMs);

function follow(lane: Lane, { kind, agoMs, token }: HistoryEntry): void {
  if (MARKS.some(([marked]) => marked === kind)) lane.marks.push({ agoMs, kind });
  switch (kind) {
    case "queued":
      open(lane.waits, lane.openWaits, agoMs);
      return;
    case "granted": {
      endWait(lane, agoMs);
      const hold = { fromAgoMs: agoMs, toAgoMs: 0 };
      lane.holds.push(hold);
      lane.openHolds.set(token, hold);
      return;
    }
    case "ended":
      if (lane.openWaits.length === 0) lane.waits.push({ fromAgoMs: Number.POSITIVE_INFINITY, toAgoMs: agoMs }); // T2
      endWait(lane, agoMs);
      return;
    case "released":
    case "expired":
    case "forced":
    case "preempted": {
      const hold = lane.openHolds.get(token);
      lane.openHolds.delete(token);
      if (hold !== undefined) hold.toAgoMs = agoMs;
      else lane.holds.push({ fromAgoMs: Number.POSITIVE_INFINITY, toAgoMs: agoMs }); // T2
      return;
    }
    default:
      return; // Appends and the like belong to a hold that is drawn.
  }
}

function open(all: Span[], openOnes: Span[], agoMs: number): void {
  const span = { fromAgoMs: agoMs, toAgoMs: 0 };
  all.push(span);
  openOnes.push(span);
}

/** The oldest: a session's own requests are served in order, as far as a picture can tell. */
function endWait(lane: Lane, agoMs: number): void {
  const wait = lane.openWaits.shift();
  if (wait !== undefined) wait.toAgoMs = agoMs;
}

/** Two sessions of one client are told apart by the beginning of their ids. */
function distinct(lanes: readonly Lane[]): readonly Lane[] {
  return lanes.map((lane) => {
    const isAlone = lanes.every((other) => other === lane || other.label !== lane.label);
    return isAlone ? lane : { ...lane, label: `${lane.label} ${lane.session.slice(0, 6)}` };
  });
}

function drawLane(lane: Lane, spanMs: number, width: number): string {
  const cells = new Array<string>(width).fill(IDLE);
  const columnOf = (agoMs: number): number => {
    const at = Math.floor(((spanMs - Math.min(agoMs, spanMs)) / spanMs) * width);
    return Math.max(0, Math.min(width - 1, at));
  };
  const paint = (spans: readonly Span[], cell: string): void => {
    for (const { fromAgoMs, toAgoMs } of spans) {
      if (toAgoMs > spanMs) continue;
      const to = columnOf(toAgoMs);
      for (let column = Math.min(columnOf(fromAgoMs), to); column <= to; column += 1) cells[column] = cell; // T1
    }
  };
  paint(lane.waits, WAITED);
  paint(lane.holds, HELD);
  for (const [kind, mark] of MARKS)
    for (const each of lane.marks) if (each.kind === kind && each.agoMs <= spanMs) cells[columnOf(each.agoMs)] = mark;
  return cells.join("");
}

/** When the edges and the middle are. */
function scale(spanMs: number, width: number): string {
  const left = `${formatDuration(spanMs)} ago`;
  const middle = `${formatDuration(spanMs / 2)} ago`;
  const right = "now";
  const middleAt = Math.floor(width / 2 - middle.length / 2);
  const hasMiddle = middleAt > left.length + 1 && middleAt + middle.length + 1 < width - right.length;
  const start = hasMiddle ? left.padEnd(middleAt) + middle : left;
  return start.padEnd(width - right.length) + right;
}
