// sarima.ts: the seasonal ARIMA challenger: tries a few small orders at the day and at the week, keeps the one that explains the
// history best for its number of parameters. Not here: how one order is fitted (sarima-fit.ts).
import { difference, innovations, lostSteps, type SarimaOrder } from "./arma.ts";
import type { Challenger, ChallengerOptions, FittedChallenger } from "./challenger.ts";
import { bounded, boundsOf, filled } from "./history.ts";
import { type FittedSarima, fitSarima } from "./sarima-fit.ts";

/** Values looked at: more cost time and tell of a past that is over. Enough for three weeks of five minutes. */
const HISTORY_STEPS_MAX = 6400;
const HISTORY_STEPS_MIN = 60;
/** A period is tried when it fits into the history this often. */
const PERIODS_MIN = 3;

/** One of a few small seasonal ARIMA models. A fit takes up to about half a second; needs 60 values. */
export const sarimaChallenger: Challenger = {
  name: "sarima",
  fit(history, options) {
    const values = filled(history.subarray(Math.max(0, history.length - HISTORY_STEPS_MAX)), options.seasonSteps);
    if (values === undefined || values.length < HISTORY_STEPS_MIN) return undefined;
    const scale = deviationOf(values); // Of one, so that no square overflows or vanishes.
    if (!(scale > 0) || !Number.isFinite(scale)) return undefined;
    const scaled = values.map((value) => value / scale);
    const orders = ordersFor(values.length, options);
    const scoredFrom = Math.max(...orders.map(lostSteps));
    let best: FittedSarima | undefined;
    for (const order of orders) {
      const fitted = fitSarima(scaled, order, scoredFrom);
      if (fitted !== undefined && (best === undefined || fitted.criterion < best.criterion)) best = fitted;
    }
    return best === undefined ? undefined : new Sarima(best, scale, options.seasonSteps);
  },
};

/** Deviation from the mean, without overflow of squares. */
function deviationOf(values: Float64Array): number {
  const high = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (!(high > 0)) return 0;
  const mean = values.reduce((sum, value) => sum + value / high, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value / high - mean) ** 2, 0) / values.length;
  return square > 1e-20 ? high * Math.sqrt(square) : 0; // Less is rounding: the history is constant.
}

function ordersFor(length: number, { seasonSteps, weekSteps }: ChallengerOptions): readonly SarimaOrder[] {
  const periods = [seasonSteps, weekSteps].filter((period) => period > 1 && length >= PERIODS_MIN * period);
  const order = (p: number, d: 0 | 1, q: number): SarimaOrder => {
    return { p, d, q, seasonalP: 0, seasonalD: 0, seasonalQ: 0, period: 1 };
  };
  if (periods.length === 0) return [order(1, 0, 0), order(2, 0, 1), order(0, 1, 1), order(1, 1, 1), order(2, 1, 2)];
  return periods.flatMap((period) => {
    const seasonal = { seasonalP: 0, seasonalD: 1, seasonalQ: 1, period } as const;
    return [
      { ...order(1, 0, 1), ...seasonal },
      { ...order(2, 0, 1), ...seasonal },
      { ...order(1, 1, 1), ...seasonal },
      { ...order(2, 1, 2), ...seasonal },
      { ...order(2, 0, 1), ...seasonal, seasonalP: 1 },
    ];
  });
}

class Sarima implements FittedChallenger {
  readonly #fitted: FittedSarima;
  readonly #scale: number;
  readonly #seasonSteps: number;

  constructor(fitted: FittedSarima, scale: number, seasonSteps: number) {
    this.#fitted = fitted;
    this.#scale = scale;
    this.#seasonSteps = seasonSteps;
  }

  forecast(recent: Float64Array, steps: number): Float64Array {
    const { order, mean, arma } = this.#fitted;
    const past = filled(recent.subarray(Math.max(0, recent.length - HISTORY_STEPS_MAX)), this.#seasonSteps);
    if (past === undefined) return new Float64Array(steps);
    const bounds = boundsOf(past);
    const length = past.length;
    const changes = new Float64Array(length + steps);
    changes.set(
      difference(
        past.map((value) => value / this.#scale),
        order,
      ).map((value) => value - mean),
    );
    const lost = Math.min(length, lostSteps(order));
    changes.fill(0, 0, lost);
    const errors = new Float64Array(length + steps);
    innovations(arma, { values: changes.subarray(0, length), errors: errors.subarray(0, length), from: lost });
    const path = new Float64Array(length + steps);
    path.set(past);
    for (let t = length; t < length + steps; t++) {
      let change = 0;
      for (let i = 0; i < arma.ar.lags.length; i++) {
        change -= (arma.ar.coefficients[i] ?? 0) * (changes[t - (arma.ar.lags[i] ?? 0)] ?? 0);
      }
      for (let i = 0; i < arma.ma.lags.length; i++) {
        change += (arma.ma.coefficients[i] ?? 0) * (errors[t - (arma.ma.lags[i] ?? 0)] ?? 0);
      }
      changes[t] = change;
      path[t] = bounded(this.#undifferenced(path, t, change + mean), bounds, path[t - 1] ?? 0);
    }
    return path.slice(length);
  }

  /** The value whose differences are `change`: turns `difference` round. */
  #undifferenced(path: Float64Array, t: number, change: number): number {
    const { d, seasonalD, period } = this.#fitted.order;
    const before = (lag: number): number => path[t - lag] ?? path[0] ?? 0;
    let value = change * this.#scale;
    if (seasonalD === 1) value += before(period);
    if (d === 1) value += before(1);
    if (d === 1 && seasonalD === 1) value -= before(period + 1);
    return value;
  }
}
