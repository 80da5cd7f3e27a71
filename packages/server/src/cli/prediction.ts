// prediction.ts: `forelock prediction`: how far forecasts can be trusted, what was done on them, and what came of it.
import type { Calibration, Decision, Prediction, PredictionTotals } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatDuration } from "./duration.ts";
import { percent, riskCell } from "./outlook.ts";
import { formatCount, parseCount } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";

interface PredictionOptions {
  readonly limit?: string;
}

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 1_000;

export function predictionCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "prediction",
    summary: "Show how good forecasts are, what was done on them, and what came of it",
    examples: ["forelock prediction", "forelock prediction --limit 100 --json"],
    notes: [
      "A forecast is well calibrated when as many holds and waits end by a quantile as it says: half by p50, nine of ten by p90. Under the policy `observe` nothing is done; what would have been right or wrong is counted.",
    ],
  }).addOption(option("--limit <count>", "Decisions at most, the newest", { default: formatCount(LIMIT_DEFAULT) }));
  return onRun<PredictionOptions>(command, invocation, async (context, options) => {
    const limit = parseCount("--limit", options.limit ?? String(LIMIT_DEFAULT), { min: 1, max: LIMIT_MAX });
    await using remote = await context.connect({ session: "none" });
    const prediction = await remote.prediction(limit);
    if (context.json) await context.printJson(prediction);
    else await context.out.lines(predictionLines(prediction, context));
    return 0;
  });
}

const CALIBRATION_COLUMNS: readonly Column[] = [
  { title: "FORECAST OF", align: "left" },
  { title: "QUANTILE", align: "right" },
  { title: "WERE BELOW", align: "right" },
  { title: "OBSERVATIONS", align: "right" },
];

const DECISION_COLUMNS: readonly Column[] = [
  { title: "WHEN", align: "left" },
  { title: "WHAT", align: "left" },
  { title: "LOCK", align: "left", shrinks: true },
  { title: "CLIENT", align: "left" },
  { title: "RISK", align: "left" },
  { title: "OUTCOME", align: "left" },
  { title: "WHY", align: "left" },
];

function predictionLines({ calibrations, decisions, totals }: Prediction, { out }: Context): readonly string[] {
  const table = (columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] => {
    const [titles = "", ...lines] = renderTable(columns, rows, out.width);
    return [out.palette.dim(titles), ...lines];
  };
  return [
    ...(calibrations.length === 0
      ? ["No forecast has been compared with the truth yet."]
      : table(CALIBRATION_COLUMNS, calibrations.map(calibrationRow))),
    "",
    ...totalSentences(totals),
    ...(decisions.length === 0 ? [] : ["", ...table(DECISION_COLUMNS, decisions.map(decisionRow))]),
  ];
}

const calibrationRow = ({ of, quantile, coverage, observations }: Calibration): readonly string[] => [
  of,
  `p${Math.round(quantile * 100)}`,
  observations === 0 ? "" : percent(coverage),
  formatCount(observations),
];

function totalSentences(totals: PredictionTotals): readonly string[] {
  const { warnings, released, extended, forced, wrong, ignored } = totals;
  const { observed, observedRight, observedWrong, observedSavedMs } = totals;
  const acted =
    warnings === 0
      ? "No holder was warned."
      : `${formatCount(warnings)} warned: ${formatCount(released)} released in time, ${formatCount(extended)} extended, ${formatCount(forced)} forced, ${formatCount(ignored)} ignored; ${formatCount(wrong)} would have released without being asked.`;
  const watched =
    observed === 0
      ? []
      : [
          `${formatCount(observed)} observed only: ${formatCount(observedRight)} would have been right, ${formatCount(observedWrong)} wrong; acting would have saved ${formatDuration(observedSavedMs)} of waiting.`,
        ];
  return [acted, ...watched];
}

const decisionRow = ({ atMs, kind, name, client, risk, outcome, reason }: Decision): readonly string[] => [
  new Date(atMs).toISOString().slice(0, 19).replace("T", " "),
  kind,
  name,
  client,
  riskCell(risk),
  outcome,
  reason,
];
