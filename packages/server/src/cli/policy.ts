// policy.ts: `forelock policy`: what is done about forecasts, by prefix of names: shown with what each field means, and changed. The
// fields, their ranges and their meaning are the server's: a newer one may know more of them.
import type { Policies, PolicyField, PolicyInfo } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { parseDurationMs } from "./duration.ts";
import { printRows } from "./listing.ts";
import { score } from "./outlook.ts";
import { printable } from "./quantity.ts";
import { parseReason } from "./reason.ts";
import { type Column, renderTable } from "./table.ts";
import { UsageError } from "./usage-error.ts";

interface PolicyOptions {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
  readonly reason?: string;
}

export function policyCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "policy [PREFIX]",
    summary: "Show or change what is done about forecasts, by prefix of names",
    examples: [
      "forelock policy",
      "forelock policy orders",
      "forelock policy orders --set threshold=0.7,policy=enforce,weights=hold:2/harm:1 --reason 'rollout, step 3'",
      "forelock policy orders --unset threshold --reason 'back to the standard'",
    ],
    notes: [
      "PREFIX is whole parts of names: orders rules over orders/42, not over orders2; '' is the prefix of everything. Without --set and --unset nothing is changed: without PREFIX every prefix that sets something is listed, with it every field and what it means.",
      "--set takes FIELD=VALUE, several of them between commas. The parts of a value are kept apart by /, as in weights=hold:2/harm:1. A field that ends in Ms takes a duration too, as in countdownMs=10s.",
    ],
  })
    .argument("[prefix]")
    .addOption(
      option("--set <fields>", "Change fields, as in threshold=0.7,policy=enforce; can be repeated").argParser(append),
    )
    .addOption(
      option("--unset <field>", "Take a field back to what the shorter prefix says; can be repeated").argParser(append),
    )
    .addOption(option("--reason <text>", "Required to change something: why, 1 to 256 bytes; kept in the log"));
  return onRun<PolicyOptions>(command, invocation, async (context, options, [prefix]) => {
    const changes = parseChanges(options);
    if (changes === undefined) {
      if (options.reason !== undefined) throw new UsageError("--reason goes with --set or --unset.");
      await using remote = await context.connect({ session: "none" });
      await show(context, await remote.policies(), prefix);
      return 0;
    }
    if (prefix === undefined) throw new UsageError("Name the prefix to change; '' is the prefix of everything.");
    const reason = parseReason(options.reason);
    await using remote = await context.connect({ session: "none" });
    const policy = await remote.setPolicy({ prefix, set: changes, reason });
    if (context.json) await context.printJson(policy);
    else await context.out.lines(changeLines(policy, Object.keys(changes)));
    return 0;
  });
}

const append = (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), text];

/** Texts by field; an empty one unsets. Undefined: nothing is to be changed. @throws UsageError */
function parseChanges({ set = [], unset = [] }: PolicyOptions): Readonly<Record<string, string>> | undefined {
  if (set.length === 0 && unset.length === 0) return undefined;
  const changes = new Map(Object.entries(parseFields(set)));
  for (const text of unset) {
    if (!/^[A-Za-z]+$/.test(text)) throw new UsageError(`--unset is "${printable(text)}": give the name of one field.`);
    if (changes.has(text)) throw new UsageError(`The field ${text} is given twice.`);
    changes.set(text, "");
  }
  return Object.fromEntries(changes);
}

/** Texts by field of what `--set` was given. @throws UsageError */
export function parseFields(texts: readonly string[]): Readonly<Record<string, string>> {
  const fields = new Map<string, string>();
  for (const each of texts.flatMap((text) => text.split(","))) {
    const [, field = "", value = ""] = /^([A-Za-z]+)=(.+)$/.exec(each.trim()) ?? [];
    if (field === "")
      throw new UsageError(
        `--set has "${printable(each)}": give FIELD=VALUE, several between commas, as in threshold=0.7,weights=hold:2/harm:1.`,
      );
    if (fields.has(field)) throw new UsageError(`The field ${printable(field)} is given twice.`);
    fields.set(field, valueFor(field, value.trim()));
  }
  return Object.fromEntries(fields);
}

