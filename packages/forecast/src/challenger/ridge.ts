// ridge.ts: the ridge challenger: a few linear recursions on lags of the hour, the day and the week, mixed by a back-test of their
// own on the end of the history. Not here: one recursion and its fit (ridge-form.ts), weight against other models (series/mix.ts).
import type { Challenger, ChallengerOptions, FittedChallenger } from "./challenger.ts";
import { type Bounds, boundsOf, filled } from "./history.ts";
import { type FittedForm, fitForm, type RidgeForm } from "./ridge-form.ts";

/** Values looked at, unless five weeks need more: the cost of a fit grows with them, its accuracy soon does not. */
const HISTORY_STEPS_MAX = 4096;
const HISTORY_WEEKS_MAX = 5;
const HISTORY_STEPS_MIN = 40;
/** Older observations of the forms that forget: 14 seasons ago counts 1/e. */
const MEMORY_SEASONS = 14;
/** The last fifth is held back to weigh the forms. */
const BACK_TEST_RATIO = 0.2;
const BACK_TEST_ORIGINS = 8;
const BACK_TEST_STEPS_MAX = 48;
/** Weight = (best error / own error)^4; a form under this share is not fitted again. */
const WEIGHT_POWER = 4;
const SHARE_MIN = 0.05;
/** Smallest value over the mean from which on logarithms are worth trying. */
const LOG_RATIO_MIN = 0.02;
/** Huber passes: one reweighting is enough to compare forms. */
const PASSES_TO_COMPARE = 2;
const PASSES = 3;

/**
 * Mixes four linear recursions: changes on many lags, logarithms of changes, levels that return to the mean, changes without
 * season. Costs some milliseconds for a few thousand values. Needs 40 values; uses the week when two are there.
 */
export const ridgeChallenger: Challenger = {
  name: "ridge",
  fit(history, options) {
    const steps = Math.max(HISTORY_STEPS_MAX, HISTORY_WEEKS_MAX * options.weekSteps);
    const values = filled(history.subarray(Math.max(0, history.length - steps)), options.seasonSteps);
    if (values === undefined || values.length < HISTORY_STEPS_MIN) return undefined;
    const bounds = boundsOf(values);
    if (!(bounds.high > bounds.low) || !Number.isFinite(bounds.high - bounds.low)) return undefined;
    const scales = scalesOf(values, bounds);
    const candidates = candidatesFor(values.length, options).filter(({ isLog }) => !isLog || scales.log !== undefined);
    const weights = backTest(candidates, scales, options);
    const members = candidates.flatMap(({ form, isLog }, i): readonly Member[] => {
      const weight = weights[i] ?? 0;
      const scale = isLog ? scales.log : scales.plain;
      if (weight < SHARE_MIN || scale === undefined) return [];
      const fitted = fitForm(form, scale.values, { until: values.length, passes: PASSES });
      return fitted === undefined ? [] : [{ fitted, weight, floor: scale.floor }];
    });
    return members.length === 0 ? undefined : new RidgeMix(members, options.seasonSteps);
  },
};

interface Candidate {
  readonly form: RidgeForm;
  readonly isLog: boolean;
}

/** The history as it is, or its logarithms, with the bounds in the same unit. */
interface Scale {
  readonly values: Float64Array;
  readonly bounds: Bounds;
  /** Values below this are raised to it before their logarithm; absent: no logarithm. */
  readonly floor?: number;
}

interface Scales {
  readonly plain: Scale;
  readonly log: Scale | undefined;
}

interface Member {
  readonly fitted: FittedForm;
  readonly weight: number;
  /** As in `Scale`, of which no more is kept: its values are the whole history. */ readonly floor: number | undefined;
}

function scalesOf(values: Float64Array, bounds: Bounds): Scales {
  const plain = { values, bounds };
  const least = values.reduce((low, value) => Math.min(low, value), Infinity);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(least > 0) || least < LOG_RATIO_MIN * mean) return { plain, log: undefined };
  const logs = values.map(Math.log);
  return { plain, log: { values: logs, bounds: boundsOf(logs), floor: least / 2 } };
}

