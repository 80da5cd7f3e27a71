// sarima-fit.ts: finds the parameters of one seasonal ARIMA order by conditional sum of squares. Not here: which orders are tried
// (sarima.ts), the model's arithmetic (arma.ts).
import {
  type Arma,
  armaOf,
  difference,
  freeOf,
  innovations,
  lostSteps,
  parametersOf,
  type SarimaOrder,
} from "./arma.ts";
import { medianInPlace } from "./history.ts";
import { solvePositive } from "./linear.ts";

export interface FittedSarima {
  readonly order: SarimaOrder;
  /** Subtracted from the differenced values; 0 when there was a difference. */ readonly mean: number;
  readonly arma: Arma;
  /** Akaike's criterion, on errors of undifferenced values from `scoredFrom` on: comparable across orders. Lower is better. */
  readonly criterion: number;
}

/** Rounds of Levenberg and Marquardt; each costs one pass over the history per parameter. */
const ROUNDS_MAX = 15;
/** A round that gains less than this share is the last. */
const GAIN_RATIO_MIN = 1e-5;
const DERIVATIVE_STEP = 1e-4;
/** Free numbers stay below: tanh(3.8) is one to three digits. */
const FREE_MAX = 3.8;
/** Errors beyond this many robust deviations count linearly, so that an outage does not choose the coefficients. */
const HUBER_DEVIATIONS = 2.5;
/** Order of the long autoregression that stands in for the unknown errors at the start. */
const LONG_ORDER = 16;

/**
 * @param values without gaps
 * @param scoredFrom errors before this index do not count; at least the largest number of lost steps of the orders compared
 * @returns `undefined` when there are under 20 errors per parameter, or nothing to explain
 * Source: Box and Jenkins (1970), conditional sum of squares; start by Hannan and Rissanen (1982); Huber (1964).
 */
export function fitSarima(values: Float64Array, order: SarimaOrder, scoredFrom: number): FittedSarima | undefined {
  const size = parametersOf(order);
  const count = values.length - scoredFrom;
  if (count < 20 * (size + 1) || scoredFrom < lostSteps(order)) return undefined;
  const changes = difference(values, order);
  const lost = lostSteps(order);
  const mean = lost > 0 ? 0 : changes.reduce((sum, value) => sum + value, 0) / values.length;
  for (let t = lost; t < changes.length; t++) changes[t] = (changes[t] ?? 0) - mean;
  const problem = { order, changes, lost, scoredFrom };
  const solution = minimise(problem, startOf(problem));
  if (solution === undefined) return undefined;
  const criterion = count * Math.log(solution.loss / count) + 2 * (size + (lost > 0 ? 1 : 2));
  if (!Number.isFinite(criterion)) return undefined;
  return { order, mean, arma: armaOf(order, solution.parameters), criterion };
}

interface Problem {
  readonly order: SarimaOrder;
  /** Differenced values less their mean. */
  readonly changes: Float64Array;
  readonly lost: number;
  readonly scoredFrom: number;
}

interface Solution {
  readonly parameters: Float64Array;
  readonly loss: number;
}

/** Levenberg and Marquardt on the errors, with Huber weights of a scale that is settled at the start. */
function minimise(problem: Problem, start: Float64Array): Solution | undefined {
  const { scoredFrom, changes } = problem;
  const size = start.length;
  const count = changes.length - scoredFrom;
  let parameters = start;
  let errors = errorsOf(problem, parameters);
  const sampled = errors.subarray(scoredFrom).map(Math.abs);
  const deviation = 1.4826 * medianInPlace(sampled);
  const limit = deviation > 0 ? HUBER_DEVIATIONS * deviation : Infinity;
  let loss = lossOf(errors, scoredFrom, limit);
  if (!(loss > 0 && loss < Infinity)) return undefined;
  let damping = 1e-3;
  for (let round = 0; round < ROUNDS_MAX && size > 0; round++) {
    const slopes = Array.from({ length: size }, (_, i) => {
      const moved = Float64Array.from(parameters);
      moved[i] = (moved[i] ?? 0) + DERIVATIVE_STEP;
      return errorsOf(problem, moved);
    });
    const { gram, right } = normalEquations({ errors, slopes, scoredFrom, limit });
    const before = loss;
    for (let attempt = 0; attempt < 4 && loss === before; attempt++) {
      const step = Float64Array.from(right);
      const damped = Float64Array.from(gram);
      for (let i = 0; i < size; i++) damped[i * size + i] = (gram[i * size + i] ?? 0) * (1 + damping) + 1e-12 * count;
      if (!solvePositive(damped, step, size)) return { parameters, loss };
      const moved = parameters.map((value, i) => Math.min(FREE_MAX, Math.max(-FREE_MAX, value - (step[i] ?? 0))));
      const movedErrors = errorsOf(problem, moved);
      const movedLoss = lossOf(movedErrors, scoredFrom, limit);
      if (movedLoss < loss) {
        parameters = moved;
        errors = movedErrors;
        loss = movedLoss;
        damping /= 5;
      } else damping *= 8;
    }
    if (before - loss < GAIN_RATIO_MIN * before) break;
  }
  return { parameters, loss };
}

