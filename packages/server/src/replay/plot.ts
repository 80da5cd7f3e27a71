// plot.ts: the p99 wait against false pre-emptions, one point a policy, as text and as SVG. Not here: which policies there are.
import { frontierOf } from "./frontier.ts";
import type { PolicyResult } from "./tally.ts";

const WIDTH = 72;
const HEIGHT = 18;

/** Logarithmic from 0: what is 0 has its place too. */
const scaled = (value: number): number => Math.log10(1 + value);

interface Frame {
  readonly x: (policy: PolicyResult) => number;
  readonly y: (policy: PolicyResult) => number;
  readonly waitMsMin: number;
  readonly waitMsMax: number;
  readonly falseMax: number;
}

/** Both axes as shares of the picture, from its lower left corner. */
function frameOf(policies: readonly PolicyResult[]): Frame {
  const waits = policies.map(({ waitMsP99 }) => waitMsP99);
  const waitMsMin = Math.min(...waits);
  const waitMsMax = Math.max(...waits);
  const falseMax = Math.max(1, ...policies.map(({ falsePreemptions }) => falsePreemptions));
  const span = scaled(waitMsMax) - scaled(waitMsMin);
  return {
    x: ({ waitMsP99 }) => (span === 0 ? 0.5 : (scaled(waitMsP99) - scaled(waitMsMin)) / span),
    y: ({ falsePreemptions }) => scaled(falsePreemptions) / scaled(falseMax),
    ...{ waitMsMin, waitMsMax, falseMax },
  };
}

/** N none, F forelock, o a fixed timeout on the frontier, . one that another one beats. */
export function textPlot(policies: readonly PolicyResult[], span: (ms: number) => string): readonly string[] {
  const frame = frameOf(policies);
  const cells = Array.from({ length: HEIGHT }, () => Array.from({ length: WIDTH }, () => " "));
  const draw = (policy: PolicyResult, mark: string): void => {
    const row = cells[HEIGHT - 1 - Math.round(frame.y(policy) * (HEIGHT - 1))];
    if (row !== undefined) row[Math.round(frame.x(policy) * (WIDTH - 1))] = mark;
  };
  for (const policy of policies) if (policy.name.startsWith("fixed-")) draw(policy, ".");
  for (const policy of frontierOf(policies)) draw(policy, "o");
  for (const policy of policies) {
    if (policy.name === "none") draw(policy, "N");
    if (policy.name === "forelock") draw(policy, "F");
  }
  const label = String(frame.falseMax);
  const gutter = label.length + 1;
  const lines = cells.map((row, index) => {
    const mark = index === 0 ? label : index === HEIGHT - 1 ? "0" : "";
    return `${mark.padStart(gutter)} |${row.join("")}`.trimEnd();
  });
  const left = span(frame.waitMsMin);
  const right = span(frame.waitMsMax);
  return [
    "False pre-emptions against the p99 wait (both logarithmic): N none, F forelock, o frontier of fixed timeouts, . other ones",
    ...lines,
    `${" ".repeat(gutter)} +${"-".repeat(WIDTH)}`,
    `${" ".repeat(gutter)}  ${left}${right.padStart(Math.max(1, WIDTH - left.length))}`,
  ];
}

const SVG_WIDTH = 760;
const SVG_HEIGHT = 440;
const MARGIN = 60;

/** A whole SVG document, light, with a title for each point. */
export function svgPlot(
  policies: readonly PolicyResult[],
  { title, span }: { readonly title: string; readonly span: (ms: number) => string },
): string {
  const frame = frameOf(policies);
  const x = (policy: PolicyResult): number => MARGIN + frame.x(policy) * (SVG_WIDTH - 2 * MARGIN);
  const y = (policy: PolicyResult): number => SVG_HEIGHT - MARGIN - frame.y(policy) * (SVG_HEIGHT - 2 * MARGIN);
  const point = (policy: PolicyResult, colour: string, radius: number): string =>
    `<circle cx="${x(policy).toFixed(1)}" cy="${y(policy).toFixed(1)}" r="${radius}" fill="${colour}"><title>${escaped(policy.name)}: p99 wait ${escaped(span(policy.waitMsP99))}, ${policy.falsePreemptions} false, ${policy.healthyForced} healthy forced, ${policy.unfinished} unfinished</title></circle>`;
  const frontier = frontierOf(policies);
  const path = frontier.map((policy) => `${x(policy).toFixed(1)},${y(policy).toFixed(1)}`).join(" ");
  const text = (atX: number, atY: number, anchor: string, words: string): string =>
    `<text x="${atX.toFixed(1)}" y="${atY.toFixed(1)}" text-anchor="${anchor}">${escaped(words)}</text>`;
  const bottom = SVG_HEIGHT - MARGIN;
  const named = policies.filter(({ name }) => name === "none" || name === "forelock");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SVG_WIDTH} ${SVG_HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${SVG_WIDTH}" height="${SVG_HEIGHT}" fill="#ffffff"/>`,
    text(SVG_WIDTH / 2, 24, "middle", title),
    `<path d="M${MARGIN} ${MARGIN / 2 + 10}V${bottom}H${SVG_WIDTH - MARGIN / 2}" fill="none" stroke="#555555"/>`,
    text(SVG_WIDTH / 2, SVG_HEIGHT - 14, "middle", "p99 wait of requests (logarithmic)"),
    text(MARGIN, bottom + 20, "start", span(frame.waitMsMin)),
    text(SVG_WIDTH - MARGIN, bottom + 20, "end", span(frame.waitMsMax)),
    text(MARGIN - 8, bottom + 4, "end", "0"),
    text(MARGIN - 8, MARGIN + 4, "end", String(frame.falseMax)),
    text(MARGIN - 40, MARGIN / 2 + 2, "start", "false pre-emptions (logarithmic)"),
    `<polyline points="${path}" fill="none" stroke="#8a8a8a" stroke-dasharray="4 3"/>`,
    ...policies.filter(({ name }) => name.startsWith("fixed-")).map((policy) => point(policy, "#b0b0b0", 3)),
    ...frontier.map((policy) => point(policy, "#4a4a4a", 4)),
    ...named.map((policy) => point(policy, policy.name === "none" ? "#c2410c" : "#1d4ed8", 6)),
    ...named.map((policy) =>
      text(x(policy) + 9, y(policy) - 8, x(policy) > SVG_WIDTH / 2 ? "end" : "start", policy.name),
    ),
    "</svg>",
    "",
  ].join("\n");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (each) => ENTITIES[each] ?? each);
