// status.ts: `forelock status` and `forelock sessions`: how the server is, and who is connected.
import type { ServerStatus, SessionInfo } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { formatDuration } from "./duration.ts";
import { printRows } from "./listing.ts";
import { percent, riskCell } from "./outlook.ts";
import { collect, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./paging.ts";
import type { Palette } from "./palette.ts";
import { formatBytes, formatCount, parseCount, printable } from "./quantity.ts";
import type { Column } from "./table.ts";

export function statusCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "status",
    summary: "Show how the server is: version, durability, counts, log",
    examples: ["forelock status", "forelock status --json --endpoint 10.0.0.5:7420"],
  });
  return onRun(command, invocation, async (context) => {
    await using remote = await context.connect({ session: "none" });
    const status = await remote.status();
    if (context.json) await context.printJson(status);
    else await context.out.lines(statusLines(status, context.out.palette));
    return 0;
  });
}

export function statusLines(status: ServerStatus, palette: Palette): readonly string[] {
  const facts: readonly (readonly [string, string])[] = [
    ["state", status.stopped === "" ? palette.good("healthy") : palette.bad(`stopped: ${printable(status.stopped)}`)],
    ["version", printable(status.version)],
    [
      "durable",
      status.durable
        ? "yes: acknowledged means on disk"
        : palette.warning("relaxed: a power cut can lose the last answers"),
    ],
    ["uptime", formatDuration(status.uptimeMs)],
    ["epoch", formatCount(status.epoch)],
    ["partitions", formatCount(status.partitions)],
    ["connections", formatCount(status.connections)],
    ["sessions", formatCount(status.sessions)],
    ["grants held", formatCount(status.grants)],
    ["waiting", formatCount(status.waiting)],
    ["files", formatCount(status.files)],
    ["operations", `${formatCount(status.operations)} remembered`],
    ["log", formatBytes(status.logBytes)],
    ["state hash", printable(status.stateHash)],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, text]) => `${palette.dim(name.padEnd(width))}  ${text}`);
}

interface SessionsOptions {
  readonly limit?: string;
}

const SESSION_COLUMNS: readonly Column[] = [
  { title: "SESSION", align: "left" },
  { title: "CLIENT", align: "left", shrinks: true },
  { title: "PRINCIPAL", align: "left" },
  { title: "HOLDS", align: "right" },
  { title: "WAITS", align: "right" },
  { title: "HEARD", align: "left" },
  { title: "TTL", align: "right" },
  { title: "LAG", align: "right" },
  { title: "HEALTH", align: "left" },
  { title: "JITTER", align: "right" },
  { title: "GONE", align: "right" },
  { title: "RISK", align: "left" },
];

export function sessionsCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "sessions",
    summary: "List sessions: who is connected, what they hold, how they are, when they were last heard",
    examples: ["forelock sessions", "forelock sessions --json --limit 50"],
    notes: [
      "LAG and HEALTH are what the client says of itself, JITTER is the spread of its heartbeats, GONE how likely it is that it is gone, by its silence so far. RISK is the highest of its contended grants.",
    ],
  }).addOption(option("--limit <count>", "Rows at most", { default: formatCount(LIST_LIMIT_DEFAULT) }));
  return onRun<SessionsOptions>(command, invocation, async (context, options) => {
    const limit = parseCount("--limit", options.limit ?? String(LIST_LIMIT_DEFAULT), { min: 1, max: LIST_LIMIT_MAX });
    await using remote = await context.connect({ session: "none" });
    const { items, more } = await collect(
      limit,
      (page) => remote.listSessions(page),
      (session) => session.session,
    );
    if (context.json) await context.printJson({ sessions: items, more });
    else await printRows(context, { columns: SESSION_COLUMNS, rows: items.map(sessionRow), more, noun: "session" });
    return 0;
  });
}

export function sessionRow(session: SessionInfo): readonly string[] {
  return [
    session.session,
    session.application === "" ? session.client : `${session.client} [${session.application}]`,
    session.principal,
    formatCount(session.grants),
    formatCount(session.waits),
    `${formatDuration(session.silentMs)} ago${session.waiting ? ", silent" : ""}`,
    formatDuration(session.ttlMs),
    formatDuration(session.lagMs),
    session.health,
    formatDuration(session.jitterMs),
    percent(session.suspicion),
    riskCell(session.risk),
  ];
}
