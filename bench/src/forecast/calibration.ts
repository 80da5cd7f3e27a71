// calibration.ts: promised against observed: how often the truth lay at or below each quantile, as text and as SVG. Pure. Not here:
// how it is measured (series.ts, durations.ts).

export interface CalibrationCurve {
  readonly name: string;
  /** By level: promised and observed shares, both in [0, 1]. */
  readonly points: readonly { readonly promised: number; readonly observed: number }[];
}

const TEXT_WIDTH = 41;

/** A ruler from 0 to 1 for each level: `|` is what was promised, `o` what was observed, `*` both. */
export function calibrationText(curves: readonly CalibrationCurve[]): string {
  return curves
    .map(({ name, points }) => {
      const rulers = points.map(({ promised, observed }) => {
        const ruler = Array.from({ length: TEXT_WIDTH }, () => ".");
        const at = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * (TEXT_WIDTH - 1));
        ruler[at(promised)] = "|";
        ruler[at(observed)] = at(observed) === at(promised) ? "*" : "o";
        return `  p${String(Math.round(promised * 100)).padEnd(2)} ${ruler.join("")} ${observed.toFixed(3)}`;
      });
      return [name, ...rulers].join("\n");
    })
    .join("\n");
}

const SIDE = 300;
const LEFT = 44;
const TOP = 34;
const LEGEND_ROW = 20;
const COLOURS = ["#0a7d4f", "#3d6fb6", "#b9884a", "#8a4fb0", "#b04f5f", "#4f9db0"] as const;
const STYLE = `text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}.note{fill:#57606a;font-size:12px}
.frame{fill:none;stroke:#a9b1ba}.ideal{stroke:#a9b1ba;stroke-dasharray:4 4}polyline{fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9da7b1}.frame,.ideal{stroke:#59636e}}`;

/** Promised shares to the right, observed ones upwards; on the dashed diagonal a forecast is honest. */
export function calibrationSvg(curves: readonly CalibrationCurve[]): string {
  const x = (share: number): number => Math.round((LEFT + share * SIDE) * 10) / 10;
  const y = (share: number): number => Math.round((TOP + (1 - share) * SIDE) * 10) / 10;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text class="note" x="${x(share)}" y="${TOP + SIDE + 16}" text-anchor="middle">${share}</text>` +
      `<text class="note" x="${LEFT - 6}" y="${y(share) + 4}" text-anchor="end">${share}</text>`,
  );
  const drawn = curves.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length]!; // In range.
    const line = points.map(({ promised, observed }) => `${x(promised)},${y(observed)}`).join(" ");
    const dots = points.map(
      ({ promised, observed }) => `<circle cx="${x(promised)}" cy="${y(observed)}" r="3.5" fill="${colour}"/>`,
    );
    const legendY = TOP + index * LEGEND_ROW;
    const legendX = LEFT + SIDE + 24;
    const legend =
      `<rect x="${legendX}" y="${legendY}" width="12" height="12" rx="2" fill="${colour}"/>` +
      `<text x="${legendX + 18}" y="${legendY + 11}">${escaped(name)}</text>`;
    return `<polyline points="${line}" stroke="${colour}"/>${dots.join("")}${legend}`;
  });
  const title = "Calibration: share of the truth at or below each quantile";
  const height = Math.max(TOP + SIDE + 44, TOP + curves.length * LEGEND_ROW + 20);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${height}" width="760" height="${height}" role="img">`,
    `<title>${title}</title>`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="0" y="16">${title}</text>`,
    `<rect class="frame" x="${LEFT}" y="${TOP}" width="${SIDE}" height="${SIDE}"/>`,
    `<line class="ideal" x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}"/>`,
    ...ticks,
    ...drawn,
    `<text class="note" x="${LEFT}" y="${TOP + SIDE + 34}">promised to the right, observed upwards</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
