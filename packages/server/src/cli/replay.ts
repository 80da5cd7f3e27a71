// replay.ts: `forelock replay`: what would have happened to recorded requests under no pre-emption, under fixed timeouts, and under
// forelock's forecasts. Only this command loads the code of the replay. What is assumed: docs/replay.md.
import { writeFile } from "node:fs/promises";
import type { Policy } from "../preempt/policy.ts";
import type { Replayed } from "../replay/replay.ts";
import type { PolicyResult } from "../replay/tally.ts";
import type { Workload } from "../replay/workload.ts";
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatDuration } from "./duration.ts";
import { parseFields } from "./policy.ts";
import { formatCount, parseCount, plural } from "./quantity.ts";
import type { Source } from "./replay-source.ts";
import { renderTable } from "./table.ts";
import { UsageError } from "./usage-error.ts";

interface ReplayOptions {
  readonly durations?: string;
  readonly data?: string;
  readonly utilisation?: string;
  readonly injectStuck?: string;
  readonly seed?: string;
  readonly limit?: string;
  readonly set?: readonly string[];
  readonly svg?: string;
}

interface Wish {
  readonly utilisationMax: number;
  readonly stuckRatio: number;
  readonly seed: number;
  readonly rowsMax: number;
  readonly set: Readonly<Record<string, string>>;
}

export function replayCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "replay",
    summary: "Replay recorded requests under other policies of pre-emption, in simulated time",
    examples: [
      "forelock replay --durations holds.csv --inject-stuck 0.01",
      "forelock replay --data ./data --set threshold=0.7,countdownMs=30s",
      "forelock replay --durations holds.csv --json --svg frontier.svg",
    ],
    notes: [
      "FILE has the columns start_ts, client, element, duration: seconds, names, a line a request. --data takes requests and holds from the log of a data folder, and the policies that it keeps; it changes nothing, and may run beside the server.",
      "Policies: none; fixed-<ms>, which pre-empts every holder of that age that others wait for; forelock. docs/replay.md tells what is assumed and how to read the result.",
    ],
  })
    .addOption(option("--durations <file>", "Requests and how long each held, as CSV"))
    .addOption(option("--data <dir>", "A server's data folder, whose log is replayed"))
    .addOption(
      option("--utilisation <ratio>", "Stretch the gaps of each element until it is held for no more of the time", {
        default: "0.5; 1 with --data",
      }),
    )
    .addOption(
      option("--inject-stuck <ratio>", "Share of grants that get stuck: half of them die, half hang", { default: "0" }),
    )
    .addOption(option("--seed <number>", "Which grants get stuck", { default: "1" }))
    .addOption(option("--limit <rows>", "Requests at most, the first ones", { default: "no limit" }))
    .addOption(
      option("--set <fields>", "Fields of the policy, as in threshold=0.7,countdownMs=30s; can be repeated").argParser(
        (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .addOption(option("--svg <file>", "Draw the frontier into a file"));
  return onRun<ReplayOptions>(command, invocation, async (context, options) => {
    const wish = await parseWish(options);
    const { readDurations, readLog } = await import("./replay-source.ts");
    const source =
      options.data === undefined
        ? await readDurations(options.durations ?? "", wish.rowsMax)
        : await readLog(options.data, wish.rowsMax);
    const { stretch } = await import("../replay/workload.ts");
    const workload = stretch(source.rows, wish.utilisationMax);
    const replayed = await run(context, { source, workload, wish });
    if (options.svg !== undefined) await draw(options.svg, replayed, options);
    await report(context, { source, workload, replayed });
    return 0;
  });
}

/** All options are checked before a file is read. */
async function parseWish(options: ReplayOptions): Promise<Wish> {
  const { durations, data } = options;
  if ((durations === undefined) === (data === undefined))
    throw new UsageError("Give either --durations FILE or --data DIR.");
  const { policyProblem } = await import("../preempt/policy.ts");
  const set = parseFields(options.set ?? []);
  const problem = policyProblem(set);
  if (problem !== undefined) throw new UsageError(problem.replace(/^set\./, "--set ").replace(/^set:/, "--set:"));
  return {
    utilisationMax: parseRatio("--utilisation", options.utilisation ?? (data === undefined ? "0.5" : "1"), 0.001),
    stuckRatio: parseRatio("--inject-stuck", options.injectStuck ?? "0", 0),
    seed: parseCount("--seed", options.seed ?? "1", { min: 0, max: 2 ** 31 }),
    rowsMax:
      options.limit === undefined
        ? Number.POSITIVE_INFINITY
        : parseCount("--limit", options.limit, { min: 1, max: 100_000_000 }),
    set,
  };
}

function parseRatio(field: string, text: string, min: number): number {
  const ratio = /^\d{1,3}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (ratio >= min && ratio <= 1) return ratio;
  throw new UsageError(`${field} is "${text}": give a number from ${min} to 1.`);
}

interface Run {
  readonly source: Source;
  readonly workload: Workload;
  readonly wish: Wish;
}

async function run(context: Context, { source, workload, wish }: Run): Promise<Replayed> {
  const [{ merge, prefixesOf }, { replay }] = await Promise.all([
    import("../preempt/policy.ts"),
    import("../replay/replay.ts"),
  ]);
  const set = new Map(Object.entries({ policy: "enforce", ...wish.set }));
  const known = new Map<string, Policy>();
  // What is given here goes before what the log sets, at every prefix. One policy for each prefix that sets anything, and so one threshold.
  const policyOf = (element: string): Policy => {
    const prefixes = prefixesOf(element).filter((prefix) => source.policies.has(prefix));
    const longest = prefixes.at(-1) ?? "";
    let policy = known.get(longest);
    if (policy === undefined) {
      policy = merge([...prefixes.flatMap((prefix) => source.policies.get(prefix) ?? []), set]);
      known.set(longest, policy);
    }
    return policy;
  };
  const steps = replay(workload, { policyOf, stuckRatio: wish.stuckRatio, seed: wish.seed });
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) {
      context.err.settle();
      return step.value;
    }
    if (context.err.isTerminal) context.err.live(`replayed ${step.value.name}`);
    await new Promise((resolve) => setImmediate(resolve)); // So that Ctrl-C and a closed pipe are met.
  }
}

