// goals.ts: what Forelock has to reach, judged only against numbers of the same run. Pure.
//   G1. A goal whose numbers were not measured is not judged, and a side that is zero was not measured.
//   G2. A goal that some repetitions reach and others miss is marked as unsure, and so is one whose sides were not measured
//       equally often: the machine was too busy to tell, or a side failed.

import type { Ledger, Measure } from "./ledger.ts";
import { ratio } from "./table.ts";

export interface Judgement {
  readonly goal: string;
  /** What was reached, in the goal's own unit. */
  readonly reached: number;
  readonly bound: number;
  readonly isMet: boolean;
  /** False when single repetitions disagree with the median about the goal. */
  readonly isSure: boolean;
  readonly line: string;
}

interface Goal {
  readonly goal: string;
  readonly bound: number;
  /** True when more is better. */
  readonly atLeast: boolean;
  readonly unit: "ratio" | "number";
  reached(ledger: Ledger): number | undefined;
  /** What single repetitions reached, where they can be paired. */
  repetitions?(ledger: Ledger): readonly number[];
}

const BARE_DURABLE = ["bare-durable", "bare-durable-sync"];
const FLIGHTS = ["256 in flight", "1,024 in flight"] as const;

const cycles = (scenario: Measure["scenario"], target: string, load: string): Measure => ({
  scenario,
  target,
  load,
  metric: "cyclesPerSecond",
});

/** Of several it is judged against the fastest: a limit is not to be chosen so that it is easy. */
function against(
  goal: string,
  to: readonly string[],
  bound: number,
  scenario: Measure["scenario"],
  load: string,
): Goal {
  return {
    goal: `${load}: ${goal}`,
    bound,
    atLeast: true,
    unit: "ratio",
    reached: (ledger) => ledger.ratio(cycles(scenario, "forelock", load), fastest(ledger, scenario, to, load)),
    repetitions: (ledger) =>
      ledger.pairedRatios(cycles(scenario, "forelock", load), fastest(ledger, scenario, to, load)),
  };
}

function fastest(ledger: Ledger, scenario: Measure["scenario"], targets: readonly string[], load: string): Measure {
  const rate = (target: string): number => ledger.median(cycles(scenario, target, load)) ?? 0;
  const [first = ""] = [...targets].sort((a, b) => rate(b) - rate(a));
  return cycles(scenario, first, load);
}

function between(measure: Measure, to: Measure): Pick<Goal, "reached" | "repetitions"> {
  return {
    reached: (ledger) => ledger.ratio(measure, to),
    repetitions: (ledger) => ledger.pairedRatios(measure, to),
  };
}

