// locks.ts: `forelock locks` and `release --force`: who holds what, for how long, and an operator's way out. Not here: one lock
// in full (why.ts).
import type { Holder, LockInfo } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { formatDuration } from "./duration.ts";
import { printRows } from "./listing.ts";
import { restCell, riskCell } from "./outlook.ts";
import { collect, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./paging.ts";
import { formatCount, parseCount, parseToken, plural, printable } from "./quantity.ts";
import { parseReason, reasonOption } from "./reason.ts";
import type { Column } from "./table.ts";
import { UsageError } from "./usage-error.ts";

interface LocksOptions {
  readonly stuck?: true;
  readonly byPain?: true;
  readonly limit?: string;
}

export const LOCK_COLUMNS: readonly Column[] = [
  { title: "LOCK", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "HELD BY", align: "left" },
  { title: "FOR", align: "right" },
  { title: "FREE IN", align: "left" },
  { title: "RISK", align: "left" },
  { title: "TOKEN", align: "right" },
  { title: "WAITING", align: "right" },
  { title: "FIRST WAITS", align: "right" },
];

const PAIN_COLUMN: Column = { title: "PAIN", align: "right" };

export function locksCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "locks [PREFIX]",
    summary: "List locks with their holders and queues",
    examples: ["forelock locks orders/", "forelock locks --by-pain --limit 20", "forelock locks --stuck --json"],
    notes: [
      "FREE IN is the forecast of the rest of the hold: half of such holds end by the first time, nine of ten by the second. RISK is a score from 0 to 1, with the state of its pre-emption.",
    ],
  })
    .argument("[prefix]")
    .addOption(option("--stuck", "Only locks with waiters whose holder is silent or has held for long"))
    .addOption(option("--by-pain", "The most waiting first: waiters x time; at most 1,000 rows"))
    .addOption(option("--limit <count>", "Rows at most", { default: formatCount(LIST_LIMIT_DEFAULT) }));
  return onRun<LocksOptions>(command, invocation, async (context, options, [prefix = ""]) => {
    const limit = parseCount("--limit", options.limit ?? String(LIST_LIMIT_DEFAULT), { min: 1, max: LIST_LIMIT_MAX });
    const stuck = options.stuck === true;
    const byPain = options.byPain === true;
    await using remote = await context.connect({ session: "none" });
    const fetchPage = (page: { readonly after: string; readonly limit: number }) =>
      remote.listLocks({ prefix, stuck, byPain, ...page });
    // By pain there is no name to go on from: the worst fit one page.
    const { items, more } = byPain
      ? await fetchPage({ after: "", limit: Math.min(limit, PAIN_ROWS_MAX) })
      : await collect(limit, fetchPage, (lock) => lock.name);
    if (context.json) await context.printJson({ locks: items, more });
    else {
      const noun = stuck ? "stuck lock" : "lock";
      const columns = byPain ? [...LOCK_COLUMNS, PAIN_COLUMN] : LOCK_COLUMNS;
      const rows = items.map((lock) => (byPain ? [...lockRow(lock), painCell(lock)] : lockRow(lock)));
      await printRows(context, { columns, rows, more, noun });
    }
    return 0;
  });
}

/** As many as a server gives in one page. */
const PAIN_ROWS_MAX = 1_000;

const painCell = ({ painMs }: LockInfo): string => (painMs === 0 ? "" : formatDuration(painMs));

/** One row a lock: its first holder, and how many more there are. */
export function lockRow({ name, holders, limit, waiting, waitedMs }: LockInfo): readonly string[] {
  const queue = waiting === 0 ? ["", ""] : [formatCount(waiting), formatDuration(waitedMs)];
  const [first, ...others] = holders;
  if (first === undefined) return [name, "", "nobody", "", "", "", "", ...queue];
  const more = others.length === 0 ? "" : ` and ${formatCount(others.length)} more`;
  return [
    name,
    modeText(first, limit),
    holderText(first) + more,
    formatDuration(first.heldMs),
    restCell(first),
    riskCell(first.risk),
    String(first.token),
    ...queue,
  ];
}

export const modeText = (holder: Holder, limit: number): string =>
  holder.mode === "permit" ? `${holder.take} of ${limit}` : holder.mode;

/** The client's own name, the principal where it may be seen, and whether it is silent. */
export function holderText(holder: Pick<Holder, "client" | "principal" | "session" | "silent">): string {
  const who = holder.client === "" ? holder.session : holder.client;
  return `${who}${holder.principal === "" ? "" : ` (${holder.principal})`}${holder.silent ? ", silent" : ""}`;
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
    .addOption(reasonOption())
    .addOption(option("--token <token>", "Only the grant with this token", { default: "all holders" }));
  return onRun<ReleaseOptions>(command, invocation, async (context, options, [name = ""]) => {
    if (options.force !== true) {
      throw new UsageError(
        "A lock is released by its holder. To take it away as an operator, add --force and --reason TEXT.",
      );
    }
    const reason = parseReason(options.reason);
    const token = options.token === undefined ? undefined : parseToken("--token", options.token);
    await using remote = await context.connect({ session: "none" });
    const reply = await remote.forceRelease({ name, token, reason });
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
