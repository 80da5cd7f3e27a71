// gantt-chart.tsx: who held a lock and who waited, over time, as bars; beneath it the same as a table.
import type { JSX } from "preact";
import { age, duration, score } from "../format/format.ts";
import { type Bar, ganttOf, ticksOf } from "../history/gantt.ts";
import type { Mark, Span } from "../history/spans.ts";
import { clientName } from "../lock/lock-row.ts";

export interface GanttChartProps {
  readonly spans: readonly Span[];
  /** The window, 0 or below. */
  readonly fromMs: number;
  readonly toMs: number;
  /** The moment that is looked at. */
  readonly atMs: number;
}

const WIDTH = 1_000;
const LABEL = 190;
const LANE = 22;
const AXIS = 22;
const ROWS_MAX = 200;

export function GanttChart({ spans, fromMs, toMs, atMs }: GanttChartProps): JSX.Element {
  const { lanes, left } = ganttOf(spans, fromMs, toMs);
  if (lanes.length === 0) return <p class="empty">Nothing happened to it in this time.</p>;
  const height = lanes.length * LANE + AXIS;
  const x = (place: number): number => LABEL + place * (WIDTH - LABEL - 4);
  const place = (ms: number): number => (ms - fromMs) / Math.max(1, toMs - fromMs);
  return (
    <>
      <svg class="gantt" viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={summary(spans, fromMs, toMs)}>
        {ticksOf(fromMs, toMs).map((ms) => (
          <g key={ms}>
            <line class="gantt-grid" x1={x(place(ms))} x2={x(place(ms))} y1="0" y2={height - AXIS} />
            <text class="gantt-tick" x={x(place(ms))} y={height - 6} text-anchor={place(ms) > 0.95 ? "end" : "middle"}>
              {ms === 0 ? "now" : `-${duration(-ms)}`}
            </text>
          </g>
        ))}
        {lanes.map(({ session, label, bars }, lane) => (
          <g key={session} transform={`translate(0 ${lane * LANE})`}>
            <text class="gantt-label" x="0" y="15">
              {label.length > 26 ? `${label.slice(0, 25)}…` : label}
            </text>
            {bars.map((bar) => (
              <GanttBar key={`${bar.span.kind}${bar.span.fromMs}${bar.span.token}`} bar={bar} x={x} place={place} />
            ))}
          </g>
        ))}
        <line class="gantt-now" x1={x(place(atMs))} x2={x(place(atMs))} y1="0" y2={height - AXIS} />
      </svg>
      <p class="legend note">
        <span class="key hold" /> held <span class="key wait" /> waited <span class="key lost" /> lost (expired or
        forced) <span class="key mark" /> warned{left > 0 && ` · ${left} clients more`}
      </p>
      <SpanTable spans={spans} fromMs={fromMs} toMs={toMs} />
    </>
  );
}

interface GanttBarProps {
  readonly bar: Bar;
  readonly x: (place: number) => number;
  readonly place: (ms: number) => number;
}

function GanttBar({ bar: { span, from, to }, x, place }: GanttBarProps): JSX.Element {
  const isLost = span.end === "expired" || span.end === "forced" || span.end === "preempted";
  const width = Math.max(2, x(to) - x(from));
  return (
    <g>
      <rect
        class={span.kind === "wait" ? "gantt-wait" : isLost ? "gantt-hold lost" : "gantt-hold"}
        x={x(from)}
        y={span.kind === "wait" ? 9 : 4}
        width={width}
        height={span.kind === "wait" ? 4 : 14}
        rx="2"
      >
        <title>{words(span)}</title>
      </rect>
      {span.marks.map((mark) => (
        <path key={mark.atMs} class={`gantt-mark ${mark.kind}`} d={`M${x(place(mark.atMs))} 2l4 7h-8z`}>
          <title>{`${mark.kind} ${age(-mark.atMs)} ago${scoreOf(mark)}. ${mark.reason}`}</title>
        </path>
      ))}
    </g>
  );
}

const scoreOf = ({ risk }: Mark): string =>
  risk === undefined ? "" : `, score ${score(risk.score ?? 0)} at a threshold of ${score(risk.threshold ?? 0)}`;

/** For those who read instead of look. */
function SpanTable({ spans, fromMs, toMs }: Omit<GanttChartProps, "atMs">): JSX.Element {
  const inside = spans
    .filter((span) => span.toMs >= fromMs && span.fromMs <= toMs)
    .slice(-ROWS_MAX)
    .reverse();
  return (
    <details>
      <summary>As a table</summary>
      <div class="scroll">
        <table>
          <caption class="hidden-title">Holds and waits, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Client</th>
              <th scope="col" class="number">
                Began
              </th>
              <th scope="col" class="number">
                Lasted
              </th>
              <th scope="col">Ended</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {inside.map((span) => (
              <tr key={`${span.kind}${span.session}${span.fromMs}${span.token}`}>
                <td>{span.kind === "hold" ? "held" : "waited"}</td>
                <th scope="row">{clientName(span)}</th>
                <td class="number">
                  {span.isCut ? "more than " : ""}
                  {age(-span.fromMs)} ago
                </td>
                <td class="number">{duration(span.toMs - span.fromMs)}</td>
                <td>{span.end ?? "lasts"}</td>
                <td class="wrap">{span.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function words(span: Span): string {
  const verb = span.kind === "hold" ? "held" : "waited";
  const end = span.end === undefined ? "so far" : `then ${span.end}`;
  const reason = span.reason === "" ? "" : ` (${span.reason})`;
  return `${clientName(span)} ${verb} ${span.isCut ? "at least " : ""}${duration(span.toMs - span.fromMs)}, ${end}${reason}`;
}

function summary(spans: readonly Span[], fromMs: number, toMs: number): string {
  const inside = spans.filter((span) => span.toMs >= fromMs && span.fromMs <= toMs);
  const holds = inside.filter(({ kind }) => kind === "hold");
  const lost = holds.filter(({ end }) => end !== undefined && end !== "released").length;
  return `Timeline of the last ${duration(-fromMs)}: ${holds.length} holds, ${lost} of them lost, ${inside.length - holds.length} waits. The table below says the same.`;
}