function candidatesFor(length: number, { seasonSteps, weekSteps }: ChallengerOptions): readonly Candidate[] {
  const near = [1, 2, 3, 4];
  const middle = [5, 6, 12, 18];
  const day = seasonSteps > 1 ? [-1, 0, 1].flatMap((offset) => [seasonSteps + offset, 2 * seasonSteps + offset]) : [];
  const days = seasonSteps > 1 ? [...day, 3 * seasonSteps] : [];
  const week = weekSteps > 0 ? [weekSteps - 1, weekSteps, weekSteps + 1, 2 * weekSteps] : [];
  // A lag past this part of the history would leave too little to learn its coefficient from.
  const usable = (lags: readonly number[]): readonly number[] =>
    [...new Set(lags)]
      .filter((lag) => lag >= 1 && lag <= length * (lag < weekSteps ? 0.5 : 0.45))
      .sort((a, b) => a - b);
  const seasonal = usable([...near, ...days, ...week]);
  const memorySteps = MEMORY_SEASONS * Math.max(0, seasonSteps > 1 ? seasonSteps : 0);
  const candidates: Candidate[] = [
    { form: { lags: usable([...near, ...middle, ...days, ...week]), target: "change", memorySteps: 0 }, isLog: false },
    { form: { lags: seasonal, target: "change", memorySteps }, isLog: true },
    { form: { lags: seasonal, target: "level", memorySteps }, isLog: false },
  ];
  if (seasonSteps > 1) {
    const lags = usable([...near, 6, 9, 12, 18, 24]);
    candidates.push({ form: { lags, target: "change", memorySteps: 0 }, isLog: false });
  }
  return candidates;
}

/** Fits to the first part, forecasts from origins in the rest. One weight per candidate; they add up to one. */
function backTest(candidates: readonly Candidate[], scales: Scales, options: ChallengerOptions): readonly number[] {
  const length = scales.plain.values.length;
  const until = Math.floor(length * (1 - BACK_TEST_RATIO));
  const steps = Math.min(BACK_TEST_STEPS_MAX, Math.max(12, 2 * options.seasonSteps), length - until);
  const errors = candidates.map(({ form, isLog }) => {
    const scale = (isLog ? scales.log : undefined) ?? scales.plain;
    const fitted = fitForm(form, scale.values, { until, passes: PASSES_TO_COMPARE });
    if (fitted === undefined) return Infinity;
    let error = 0;
    for (let i = 0; i < BACK_TEST_ORIGINS; i++) {
      const origin = until + Math.floor(((length - steps - until) * i) / (BACK_TEST_ORIGINS - 1));
      const path = Float64Array.from(scale.values);
      fitted.roll(path, { origin, steps, bounds: scale.bounds });
      for (let t = origin; t < origin + steps; t++) {
        const forecast = scale.floor === undefined ? (path[t] ?? 0) : Math.exp(path[t] ?? 0);
        error += Math.abs(forecast - (scales.plain.values[t] ?? 0));
      }
    }
    return error;
  });
  const best = errors.reduce((low, error) => Math.min(low, error), Infinity);
  if (best === Infinity) return candidates.map(() => 0);
  const weights = errors.map((error) => (error === best ? 1 : (best / error) ** WEIGHT_POWER));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

class RidgeMix implements FittedChallenger {
  readonly #members: readonly Member[];
  readonly #seasonSteps: number;

  constructor(members: readonly Member[], seasonSteps: number) {
    this.#members = members;
    this.#seasonSteps = seasonSteps;
  }

  forecast(recent: Float64Array, steps: number): Float64Array {
    const past = filled(recent, this.#seasonSteps) ?? new Float64Array(1);
    const forecast = new Float64Array(steps);
    let weightSum = 0;
    for (const { fitted, weight, floor } of this.#members) {
      const path = new Float64Array(past.length + steps);
      const scaled = floor === undefined ? past : past.map((value) => Math.log(Math.max(value, floor)));
      path.set(scaled);
      fitted.roll(path, { origin: past.length, steps, bounds: boundsOf(scaled) }); // Of now: the level may have moved on.
      for (let h = 0; h < steps; h++) {
        const value = path[past.length + h] ?? 0;
        forecast[h] = (forecast[h] ?? 0) + weight * (floor === undefined ? value : Math.exp(value));
      }
      weightSum += weight;
    }
    return forecast.map((sum) => sum / weightSum);
  }
}
