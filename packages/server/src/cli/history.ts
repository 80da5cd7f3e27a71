// history.ts: `forelock history NAME`: what the log still remembers of a lock, drawn as a timeline. Not here: the drawing
// (timeline.ts).
import type { History, HistoryEntry } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { formatDuration, parseDurationMs } from "./duration.ts";
import type { Palette } from "./palette.ts";
import { formatCount, parseCount, plural, printable } from "./quantity.ts";
import { renderTable } from "./table.ts";
import { HELD, IDLE, MARKS, timelineLines, WAITED } from "./timeline.ts";

interface HistoryOptions {
  readonly since?: string;
  readonly limit?: string;
}

/** What one answer of the server has room for. */
const LIMIT_MAX = 10_000;
const LIMIT_DEFAULT = 1_000;
/** Where the output is no terminal. */
const WIDTH_DEFAULT = 100;
/** As many of what is marked are told in words, the newest. */
const NOTABLE_MAX = 20;
const LANES_MAX = 40;

export function historyCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "history NAME",
    summary: "Draw what happened to a lock: who held it, who waited, who was warned, as far as the log remembers",
    examples: [
      "forelock history orders/42",
      "forelock history orders/42 --since 10m",
      "forelock history orders/42 --json",
    ],
    notes: [
      `A lane for each session: ${HELD} held, ${WAITED} waited, ${MARKS.map(([kind, mark]) => `${mark} ${kind}`).join(", ")}. Times are of service: while no server ran, no time passed. The log remembers what its snapshots have not let go; the chart says how far back that is.`,
    ],
  })
    .argument("<name>")
    .addOption(option("--since <duration>", "How far to look back", { default: "as far as the log remembers" }))
    .addOption(option("--limit <count>", "Entries at most, the newest", { default: formatCount(LIMIT_DEFAULT) }));
  return onRun<HistoryOptions>(command, invocation, async (context, options, [name = ""]) => {
    const sinceMs = options.since === undefined ? undefined : parseDurationMs("--since", options.since);
    const limit = parseCount("--limit", options.limit ?? String(LIMIT_DEFAULT), { min: 1, max: LIMIT_MAX });
    await using remote = await context.connect({ session: "none" });
    if (context.json) {
      await context.printJson(await remote.history({ name, sinceMs, limit }));
      return 0;
    }
    // What began before the chart does is needed too: who has held it all along was granted earlier.
    const history = await remote.history({ name, sinceMs: undefined, limit });
    const width = context.out.width ?? WIDTH_DEFAULT;
    await context.out.lines(historyLines({ name, history, sinceMs, width, palette: context.out.palette }));
    const events = history.entries.filter(({ agoMs }) => sinceMs === undefined || agoMs <= sinceMs);
    const count = `${plural(events.length, "event")}${history.more ? ", and older ones: raise --limit" : ""}; the log reaches back ${formatDuration(history.reachMs)}.`;
    await context.err.line(context.err.palette.dim(count));
    return 0;
  });
}

export interface HistoryWish {
  readonly name: string;
  readonly history: History;
  readonly sinceMs: number | undefined;
  readonly width: number;
  readonly palette: Palette;
}

export function historyLines({ name, history, sinceMs, width, palette }: HistoryWish): readonly string[] {
  const { entries } = history;
  const title = palette.bold(printable(name));
  const shown = newestLanes(entries);
  const spanMs = Math.max(1, sinceMs ?? shown[0]?.agoMs ?? 0);
  const chart = timelineLines({ entries: shown, spanMs, width });
  if (chart.length === 0) {
    const span = sinceMs === undefined ? "" : `, of the last ${formatDuration(sinceMs)}`;
    return [title, `  Nothing is remembered of it${span}.`];
  }
  const left = new Set(entries.map(({ session }) => session)).size - LANES_MAX;
  const legend = `${HELD} held  ${WAITED} waited  ${IDLE} neither  ${MARKS.map(([kind, mark]) => `${mark} ${kind}`).join("  ")}`;
  return [
    title,
    ...chart,
    ...(left > 0 ? [palette.dim(`and ${plural(left, "session")} before these`)] : []),
    "",
    palette.dim(legend),
    ...notableLines(
      entries.filter(({ agoMs }) => agoMs <= spanMs),
      width,
      palette,
    ),
  ];
}

/** A chart of more sessions than fit a screen tells nothing: those that came last are kept. */
function newestLanes(entries: readonly HistoryEntry[]): readonly HistoryEntry[] {
  const sessions = new Set<string>();
  for (const { session } of entries.toReversed()) if (sessions.size < LANES_MAX) sessions.add(session);
  return entries.filter(({ session }) => sessions.has(session));
}

const NOTABLE_COLUMNS = [
  { title: "AGO", align: "right" },
  { title: "WHAT", align: "left" },
  { title: "WHO", align: "left" },
  { title: "TOKEN", align: "right" },
  { title: "WHY", align: "left", shrinks: true },
] as const;

function notableLines(entries: readonly HistoryEntry[], width: number, palette: Palette): readonly string[] {
  const marked = new Set(MARKS.map(([kind]) => kind));
  const notable = entries.filter(({ kind }) => marked.has(kind)).slice(-NOTABLE_MAX);
  if (notable.length === 0) return [];
  const rows = notable.map(({ agoMs, kind, client, session, token, reason }) => [
    formatDuration(agoMs),
    kind,
    client === "" ? session : client,
    token === 0n ? "" : String(token),
    reason,
  ]);
  const [titles = "", ...lines] = renderTable(NOTABLE_COLUMNS, rows, width);
  return ["", palette.dim(titles), ...lines];
}
