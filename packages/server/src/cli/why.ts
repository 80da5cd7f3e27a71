// why.ts: `forelock why`: one lock in plain sentences: who holds it and since when, what is forecast, the risk and its parts, who waits
// and for how long, what comes next. Tables below the sentences hold every row.
import type { Holder, Waiter, Why } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun } from "./command.ts";
import type { Context } from "./context.ts";
import { formatDuration } from "./duration.ts";
import { holderText, modeText } from "./locks.ts";
import { etaCell, etaWords, restCell, restOf, riskCell, riskSentence, sourceWords, stateSentence } from "./outlook.ts";
import type { Palette } from "./palette.ts";
import { formatCount, plural, printable } from "./quantity.ts";
import { type Column, renderTable, wrapWords } from "./table.ts";

export function whyCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "why NAME",
    summary: "Explain one lock: who holds it, since when, for how long, who waits, and what comes next",
    examples: ["forelock why orders/42", "forelock why '{acct-9}/ledger' --json"],
  }).argument("<name>");
  return onRun(command, invocation, async (context, _options, [name = ""]) => {
    await using remote = await context.connect({ session: "none" });
    const why = await remote.why(name);
    if (context.json) await context.printJson(why);
    else await context.out.lines(whyLines(why, lookOf(context)));
    return 0;
  });
}

/** How text is to look, and what time it is. */
export interface Look {
  readonly palette: Palette;
  /** Undefined: not cut. */
  readonly width: number | undefined;
  readonly wallMs: number;
}

export function lookOf({ out, io }: Context): Look {
  return { palette: out.palette, width: out.width, wallMs: io.clock.wallMs() };
}

/** As many of each get sentences of their own; the tables have all. */
const HOLDERS_TOLD_MAX = 3;
const WAITERS_TOLD_MAX = 3;

export function whyLines(why: Why, { palette, width, wallMs }: Look): readonly string[] {
  // What comes next tells forecasts and risks too: where the server says it, it is not said twice.
  const isTold = why.next.length > 0;
  const holders = why.holders
    .slice(0, HOLDERS_TOLD_MAX)
    .map((holder) => [sinceSentence(holder, why.limit, wallMs), ...(isTold ? [] : outlookSentences(holder))].join(" "));
  const waiters = why.waiters.slice(0, WAITERS_TOLD_MAX).map(waiterSentences);
  const next = isTold ? [`Next: ${why.next.map(printable).join(" ")}`] : [];
  const left = why.waiting - why.waiters.length;
  return [
    palette.bold(printable(why.name)),
    ...paragraphs([printable(why.sentence), ...holders, ...waiters, ...next], width),
    ...block(
      HOLDER_COLUMNS,
      why.holders.map((holder) => holderRow(holder, why.limit)),
      palette,
      width,
    ),
    ...block(WAITER_COLUMNS, why.waiters.map(waiterRow), palette, width),
    ...(left > 0 ? [palette.dim(`  and ${plural(left, "waiter")} more`)] : []),
    ...(why.related.length > 0 ? ["", `  Blocked through its tree by: ${why.related.map(printable).join(", ")}`] : []),
  ];
}

function sinceSentence(holder: Holder, limit: number, wallMs: number): string {
  const since = timeOfDay(wallMs - holder.heldMs);
  return `${printable(holderText(holder))} has held it (${modeText(holder, limit)}) since ${since}.`;
}

function outlookSentences(holder: Holder): readonly string[] {
  const { forecast, risk } = holder;
  const rest = restOf(holder);
  const sentences: string[] = [];
  if (forecast !== undefined && rest !== undefined)
    sentences.push(`${capital(etaWords("holds", rest))} (${sourceWords(forecast)}).`);
  if (risk !== undefined) sentences.push(riskSentence(risk), stateSentence(risk) ?? "");
  return sentences.filter((sentence) => sentence !== "");
}

function waiterSentences(waiter: Waiter): string {
  const place = waiter.position === 1 ? "is next" : `waits at place ${formatCount(waiter.position)}`;
  const eta = waiter.eta === undefined ? "" : `; ${etaWords("waits", waiter.eta)}`;
  const state = waiter.risk === undefined ? undefined : stateSentence(waiter.risk);
  const risk = waiter.risk === undefined || state === undefined ? "" : ` ${riskSentence(waiter.risk)} ${state}`;
  return `${printable(holderText(waiter))} ${place}, after ${formatDuration(waiter.waitedMs)}${eta}.${risk}`;
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** For people: of this machine's clock, which may differ from the server's. */
const timeOfDay = (wallMs: number): string => `${new Date(wallMs).toISOString().slice(11, 19)} UTC`;

const INDENT = "  ";

function paragraphs(texts: readonly string[], width: number | undefined): readonly string[] {
  return texts
    .flatMap((text) => wrapWords(text, (width ?? Number.POSITIVE_INFINITY) - INDENT.length))
    .map((line) => INDENT + line);
}

const HOLDER_COLUMNS: readonly Column[] = [
  { title: "  HELD BY", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "FOR", align: "right" },
  { title: "FREE IN", align: "left" },
  { title: "RISK", align: "left" },
  { title: "TOKEN", align: "right" },
  { title: "SESSION", align: "left" },
];

const holderRow = (holder: Holder, limit: number): readonly string[] => [
  `  ${holderText(holder)}`,
  modeText(holder, limit),
  formatDuration(holder.heldMs),
  restCell(holder),
  riskCell(holder.risk),
  String(holder.token),
  holder.session,
];

const WAITER_COLUMNS: readonly Column[] = [
  { title: "  PLACE", align: "right" },
  { title: "WAITS", align: "left", shrinks: true },
  { title: "MODE", align: "left" },
  { title: "FOR", align: "right" },
  { title: "GRANT IN", align: "left" },
  { title: "RISK", align: "left" },
  { title: "PRIORITY", align: "right" },
  { title: "OPERATION", align: "left" },
];

const waiterRow = (waiter: Waiter): readonly string[] => [
  formatCount(waiter.position),
  holderText(waiter),
  waiter.mode,
  formatDuration(waiter.waitedMs),
  etaCell(waiter.eta),
  riskCell(waiter.risk),
  String(waiter.priority),
  waiter.reference,
];

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
