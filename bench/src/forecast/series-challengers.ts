// series-challengers.ts: what the server's background thread does, in the time of the data: now and then it fits each challenger to
// a copy of the series, and hands the forecaster a table of the next points. Not here: who is heard (the forecaster decides that).
import {
  type Challenger,
  type FittedChallenger,
  lstmChallenger,
  ridgeChallenger,
  type SeriesForecaster,
  sarimaChallenger,
} from "@forelock/forecast";

interface Rule {
  readonly challenger: Challenger;
  /** Values between two fits. */
  readonly fitEvery: number;
}

/** By cost: a ridge takes some 40 ms a fit, a seasonal ARIMA 150, an LSTM 700. */
const RULES: readonly Rule[] = [
  { challenger: ridgeChallenger, fitEvery: 64 },
  { challenger: sarimaChallenger, fitEvery: 512 },
  { challenger: lstmChallenger, fitEvery: 1_536 },
];
/** Values between two tables of one fit. */
const TABLE_EVERY = 8;
const TABLE_STEPS = 84;
const HISTORY_MIN = 128;

export interface Worked {
  readonly key: string;
  readonly seasonSteps: number;
  readonly weekSteps: number;
  readonly seed: number;
}

/** A background worker of one series. */
export class SeriesChallengers {
  readonly #forecaster: SeriesForecaster;
  readonly #worked: Worked;
  readonly #fits = RULES.map((): { fitted: FittedChallenger | undefined; at: number } => ({
    fitted: undefined,
    at: Number.NEGATIVE_INFINITY,
  }));

  constructor(forecaster: SeriesForecaster, worked: Worked) {
    this.#forecaster = forecaster;
    this.#worked = worked;
  }

  /** After the value number `index` was observed, at time `t`. `isOrigin`: a forecast is about to be asked for. */
  work(index: number, t: number, isOrigin: boolean): void {
    if (index % TABLE_EVERY !== 0 && !isOrigin) return;
    const { key, seasonSteps, weekSteps, seed } = this.#worked;
    const history = this.#forecaster.history(key);
    if (history.length < HISTORY_MIN) return;
    for (const [place, { challenger, fitEvery }] of RULES.entries()) {
      const fit = this.#fits[place]!; // One for each rule.
      if (index - fit.at >= fitEvery) {
        fit.fitted = challenger.fit(history, { seasonSteps, weekSteps, seed });
        fit.at = index;
      }
      if (fit.fitted === undefined) continue;
      this.#forecaster.offer(key, challenger.name, t, fit.fitted.forecast(history, TABLE_STEPS));
    }
  }
}