async function draw(file: string, { policies }: Replayed, options: ReplayOptions): Promise<void> {
  const { svgPlot } = await import("../replay/plot.ts");
  const name = (options.durations ?? options.data ?? "").replace(/.*\/(?=.)/, "");
  const title = `p99 wait against false pre-emptions: ${name}`;
  try {
    await writeFile(file, svgPlot(policies, { title, span: formatDuration }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // Cast: writing fails with errno errors.
    throw new UsageError(`--svg is "${file}": it cannot be written (${code}).`);
  }
}

interface Report {
  readonly source: Source;
  readonly workload: Workload;
  readonly replayed: Replayed;
}

async function report(context: Context, { source, workload, replayed }: Report): Promise<void> {
  const { rows, elements, stretched, stretchMax } = workload;
  const { policies, eta, moves } = replayed;
  if (context.json)
    return context.printJson({
      ...{ requests: rows.length, elements, stretchedElements: stretched, stretchMax },
      ...{ remarks: source.remarks, policies, eta, thresholdMoves: moves },
    });
  const { textPlot } = await import("../replay/plot.ts");
  const { out } = context;
  const stretchedText =
    stretched === 0 ? "no gaps stretched" : `gaps of ${stretched} stretched, by ${stretchMax.toFixed(1)} at most`;
  await out.lines([
    ...source.remarks,
    `${plural(rows.length, "request")} for ${plural(elements, "element")}; ${stretchedText}.`,
    "",
    ...renderTable(COLUMNS, policies.map(cellsOf), out.width),
    "",
    ...textPlot(policies, formatDuration),
    "",
    `Estimates of waits: ${percent(eta.coverage50)} of ${formatCount(eta.waits)} within their p50, ${percent(eta.coverage90)} within their p90.`,
    ...moveLines(moves),
    ...(await verdictLines(policies)),
  ]);
}

function moveLines({ count, first }: Replayed["moves"]): readonly string[] {
  const [move] = first;
  if (move === undefined) return ["The controller left the threshold where it was set."];
  return [
    `The controller moved thresholds ${count === 1 ? "once" : `${formatCount(count)} times`}, first from ${move.from} to ${move.to} after ${formatDuration(move.atMs)}: ${move.reason}`,
  ];
}

const COLUMNS = [
  { title: "POLICY", align: "left" },
  { title: "WAIT MEAN", align: "right" },
  { title: "P90", align: "right" },
  { title: "P99", align: "right" },
  { title: "DONE/HOUR", align: "right" },
  { title: "WORK LOST", align: "right" },
  { title: "PRE-EMPTED", align: "right" },
  { title: "FALSE", align: "right" },
  { title: "HEALTHY FORCED", align: "right" },
  { title: "GRACEFUL", align: "right" },
  { title: "UNFINISHED", align: "right" },
] as const;

function cellsOf(policy: PolicyResult): readonly string[] {
  const { preemptions, gracefulReleases } = policy;
  return [
    policy.name,
    ...[policy.waitMsMean, policy.waitMsP90, policy.waitMsP99].map(formatDuration),
    policy.finishedPerHour.toPrecision(3),
    formatDuration(policy.workLostMs),
    ...[preemptions, policy.falsePreemptions, policy.healthyForced].map(formatCount),
    preemptions === 0 ? "-" : percent(gracefulReleases / preemptions),
    formatCount(policy.unfinished),
  ];
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;

async function verdictLines(policies: readonly PolicyResult[]): Promise<readonly string[]> {
  const { bestAtEqualWait } = await import("../replay/frontier.ts");
  const forelock = policies.find(({ name }) => name === "forelock");
  const none = policies.find(({ name }) => name === "none");
  if (forelock === undefined || none === undefined) return [];
  const best = bestAtEqualWait(policies, forelock.waitMsP99);
  const false_ = `${plural(forelock.falsePreemptions, "false pre-emption")} and ${formatCount(forelock.healthyForced)} healthy forced`;
  return [
    `forelock: p99 wait ${formatDuration(forelock.waitMsP99)} (none: ${formatDuration(none.waitMsP99)}), ${false_} in ${plural(forelock.grants, "grant")}.`,
    best === undefined
      ? "No fixed timeout has a p99 wait as short."
      : `The best fixed timeout with a p99 wait as short is ${best.name}: ${formatCount(best.falsePreemptions)} false, ${formatCount(best.healthyForced)} healthy forced, ${formatCount(best.unfinished)} unfinished.`,
  ];
}
