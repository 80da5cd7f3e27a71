// plot.tsx: a chart of uPlot in the page's colours, loaded when the first one is shown. Not here: what is drawn (the screens).
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type UPlotClass from "uplot";
import type { AlignedData, Options } from "uplot";

/** Of the style sheet, for canvases, which cannot read it. */
export interface Colours {
  readonly text: string;
  readonly quiet: string;
  readonly line: string;
  readonly accent: string;
  readonly band: string;
  readonly second: string;
  readonly warn: string;
  readonly ground: string;
}

export interface PlotProps {
  /** The whole picture in words: a canvas says nothing to those who do not see it. */
  readonly label: string;
  readonly height: number;
  /** x, rising, and each series; null where it has no value, as uPlot wants it. */
  readonly data: readonly (readonly (number | null)[])[];
  /** A new object makes a new chart; keep it while only the data changes. */
  readonly options: (colours: Colours, uPlot: typeof UPlotClass) => Omit<Options, "width" | "height">;
}

export function Plot({ label, height, data, options }: PlotProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const draw = useRef<((data: PlotProps["data"]) => void) | undefined>(undefined);
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const gone = new AbortController();
    if (place.current !== null) void mount(place.current, gone.signal);
    return () => gone.abort();
  }, [options, height]);
  useEffect(() => draw.current?.(data), [data]);

  const mount = async (element: HTMLElement, gone: AbortSignal): Promise<void> => {
    const [{ default: UPlot }] = await Promise.all([import("uplot"), import("uplot/dist/uPlot.min.css")]);
    if (gone.aborted) return;
    let chart: InstanceType<typeof UPlot> | undefined;
    const renew = (): void => {
      chart?.destroy();
      chart = new UPlot(
        { ...options(coloursOf(element), UPlot), width: element.clientWidth, height },
        aligned(latest.current),
        element,
      );
      draw.current = (next) => chart?.setData(aligned(next));
    };
    renew();
    const resizes = new ResizeObserver(() => chart?.setSize({ width: element.clientWidth, height }));
    resizes.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", renew, { signal: gone });
    addEventListener("forelock-theme", renew, { signal: gone });
    gone.addEventListener("abort", () => {
      resizes.disconnect();
      chart?.destroy();
      draw.current = undefined;
    });
  };
  return <div ref={place} class="plot" role="img" aria-label={label} style={{ height: `${height}px` }} />;
}

/** uPlot's types ask for arrays that it may change; it does not, but these are its own. */
function aligned(data: PlotProps["data"]): AlignedData {
  const [xs = [], ...series] = data;
  return [xs.map(Number), ...series.map((values) => [...values])];
}

function coloursOf(element: HTMLElement): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of("text"),
    quiet: of("quiet"),
    line: of("line"),
    accent: of("accent"),
    band: of("band"),
    second: of("series-2"),
    warn: of("warn"),
    ground: of("card"),
  };
}

/** Axes in the page's colours. */
export function axisStyle(colours: Colours): { stroke: string; grid: object; ticks: object; font: string } {
  const lines = { stroke: colours.line, width: 1 };
  return { stroke: colours.quiet, grid: lines, ticks: lines, font: "12px system-ui, sans-serif" };
}
