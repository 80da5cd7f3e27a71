// chart.ts: horizontal bars as SVG text, readable on light and dark pages, without a font or a script. Pure.
//   C1. Bars of one panel share one scale that starts at zero: lengths compare as numbers do.

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** As written behind the bar. */
  readonly shown: string;
  readonly kind: "ours" | "limit" | "durable_peer" | "volatile_peer";
}
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}
export interface Chart {
  readonly title: string;
  readonly note: string;
  readonly panels: readonly Panel[];
}

const WIDTH = 760;
const LABEL_WIDTH = 210;
const VALUE_WIDTH = 110;
const ROW = 24;
const BAR = 16;
const KINDS: Readonly<Record<Bar["kind"], string>> = {
  ours: "Forelock",
  limit: "limit: bare loop",
  durable_peer: "durable",
  volatile_peer: "in memory",
};

const STYLE = `text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}.panel{font-weight:600}.note{fill:#57606a;font-size:12px}
.ours{fill:#0a7d4f}.limit{fill:#a9b1ba}.durable_peer{fill:#3d6fb6}.volatile_peer{fill:#b9884a}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9da7b1}.ours{fill:#35c48b}.limit{fill:#59636e}.durable_peer{fill:#6ea3ea}.volatile_peer{fill:#d6a663}}`;

export function chartSvg(chart: Chart): string {
  const lines: string[] = [text(0, 18, chart.title, "title")];
  let y = 34;
  lines.push(legend(y, chart));
  y += 22;
  for (const panel of chart.panels) {
    lines.push(text(0, y + 16, panel.title, "panel"));
    y += 26;
    const largest = Math.max(1, ...panel.bars.map((bar) => bar.value)); // C1
    for (const bar of panel.bars) {
      lines.push(barLine(bar, y, largest));
      y += ROW;
    }
    y += 10;
  }
  lines.push(text(0, y + 10, chart.note, "note"));
  const height = y + 20;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`;
  return `${head}\n<title>${escaped(chart.title)}</title>\n<style>${STYLE}</style>\n${lines.join("\n")}\n</svg>\n`;
}

function barLine(bar: Bar, y: number, largest: number): string {
  const width = Math.max(1, Math.round((bar.value / largest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)));
  const label = `<text x="${LABEL_WIDTH - 10}" y="${y + 13}" text-anchor="end">${escaped(bar.label)}</text>`;
  const rect = `<rect class="${bar.kind}" x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR}" rx="2"/>`;
  return `${label}${rect}${text(LABEL_WIDTH + width + 8, y + 13, bar.shown, "")}`;
}

function legend(y: number, chart: Chart): string {
  const used = new Set(chart.panels.flatMap((panel) => panel.bars.map((bar) => bar.kind)));
  return (Object.keys(KINDS) as Bar["kind"][]) // The keys of a Record by kind are the kinds.
    .filter((kind) => used.has(kind))
    .map(
      (kind, index) =>
        `<rect class="${kind}" x="${index * 150}" y="${y}" width="12" height="12" rx="2"/>${text(index * 150 + 18, y + 11, KINDS[kind], "note")}`,
    )
    .join("");
}

function text(x: number, y: number, content: string, style: string): string {
  return `<text${style === "" ? "" : ` class="${style}"`} x="${x}" y="${y}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
