// arma.ts: the arithmetic of seasonal ARMA models: coefficients from partial autocorrelations, products of polynomials in the
// backshift, innovations, forecasts. Not here: how the parameters are found (sarima-fit.ts) and which orders are tried (sarima.ts).
//   A1. Every polynomial made from parameters has its roots outside the unit circle: the model is stationary and invertible.

export interface SarimaOrder {
  /** Autoregressive terms. */ readonly p: number;
  /** Differences of neighbours, 0 or 1. */ readonly d: 0 | 1;
  /** Moving-average terms. */ readonly q: number;
  /** Seasonal autoregressive terms. */ readonly seasonalP: number;
  /** Differences at the period, 0 or 1. */ readonly seasonalD: 0 | 1;
  /** Seasonal moving-average terms. */ readonly seasonalQ: number;
  /** Steps; not looked at when the three seasonal orders are 0. */ readonly period: number;
}

/** `1 + sum of coefficients[i] * B^lags[i]`, lags ascending. */
export interface Polynomial {
  readonly lags: Int32Array;
  readonly coefficients: Float64Array;
}

export interface Arma {
  /** The expanded `(1 - phi(B)) (1 - PHI(B^period))`. */ readonly ar: Polynomial;
  /** The expanded `(1 + theta(B)) (1 + THETA(B^period))`. */ readonly ma: Polynomial;
}

/** Partial autocorrelations stay this far inside of one: at one itself the model would never forget. */
const PARTIAL_MAX = 0.998;

export function parametersOf(order: SarimaOrder): number {
  return order.p + order.q + order.seasonalP + order.seasonalQ;
}

/**
 * The model of `parametersOf(order)` free numbers, in the order p, q, P, Q. Any real numbers give a model that upholds A1.
 * Source: Barndorff-Nielsen and Schou (1973): partial autocorrelations in (-1, 1) are exactly the stationary models; Monahan (1984).
 */
export function armaOf(order: SarimaOrder, parameters: Float64Array): Arma {
  const { p, q, seasonalP, seasonalQ, period } = order;
  const part = (from: number, count: number): Float64Array => levinson(parameters.subarray(from, from + count));
  const ar = part(0, p);
  const ma = part(p, q).map((value) => -value);
  const seasonalAr = part(p + q, seasonalP);
  const seasonalMa = part(p + q + seasonalP, seasonalQ).map((value) => -value);
  const negated = (values: Float64Array): Float64Array => values.map((value) => -value);
  return { ar: product(negated(ar), negated(seasonalAr), period), ma: product(ma, seasonalMa, period) };
}

/** Autoregressive coefficients of the partial autocorrelations `tanh(free)`, by Durbin and Levinson. */
function levinson(free: Float64Array): Float64Array {
  let coefficients = new Float64Array(0);
  for (let k = 0; k < free.length; k++) {
    const partial = PARTIAL_MAX * Math.tanh(free[k] ?? 0);
    const next = new Float64Array(k + 1);
    for (let i = 0; i < k; i++) next[i] = (coefficients[i] ?? 0) - partial * (coefficients[k - 1 - i] ?? 0);
    next[k] = partial;
    coefficients = next;
  }
  return coefficients;
}

/** The free numbers of given autoregressive coefficients; what is outside the stationary region is pulled to just inside. */
export function freeOf(coefficients: Float64Array): Float64Array {
  const free = new Float64Array(coefficients.length);
  let rest = Float64Array.from(coefficients);
  for (let k = coefficients.length - 1; k >= 0; k--) {
    const raw = rest[k] ?? 0;
    const partial = Number.isFinite(raw) ? Math.min(0.95, Math.max(-0.95, raw)) : 0;
    free[k] = Math.atanh(partial / PARTIAL_MAX);
    const shorter = new Float64Array(k);
    for (let i = 0; i < k; i++)
      shorter[i] = ((rest[i] ?? 0) + partial * (rest[k - 1 - i] ?? 0)) / (1 - partial * partial);
    rest = shorter;
  }
  return free;
}

/** `(1 + sum near[i] B^(i+1)) (1 + sum far[j] B^((j+1) period))` without the leading one. */
function product(near: Float64Array, far: Float64Array, period: number): Polynomial {
  const byLag = new Map<number, number>();
  const add = (lag: number, value: number): void => void byLag.set(lag, (byLag.get(lag) ?? 0) + value);
  near.forEach((value, i) => {
    add(i + 1, value);
  });
  far.forEach((seasonal, j) => {
    add((j + 1) * period, seasonal);
    near.forEach((value, i) => {
      add((j + 1) * period + i + 1, seasonal * value);
    });
  });
  const lags = Int32Array.from(byLag.keys()).sort();
  return { lags, coefficients: Float64Array.from(lags, (lag) => byLag.get(lag) ?? 0) };
}

/** Values that `difference` cannot give: the first ones have nothing before them. */
export function lostSteps({ d, seasonalD, period }: SarimaOrder): number {
  return d + seasonalD * period;
}

/** Differences of `values` at 1 and at the period; the first `lostSteps` are 0. */
export function difference(values: Float64Array, order: SarimaOrder): Float64Array {
  let result = Float64Array.from(values);
  if (order.seasonalD === 1) result = result.map((value, t) => value - (values[t - order.period] ?? 0));
  if (order.d === 1) {
    const seasonal = Float64Array.from(result);
    result = result.map((value, t) => value - (seasonal[t - 1] ?? 0));
  }
  return result.fill(0, 0, Math.min(values.length, lostSteps(order)));
}

/**
 * One-step errors of the model on differenced values, taking what came before the first as its mean, 0.
 * @param errors as long as `values`; those from `from` on are overwritten, those before must be 0
 */
export function innovations(
  { ar, ma }: Arma,
  { values, errors, from }: { readonly values: Float64Array; readonly errors: Float64Array; readonly from: number },
): void {
  const arCount = ar.lags.length;
  const maCount = ma.lags.length;
  const reach = Math.max(ar.lags[arCount - 1] ?? 0, ma.lags[maCount - 1] ?? 0);
  for (let t = from; t < values.length; t++) {
    const isWarm = t >= reach;
    let error = values[t] ?? 0;
    for (let i = 0; i < arCount; i++) {
      const at = t - (ar.lags[i] ?? 0);
      if (isWarm || at >= 0) error += (ar.coefficients[i] ?? 0) * (values[at] ?? 0);
    }
    for (let i = 0; i < maCount; i++) {
      const at = t - (ma.lags[i] ?? 0);
      if (isWarm || at >= 0) error -= (ma.coefficients[i] ?? 0) * (errors[at] ?? 0);
    }
    errors[t] = error;
  }
}
