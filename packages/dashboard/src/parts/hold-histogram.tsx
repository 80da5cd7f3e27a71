// hold-histogram.tsx: how long a lock has been held, and over it where the present hold is predicted to end.
import type { Distribution, HoldForecast } from "@forelock/protocol";
import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type UPlot from "uplot";
import { count, duration } from "../format/format.ts";
import { stepsOf } from "../lock/histogram.ts";
import type { Json } from "../wire/json.ts";
import { axisStyle, type Colours, Plot } from "./plot.tsx";

export interface HoldHistogramProps {
  readonly hold: Json<Distribution>;
  /** Of the present hold; undefined when nobody holds it, or nothing is predicted. */
  readonly forecast: Json<HoldForecast> | undefined;
  readonly heldMs: number | undefined;
}

interface Line {
  readonly ms: number;
  readonly title: string;
}

export function HoldHistogram({ hold, forecast, heldMs }: HoldHistogramProps): JSX.Element {
  const steps = useMemo(() => stepsOf(hold), [hold]);
  const heldS = heldMs === undefined ? undefined : Math.floor(heldMs / 1_000);
  const lines = useMemo(() => linesOf(forecast, heldS), [forecast, heldS]);
  const latest = useRef(lines);
  latest.current = lines;
  const options = useMemo(
    () => (colours: Colours, uPlot: typeof UPlot) => optionsOf(colours, uPlot, () => latest.current),
    [],
  );
  // New data draws the lines anew, too: they are drawn over it.
  const data = useMemo(() => (steps === undefined ? [] : [...steps]), [steps, lines]);
  if (steps === undefined) return <p class="empty">No hold has ended yet.</p>;
  const { p50Ms = 0, p90Ms = 0, p99Ms = 0, observations = 0 } = hold;
  const past = `${count(observations)} past holds: half ended within ${duration(p50Ms)}, nine of ten within ${duration(p90Ms)}, 99 of 100 within ${duration(p99Ms)}.`;
  const label = `Histogram of hold times. ${past} ${lines.map(({ title, ms }) => `${title} ${duration(ms)}.`).join(" ")}`;
  return (
    <>
      <Plot label={label} height={220} data={data} options={options} />
      <p class="note">{past}</p>
      <p class="note">{lines.map(({ title, ms }) => `${title} ${duration(ms)}`).join(" · ")}</p>
    </>
  );
}

function linesOf(forecast: Json<HoldForecast> | undefined, heldS: number | undefined): readonly Line[] {
  // A hold that has just begun is left of all that the chart shows.
  const lines: Line[] = heldS === undefined || heldS === 0 ? [] : [{ ms: heldS * 1_000, title: "held" }];
  if (forecast === undefined) return lines;
  const { p50Ms = 0, p90Ms = 0, p99Ms = 0 } = forecast;
  return [...lines, { ms: p50Ms, title: "p50" }, { ms: p90Ms, title: "p90" }, { ms: p99Ms, title: "p99" }];
}

function optionsOf(
  colours: Colours,
  uPlot: typeof UPlot,
  lines: () => readonly Line[],
): Omit<UPlot.Options, "width" | "height"> {
  const axis = axisStyle(colours);
  const paths = uPlot.paths.stepped?.({ align: 1 }); // Right of each edge stands its count, up to the next edge.
  const stepped = paths === undefined ? {} : { paths };
  return {
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, distr: 3, range: (_plot, min, max) => rangeOf(min, max, lines()) },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.15)] },
    },
    axes: [
      {
        ...axis,
        splits: (_plot, _axis, min, max) => TICKS_MS.filter((ms) => ms >= min && ms <= max),
        values: (_plot, splits) => splits.map((ms) => duration(ms)),
        filter: (_plot, splits) => splits, // uPlot would leave out what is no power of ten.
      },
      { ...axis, size: 44 },
    ],
    series: [{}, { stroke: colours.accent, fill: colours.band, width: 1, ...stepped, points: { show: false } }],
    hooks: { draw: [(plot) => drawLines(plot, lines(), colours)] },
  };
}

function rangeOf(min: number, max: number, lines: readonly Line[]): [number, number] {
  const all = [min, max, ...lines.map(({ ms }) => ms)].filter((ms) => ms > 0);
  return [Math.min(...all) / 1.2, Math.max(...all) * 1.4];
}

/** Where people read a duration. */
const TICKS_MS = [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000, 86_400_000, 864_000_000];

function drawLines(plot: UPlot, lines: readonly Line[], colours: Colours): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  for (const [index, { ms, title }] of lines.entries()) {
    const x = plot.valToPos(ms, "x", true);
    const isAge = title === "held";
    ctx.strokeStyle = isAge ? colours.text : colours.second;
    ctx.fillStyle = isAge ? colours.text : colours.second;
    ctx.lineWidth = (isAge ? 2 : 1.5) * ratio;
    ctx.setLineDash(isAge ? [] : [5 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(title, x + 3 * ratio, bbox.top + (10 + 12 * (index % 2)) * ratio); // In two rows: neighbours are near.
  }
  ctx.restore();
}
