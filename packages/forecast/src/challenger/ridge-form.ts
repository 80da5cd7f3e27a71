// ridge-form.ts: one linear recursion on chosen lags, fitted by ridge regression with Huber weights. Not here: which lags and
// which forms, and how they are mixed (ridge.ts).
import { type Bounds, bounded, medianInPlace } from "./history.ts";
import { solvePositive } from "./linear.ts";

export interface RidgeForm {
  /** Ascending, each at least 1; the first is the base of "change". */ readonly lags: readonly number[];
  /**
   * "change": the step from the first lag, as a sum of the other lags' distances to it. The coefficients so add up to one and a
   * forecast can stay on a new level. "level": the distance to the mean as a sum of the lags' distances to it, so that a
   * forecast returns to the mean.
   */
  readonly target: "change" | "level";
  /** Steps after which an observation counts 1/e; 0: all count alike. */ readonly memorySteps: number;
}

export interface FittedForm {
  /** Continues `values` from `origin` (values before it are the past), overwriting `steps` values in it. */
  roll(
    values: Float64Array,
    options: { readonly origin: number; readonly steps: number; readonly bounds: Bounds },
  ): void;
}

/** Share of the mean squared lag that is added to the diagonal: enough to be solvable, too little to bias a season away. */
const RIDGE_RATIO = 1e-5;
/** Residuals beyond this many robust deviations are pulled in: outages and load tests are not to be learned. */
const HUBER_DEVIATIONS = 1.5;
/** Residuals looked at for the robust deviation. */
const RESIDUALS_MAX = 1000;

/**
 * @param values without gaps; those before `until` are learned from
 * @param passes at least 1; each pass after the first weighs by the residuals of the one before
 * Source: ridge, Hoerl and Kennard (1970); weights, Huber (1964), by iterated reweighting.
 */
export function fitForm(
  form: RidgeForm,
  values: Float64Array,
  { until, passes }: { readonly until: number; readonly passes: number },
): FittedForm | undefined {
  const { lags, target } = form;
  const isChange = target === "change";
  const first = lags[0] ?? 1;
  const columns = Int32Array.from(isChange ? lags.slice(1) : lags);
  const size = columns.length;
  const from = lags[lags.length - 1] ?? 1;
  if (size === 0 || until - from < 2 * size + 8) return undefined;
  const mean = isChange ? 0 : meanOf(values, until);
  const weights = new Float64Array(until).fill(1);
  if (form.memorySteps > 0) {
    for (let t = from; t < until; t++) weights[t] = Math.exp((t - until) / form.memorySteps);
  }
  const regression = { values, columns, from, until, first: isChange ? first : 0, mean };
  let coefficients = solveWeighted(regression, weights);
  for (let pass = 1; pass < passes && coefficients !== undefined; pass++) {
    coefficients = solveWeighted(regression, huberWeights(regression, coefficients, weights));
  }
  if (coefficients === undefined) return undefined;
  const fitted = coefficients;
  return {
    roll(path, { origin, steps, bounds }) {
      for (let t = origin; t < origin + steps; t++) {
        const base = isChange ? (path[t - first] ?? 0) : mean;
        let sum = base;
        for (let i = 0; i < size; i++) sum += (fitted[i] ?? 0) * ((path[t - (columns[i] ?? 0)] ?? 0) - base);
        path[t] = bounded(sum, bounds, base);
      }
    },
  };
}

interface Regression {
  readonly values: Float64Array;
  readonly columns: Int32Array;
  readonly from: number;
  readonly until: number;
  /** Lag of the base; 0: the base is the mean. */
  readonly first: number;
  readonly mean: number;
}

function solveWeighted(regression: Regression, weights: Float64Array): Float64Array | undefined {
  const { values, columns, from, until, first, mean } = regression;
  const size = columns.length;
  const gram = new Float64Array(size * size);
  const right = new Float64Array(size);
  const row = new Float64Array(size);
  for (let t = from; t < until; t++) {
    const base = first > 0 ? (values[t - first] ?? 0) : mean;
    const weight = weights[t] ?? 0;
    const value = (values[t] ?? 0) - base;
    for (let i = 0; i < size; i++) row[i] = (values[t - (columns[i] ?? 0)] ?? 0) - base;
    for (let i = 0; i < size; i++) {
      const weighted = weight * (row[i] ?? 0);
      const at = i * size;
      right[i] = (right[i] ?? 0) + weighted * value;
      for (let j = 0; j <= i; j++) gram[at + j] = (gram[at + j] ?? 0) + weighted * (row[j] ?? 0);
    }
  }
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram[i * size + i] ?? 0;
  const ridge = (RIDGE_RATIO * trace) / size;
  if (!(ridge > 0)) return undefined; // Nothing ever changed.
  for (let i = 0; i < size; i++) gram[i * size + i] = (gram[i * size + i] ?? 0) + ridge;
  return solvePositive(gram, right, size) ? right : undefined;
}

function huberWeights(regression: Regression, coefficients: Float64Array, weights: Float64Array): Float64Array {
  const { values, columns, from, until, first, mean } = regression;
  const size = columns.length;
  const residuals = new Float64Array(until);
  for (let t = from; t < until; t++) {
    const base = first > 0 ? (values[t - first] ?? 0) : mean;
    let sum = base - (values[t] ?? 0);
    for (let i = 0; i < size; i++) sum += (coefficients[i] ?? 0) * ((values[t - (columns[i] ?? 0)] ?? 0) - base);
    residuals[t] = Math.abs(sum);
  }
  const stride = Math.max(1, Math.ceil((until - from) / RESIDUALS_MAX));
  const sample = Float64Array.from(
    { length: Math.ceil((until - from) / stride) },
    (_, i) => residuals[from + i * stride] ?? 0,
  );
  const limit = HUBER_DEVIATIONS * 1.4826 * medianInPlace(sample);
  if (!(limit > 0)) return weights; // More than half fit exactly: there is no scale to call anything an outlier.
  const pulled = Float64Array.from(weights);
  for (let t = from; t < until; t++) {
    const residual = residuals[t] ?? 0;
    if (residual > limit) pulled[t] = ((weights[t] ?? 0) * limit) / residual;
  }
  return pulled;
}

function meanOf(values: Float64Array, until: number): number {
  let sum = 0;
  for (let t = 0; t < until; t++) sum += values[t] ?? 0;
  return sum / until;
}
