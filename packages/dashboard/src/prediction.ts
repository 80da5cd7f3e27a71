// prediction.ts: the figures of *Prediction*, and its points. Pure.
import type { Calibration, PredictionTotals } from "@forelock/protocol";
import { count, duration, percent } from "./format/format.ts";
import type { Json } from "./wire/json.ts";

export interface Figure {
  readonly title: string;
  readonly value: string;
  readonly help: string;
}

export function figuresOf(totals: Json<PredictionTotals>): readonly Figure[] {
  const { warnings = 0, released = 0, extended = 0, forced = 0, wrong = 0, ignored = 0 } = totals;
  const { observed = 0, observedRight = 0, observedWrong = 0, observedSavedMs = 0 } = totals;
  const share = (part: number, whole: number): string =>
    whole === 0 ? "none yet" : `${percent(part / whole)} of them`;
  const judged = observedRight + observedWrong;
  return [
    {
      title: "Warnings",
      value: count(warnings),
      help: extended === 0 ? "given to holders" : `${count(extended)} got more time`,
    },
    { title: "Right", value: count(released), help: `released in time: ${share(released, warnings)}` },
    { title: "Wrong", value: count(wrong), help: `would have released unasked: ${share(wrong, warnings)}` },
    { title: "Ignored", value: count(ignored), help: `no answer: ${share(ignored, warnings)}` },
    { title: "Forced", value: count(forced), help: "taken at the end of the countdown" },
    {
      title: "Only observed",
      value: count(observed),
      help: judged === 0 ? "none judged yet" : `${percent(observedRight / judged)} would have been right`,
    },
    {
      title: "Would have saved",
      value: duration(observedSavedMs),
      help: "of waiting, all waiters together, had it acted",
    },
  ];
}

/** For a chart: quantiles, the diagonal, coverage of holds, coverage of waits; what is missing is null, as uPlot wants it. */
export type Points = readonly [
  xs: readonly number[],
  diagonal: readonly (number | null)[],
  hold: readonly (number | null)[],
  eta: readonly (number | null)[],
];

export function calibrationPoints(calibrations: readonly Json<Calibration>[]): Points {
  const quantiles = new Set(calibrations.map(({ quantile = 0 }) => quantile));
  const xs = [...new Set([0, ...quantiles, 1])].sort((a, b) => a - b);
  const of = (kind: string): readonly (number | null)[] => {
    return xs.map((x) => calibrations.find((each) => each.of === kind && (each.quantile ?? 0) === x)?.coverage ?? null);
  };
  return [xs, xs, of("hold"), of("eta")];
}