const GOALS: readonly Goal[] = [
  ...FLIGHTS.flatMap((load) => [
    against("cycles against redlock, appendfsync always (aim: 4x)", ["redlock-always"], 2, "in-flight", load),
    against("cycles against the bare durable loop", BARE_DURABLE, 0.5, "in-flight", load),
    against("cycles against etcd3's lock", ["etcd3"], 50, "in-flight", load),
  ]),
  ...FLIGHTS.map((load) =>
    against("cycles with prediction against without", ["forelock-blind"], 0.9, "in-flight", load),
  ),
  against(
    "cycles against redlock, appendfsync always, driven the same way",
    ["redlock-always"],
    1,
    "connections",
    "200 connections",
  ),
  against(
    "cycles against the bare durable loop, driven the same way",
    BARE_DURABLE,
    0.7,
    "connections",
    "200 connections",
  ),
  against("cycles against redlock, appendfsync always", ["redlock-always"], 1, "in-flight", "1 in flight"),
  {
    goal: "1 in flight: p50 of an acquire against a bare O_DSYNC write",
    bound: 2,
    atLeast: false,
    unit: "ratio",
    ...between(
      { scenario: "disk", target: "forelock", load: "1 in flight", metric: "acquireP50Ms" },
      { scenario: "disk", target: "O_DSYNC write", load: "4 KiB", metric: "writeP50Ms" },
    ),
  },
  {
    goal: "hand-off: slowest p50 against the fastest, 1 to 1,000 waiters",
    bound: 2,
    atLeast: false,
    unit: "ratio",
    reached: (ledger) => extremes(ledger, { scenario: "hand-off", metric: "handOffP50Ms" }),
  },
  {
    goal: "1,000,000 held: cycles against 1,000 held",
    bound: 0.8,
    atLeast: true,
    unit: "ratio",
    ...between(cycles("held", "forelock", "1,000,000 held"), cycles("held", "forelock", "1,000 held")),
  },
  {
    goal: "1,000,000 held: bytes of memory each",
    bound: 600,
    atLeast: false,
    unit: "number",
    reached: (ledger) =>
      ledger.median({
        scenario: "held",
        target: "forelock",
        load: "1,000,000 held",
        metric: "residentBytesPerElement",
      }),
  },
  {
    goal: "100,000 waiters: enqueue and drain of each against 1,000 (no quadratic step)",
    bound: 3,
    atLeast: false,
    unit: "ratio",
    reached: (ledger) => {
      const each = { scenario: "waiters", target: "forelock", metric: "msPerWaiter" } as const;
      return ledger.ratio({ ...each, load: "100,000 waiters" }, { ...each, load: "1,000 waiters" });
    },
  },
  {
    goal: "restart: events replayed a second",
    bound: 500_000,
    atLeast: true,
    unit: "number",
    reached: (ledger) =>
      ledger.median({ scenario: "restart", target: "forelock", load: "from the log", metric: "eventsPerSecond" }),
  },
  {
    goal: "restart: loading the snapshot against replaying the log of the same state",
    bound: 1,
    atLeast: false,
    unit: "ratio",
    reached: (ledger) =>
      ledger.ratio(
        { scenario: "restart", target: "forelock", load: "from a snapshot", metric: "snapshotMs" },
        { scenario: "restart", target: "forelock", load: "from the log", metric: "replayMs" },
      ),
  },
];

export function judge(ledger: Ledger): readonly Judgement[] {
  return GOALS.flatMap((goal) => {
    const reached = goal.reached(ledger);
    if (reached === undefined || !Number.isFinite(reached)) return []; // G1
    return [judgementOf(goal, reached, goal.repetitions?.(ledger))];
  });
}

/** @param repetitions what single repetitions reached; undefined where there is only one number */
export function judgementOf(
  { goal, bound, atLeast, unit }: Pick<Goal, "goal" | "bound" | "atLeast" | "unit">,
  reached: number,
  repetitions: readonly number[] | undefined,
): Judgement {
  const meets = (value: number): boolean => (atLeast ? value >= bound : value <= bound);
  const isMet = meets(reached);
  const isSure =
    repetitions === undefined || (repetitions.length > 0 && repetitions.every((value) => meets(value) === isMet)); // G2
  const show = (value: number): string => (unit === "ratio" ? ratio(value) : Math.round(value).toLocaleString("en-US"));
  const range = rangeOf(repetitions, show);
  const verdict = `${isMet ? "PASS" : "MISS"}${isSure ? " " : "?"}`;
  const line = `${verdict} ${goal}: ${show(reached)} (${atLeast ? "at least" : "at most"} ${show(bound)}${range})`;
  return { goal, reached, bound, isMet, isSure, line };
}

function rangeOf(repetitions: readonly number[] | undefined, show: (value: number) => string): string {
  if (repetitions === undefined || repetitions.length === 1) return "";
  if (repetitions.length === 0) return ", a side failed in some repetitions";
  return `, repetitions ${show(Math.min(...repetitions))} to ${show(Math.max(...repetitions))}`;
}

function extremes(ledger: Ledger, wanted: Pick<Measure, "scenario" | "metric">): number | undefined {
  const medians = ledger
    .entries()
    .filter((entry) => entry.scenario === wanted.scenario && entry.metric === wanted.metric)
    .map((entry) => entry.median);
  return medians.length < 2 ? undefined : Math.max(...medians) / Math.min(...medians);
}