/** Milliseconds may be written as a duration. */
function valueFor(field: string, value: string): string {
  const isDuration = /Ms([A-Z]|$)/.test(field) && /[a-z]$/.test(value);
  return isDuration ? String(parseDurationMs(`--set ${field}`, value)) : value;
}

const POLICY_COLUMNS: readonly Column[] = [
  { title: "PREFIX", align: "left", shrinks: true },
  { title: "POLICY", align: "left" },
  { title: "THRESHOLD", align: "right" },
  { title: "SET HERE", align: "left" },
  { title: "BY", align: "left" },
  { title: "REASON", align: "left" },
];

async function show(context: Context, { policies, fields }: Policies, prefix: string | undefined): Promise<void> {
  if (prefix !== undefined) return showOne(context, policyAt({ policies, fields }, prefix), fields);
  if (context.json) return context.printJson({ policies, fields });
  const rows = [...policies].sort((a, b) => (a.prefix < b.prefix ? -1 : 1)).map(policyRow);
  await printRows(context, { columns: POLICY_COLUMNS, rows, more: false, noun: "prefix" });
}

const shownPrefix = (prefix: string): string => (prefix === "" ? "(everything)" : prefix);

function policyRow(policy: PolicyInfo): readonly string[] {
  const { prefix, set, effective, threshold, changedBy, reason } = policy;
  const given = Object.entries(set).map(([field, value]) => `${field}=${value}`);
  return [shownPrefix(prefix), effective["policy"] ?? "", score(threshold), given.join(","), changedBy, reason];
}

/** What holds at a prefix: of the longest one that covers it, and the standard where nothing is set. */
export function policyAt({ policies, fields }: Policies, prefix: string): PolicyInfo {
  const covering = policies.filter((each) => isBelow(prefix, each.prefix));
  const [nearest] = covering.sort((a, b) => b.prefix.length - a.prefix.length);
  if (nearest?.prefix === prefix) return nearest;
  const standard = Object.fromEntries(fields.map((field) => [field.name, field.standard]));
  const effective = nearest?.effective ?? standard;
  const threshold = nearest?.threshold ?? Number(effective["threshold"] ?? 0);
  return { prefix, set: {}, effective, threshold, changedBy: "", changedMs: 0, reason: "" };
}

/** Whether `prefix` is `name` or whole leading parts of it. */
const isBelow = (name: string, prefix: string): boolean =>
  prefix === "" || name === prefix || name.startsWith(`${prefix}/`);

const FIELD_COLUMNS: readonly Column[] = [
  { title: "FIELD", align: "left" },
  { title: "VALUE", align: "left" },
  { title: "FROM", align: "left" },
  { title: "ALLOWED", align: "left" },
  { title: "MEANING", align: "left", shrinks: true },
];

async function showOne(context: Context, policy: PolicyInfo, fields: readonly PolicyField[]): Promise<void> {
  if (context.json) return context.printJson({ policy, fields });
  const { prefix, set, effective, threshold, changedBy, changedMs, reason } = policy;
  const rows = fields.map(({ name, range, standard, description }) => {
    const value = effective[name] ?? standard;
    const from = set[name] !== undefined ? "here" : value === standard ? "standard" : "above";
    return [name, value, from, range, description];
  });
  const [titles = "", ...lines] = renderTable(FIELD_COLUMNS, rows, context.out.width);
  const changed =
    changedMs === 0
      ? []
      : [`  Changed by ${printable(changedBy)} at ${new Date(changedMs).toISOString()}: ${printable(reason)}`];
  await context.out.lines([
    context.out.palette.bold(printable(shownPrefix(prefix))),
    ...(moved(effective, threshold) ? [`  The controller has moved the threshold to ${score(threshold)}.`] : []),
    ...changed,
    "",
    context.out.palette.dim(titles),
    ...lines,
  ]);
}

const moved = (effective: Readonly<Record<string, string>>, threshold: number): boolean =>
  effective["threshold"] !== undefined && Number(effective["threshold"]) !== threshold;

function changeLines({ prefix, effective, set }: PolicyInfo, changed: readonly string[]): readonly string[] {
  const lines = changed.map((field) => {
    const from = set[field] === undefined ? " (not set here any more)" : "";
    return `  ${printable(field)} = ${printable(effective[field] ?? "")}${from}`;
  });
  return [`${printable(shownPrefix(prefix))}:`, ...lines];
}