function errorsOf({ order, changes, lost }: Problem, parameters: Float64Array): Float64Array {
  const errors = new Float64Array(changes.length);
  innovations(armaOf(order, parameters), { values: changes, errors, from: lost });
  return errors;
}

function lossOf(errors: Float64Array, scoredFrom: number, limit: number): number {
  let loss = 0;
  for (let t = scoredFrom; t < errors.length; t++) {
    const error = Math.abs(errors[t] ?? 0);
    loss += error <= limit ? error * error : limit * (2 * error - limit);
  }
  return loss;
}

function normalEquations(options: {
  readonly errors: Float64Array;
  /** Errors after one parameter was moved by DERIVATIVE_STEP. */
  readonly slopes: readonly Float64Array[];
  readonly scoredFrom: number;
  readonly limit: number;
}): { readonly gram: Float64Array; readonly right: Float64Array } {
  const { errors, slopes, scoredFrom, limit } = options;
  const size = slopes.length;
  const gram = new Float64Array(size * size);
  const right = new Float64Array(size);
  const row = new Float64Array(size);
  for (let t = scoredFrom; t < errors.length; t++) {
    const error = errors[t] ?? 0;
    const weight = Math.abs(error) <= limit ? 1 : limit / Math.abs(error);
    for (let i = 0; i < size; i++) row[i] = ((slopes[i]?.[t] ?? 0) - error) / DERIVATIVE_STEP;
    for (let i = 0; i < size; i++) {
      const weighted = weight * (row[i] ?? 0);
      right[i] = (right[i] ?? 0) + weighted * error;
      for (let j = 0; j <= i; j++) gram[i * size + j] = (gram[i * size + j] ?? 0) + weighted * (row[j] ?? 0);
    }
  }
  return { gram, right };
}

/**
 * Hannan and Rissanen: errors of a long autoregression stand in for the unknown ones, so that all coefficients come from one
 * regression. Products of seasonal and near terms are left out of it; the search finds them.
 */
function startOf({ order, changes, lost }: Problem): Float64Array {
  const { p, q, seasonalP, seasonalQ, period } = order;
  const values = changes.subarray(lost);
  const long = Math.min(LONG_ORDER, Math.floor(values.length / 10));
  const range = (count: number, step: number): readonly number[] =>
    Array.from({ length: count }, (_, i) => (i + 1) * step);
  const coefficients = regress(values, { own: range(long, 1), errors: new Float64Array(0), ofErrors: [], from: long });
  const errors = values.map((value, t) => {
    let error = value;
    for (let i = 0; i < long && t >= long; i++) error -= (coefficients[i] ?? 0) * (values[t - 1 - i] ?? 0);
    return t >= long ? error : 0;
  });
  const own = [...range(p, 1), ...range(seasonalP, period)];
  const ofErrors = [...range(q, 1), ...range(seasonalQ, period)];
  const from = long + Math.max(0, ...own, ...ofErrors);
  if (values.length - from < 5 * (own.length + ofErrors.length)) return new Float64Array(parametersOf(order)).fill(0.1);
  const all = regress(values, { own, errors, ofErrors, from });
  const ma = all.subarray(own.length).map((value) => -value);
  return Float64Array.of(
    ...freeOf(all.subarray(0, p)),
    ...freeOf(ma.subarray(0, q)),
    ...freeOf(all.subarray(p, own.length)),
    ...freeOf(ma.subarray(q)),
  );
}

interface Regressors {
  /** Lags of the values themselves. */ readonly own: readonly number[];
  readonly errors: Float64Array;
  /** Lags of the errors. */ readonly ofErrors: readonly number[];
  readonly from: number;
}

/** Coefficients of the own lags, then of the error lags; all 0 when they cannot be told apart. */
function regress(values: Float64Array, { own, errors, ofErrors, from }: Regressors): Float64Array {
  const size = own.length + ofErrors.length;
  const gram = new Float64Array(size * size);
  const right = new Float64Array(size);
  const row = new Float64Array(size);
  for (let t = from; t < values.length; t++) {
    own.forEach((lag, i) => {
      row[i] = values[t - lag] ?? 0;
    });
    ofErrors.forEach((lag, i) => {
      row[own.length + i] = errors[t - lag] ?? 0;
    });
    for (let i = 0; i < size; i++) {
      right[i] = (right[i] ?? 0) + (row[i] ?? 0) * (values[t] ?? 0);
      for (let j = 0; j <= i; j++) gram[i * size + j] = (gram[i * size + j] ?? 0) + (row[i] ?? 0) * (row[j] ?? 0);
    }
  }
  for (let i = 0; i < size; i++) gram[i * size + i] = (gram[i * size + i] ?? 0) * (1 + 1e-6) + Number.MIN_VALUE;
  return solvePositive(gram, right, size) ? right : new Float64Array(size);
}
