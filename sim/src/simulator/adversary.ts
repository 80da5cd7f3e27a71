// adversary.ts: forecasts that are as bad as they can be: the truth, its opposite, extremes, nothing, no numbers, and failures, mixed
// by chance. Prediction may cost speed, never safety: a run over these must keep every promise.
import type { HoldForecasts, HoldQuantiles } from "forelock/internal";
import { choose, type Random } from "../proxy/random.ts";

type Lie = (truth: () => HoldQuantiles | undefined, ageMs: number) => HoldQuantiles | undefined;

const told = (p50Ms: number, p90Ms: number, p99Ms: number): HoldQuantiles => ({
  ...{ p50Ms, p90Ms, p99Ms },
  ...{ observations: 1_000, source: "pair" },
});

function fail(): never {
  throw new Error("the model is gone");
}

const QUANTILES: readonly Lie[] = [
  (truth) => truth(),
  // The opposite: who is about to release never will, and who is stuck is about to.
  (truth, ageMs) => ((truth()?.p50Ms ?? 0) > ageMs + 1_000 ? told(ageMs, ageMs, ageMs) : told(1e6, 1e7, 1e8)),
  () => told(0, 0, 0),
  () => told(1e12, 1e13, Number.MAX_VALUE),
  () => told(Number.MIN_VALUE, Number.MIN_VALUE, Number.MIN_VALUE),
  () => told(Number.NaN, Number.NaN, Number.NaN),
  () => told(1, 2, Number.POSITIVE_INFINITY),
  () => told(3, 2, 1),
  () => told(-3, -2, -1),
  () => undefined,
  fail,
];

const RATIOS: readonly ((truth: () => number) => number)[] = [
  (truth) => truth(),
  (truth) => 1 - truth(),
  () => 0,
  () => 1,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -1,
  fail,
];

export function adversary(random: Random, truth: HoldForecasts): HoldForecasts {
  return {
    quantiles: (client, element, ageMs, nowMs, self) =>
      choose(random, QUANTILES)(() => truth.quantiles(client, element, ageMs, nowMs, self), ageMs),
    outlives: (client, element, ageMs, deadlineMs, nowMs, self) =>
      choose(random, RATIOS)(() => truth.outlives(client, element, ageMs, deadlineMs, nowMs, self)),
  };
}
