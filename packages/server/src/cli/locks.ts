// locks.ts: `forelock locks`, `why` and `release --force`: who holds what, why somebody waits, and an operator's way out.
import type { Holder, LockInfo, Waiter, Why } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { formatDuration } from "./duration.ts";
import { printRows } from "./listing.ts";
import { collect, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./paging.ts";
import type { Palette } from "./palette.ts";
import { formatCount, parseCount, parseToken, plural, printable } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";
import { UsageError } from "./usage-error.ts";

interface LocksOptions {
  readonly stuck?: true;
  readonly limit?: string;
}

export const LOCK_COLUMNS: readonly Column[] = [
  { title: "LOCK", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "HELD BY", align: "left" },
  { title: "FOR", align: "right" },
  { title: "TOKEN", align: "right" },
  { title: "WAITING", align: "right" },
  { title: "FIRST WAITS", align: "right" },
];

export function locksCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "locks [PREFIX]",
    summary: "List locks with their holders and queues",
    examples: ["forelock locks orders/", "forelock locks --stuck --json"],
  })
    .argument("[prefix]")
    .addOption(option("--stuck", "Only locks with waiters whose holder is silent or has held for long"))
    .addOption(option("--limit <count>", "Rows at most", { default: formatCount(LIST_LIMIT_DEFAULT) }));
  return onRun<LocksOptions>(command, invocation, async (context, options, [prefix = ""]) => {
    const limit = parseCount("--limit", options.limit ?? String(LIST_LIMIT_DEFAULT), { min: 1, max: LIST_LIMIT_MAX });
    const stuck = options.stuck === true;
    await using remote = await context.connect({ session: "none" });
    const { items, more } = await collect(
      limit,
      (page) => remote.listLocks({ prefix, stuck, byPain: false, ...page }),
      (lock) => lock.name,
    );
    if (context.json) await context.printJson({ locks: items, more });
    else {
      const noun = stuck ? "stuck lock" : "lock";
      await printRows(context, { columns: LOCK_COLUMNS, rows: items.map(lockRow), more, noun });
    }
    return 0;
  });
}

/** One row a lock: its first holder, and how many more there are. */
export function lockRow({ name, holders, limit, waiting, waitedMs }: LockInfo): readonly string[] {
  const queue = waiting === 0 ? ["", ""] : [formatCount(waiting), formatDuration(waitedMs)];
  const [first, ...others] = holders;
  if (first === undefined) return [name, "", "nobody", "", "", ...queue];
  const more = others.length === 0 ? "" : ` and ${formatCount(others.length)} more`;
  return [
    name,
    modeText(first, limit),
    holderText(first) + more,
    formatDuration(first.heldMs),
    String(first.token),
    ...queue,
  ];
}

const modeText = (holder: Holder, limit: number): string =>
  holder.mode === "permit" ? `${holder.take} of ${limit}` : holder.mode;

/** The client's own name, the principal where it may be seen, and whether it is silent. */
export function holderText(holder: Pick<Holder, "client" | "principal" | "session" | "silent">): string {
  const who = holder.client === "" ? holder.session : holder.client;
  return `${who}${holder.principal === "" ? "" : ` (${holder.principal})`}${holder.silent ? ", silent" : ""}`;
}

export function whyCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "why NAME",
    summary: "Explain one lock: who holds it, since when, who waits, and what blocks it",
    examples: ["forelock why orders/42", "forelock why '{acct-9}/ledger' --json"],
  }).argument("<name>");
  return onRun(command, invocation, async (context, _options, [name = ""]) => {
    await using remote = await context.connect({ session: "none" });
    const why = await remote.why(name);
    if (context.json) await context.printJson(why);
    else await context.out.lines(whyLines(why, context.out.palette, context.out.width));
    return 0;
  });
}

const HOLDER_COLUMNS: readonly Column[] = [
  { title: "  HELD BY", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "FOR", align: "right" },
  { title: "TOKEN", align: "right" },
  { title: "SESSION", align: "left" },
];

const WAITER_COLUMNS: readonly Column[] = [
  { title: "  PLACE", align: "right" },
  { title: "WAITS", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "FOR", align: "right" },
  { title: "PRIORITY", align: "right" },
  { title: "OPERATION", align: "left" },
];

export function whyLines(why: Why, palette: Palette, width: number | undefined): readonly string[] {
  const holders = why.holders.map((holder) => [
    `  ${holderText(holder)}`,
    modeText(holder, why.limit),
    formatDuration(holder.heldMs),
    String(holder.token),
    holder.session,
  ]);
  const waiters = why.waiters.map((waiter: Waiter) => [
    formatCount(waiter.position),
    holderText(waiter),
    waiter.mode,
    formatDuration(waiter.waitedMs),
    String(waiter.priority),
    waiter.reference,
  ]);
  const left = why.waiting - why.waiters.length;
  return [
    palette.bold(printable(why.name)),
    `  ${printable(why.sentence)}`,
    ...block(HOLDER_COLUMNS, holders, palette, width),
    ...block(WAITER_COLUMNS, waiters, palette, width),
    ...(left > 0 ? [palette.dim(`  and ${plural(left, "waiter")} more`)] : []),
    ...(why.related.length > 0 ? ["", `  Blocked through its tree by: ${why.related.map(printable).join(", ")}`] : []),
  ];
}

function block(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  palette: Palette,
  width: number | undefined,
): readonly string[] {
  if (rows.length === 0) return [];
  const [titles = "", ...lines] = renderTable(columns, rows, width);
  return ["", palette.dim(titles), ...lines];
}

interface ReleaseOptions {
  readonly force?: true;
  readonly reason?: string;
  readonly token?: string;
}

export function releaseCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "release NAME",
    summary: "As an operator, take a lock away from its holders",
    examples: [
      "forelock release --force orders/42 --reason 'worker 7 hangs, ticket 311'",
      "forelock release --force orders/42 --token 1099511627790 --reason 'stuck import'",
    ],
    notes: [
      "The tokens of the holders are dead before the next grant; what they did under a grant taken with rollback is undone. The reason is kept in the log and told to the holders.",
    ],
  })
    .argument("<name>")
    .addOption(option("--force", "Required: says that you are not the holder and mean it"))
    .addOption(option("--reason <text>", "Required: why, 1 to 256 bytes; kept in the log"))
    .addOption(option("--token <token>", "Only the grant with this token", { default: "all holders" }));
  return onRun<ReleaseOptions>(command, invocation, async (context, options, [name = ""]) => {
    if (options.force !== true) {
      throw new UsageError(
        "A lock is released by its holder. To take it away as an operator, add --force and --reason TEXT.",
      );
    }
    const reasonBytes = Buffer.byteLength(options.reason ?? "");
    if (options.reason === undefined || reasonBytes < 1 || reasonBytes > 256) {
      throw new UsageError(`--reason has ${reasonBytes} bytes: say why in 1 to 256 bytes; it is kept in the log.`);
    }
    const token = options.token === undefined ? undefined : parseToken("--token", options.token);
    await using remote = await context.connect({ session: "none" });
    const reply = await remote.forceRelease({ name, token, reason: options.reason });
    if (context.json) await context.printJson(reply);
    else {
      const undone = reply.undone === 0 ? "" : `, ${plural(reply.undone, "effect")} undone`;
      const tokens = reply.released.length === 0 ? "" : ` (token ${reply.released.join(", ")})`;
      await context.out.line(
        `${printable(name)}: released ${plural(reply.released.length, "grant")}${tokens}${undone}`,
      );
    }
    return 0;
  });
}
