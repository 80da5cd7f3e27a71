// challenger.ts: what the hot path asks of a model that is fitted in the background. Not here: the models (ridge.ts and its
// siblings), who decides whether one may speak (series/mix.ts), threads and schedules (the server).
//   C1. Pure: the same history, options and seed give bit-equal coefficients and forecasts.
//   C2. Never non-finite: a fit that cannot be trusted is `undefined`, and a fitted model answers with finite numbers only.

/** A model that can be fitted to the past of one series. */
export interface Challenger {
  /** Names the kind of model in events and reports, for example "ridge". */
  readonly name: string;
  /**
   * Fits to evenly spaced values, oldest first; a gap is NaN. Neither keeps nor changes `history`.
   * @returns `undefined` when the history is too short, too constant or too broken for this model
   */
  fit(history: Float64Array, options: ChallengerOptions): FittedChallenger | undefined;
}

export interface ChallengerOptions {
  /** Steps in a day, or whatever repeats soonest; 1 or 0: no season. */ readonly seasonSteps: number;
  /** Steps in a week, or whatever repeats next; 0: none. */ readonly weekSteps: number;
  /** Chooses every random number of the fit. */ readonly seed: number;
}

/** A model with its coefficients. Fitted once, it forecasts from any later origin of the same series. */
export interface FittedChallenger {
  /**
   * @param recent evenly spaced values up to the origin, oldest first, a gap is NaN: the history it was fitted to, or what
   *   that has become since
   * @param steps at least 1
   * @returns `steps` finite values, the first one step after the last of `recent`
   */
  forecast(recent: Float64Array, steps: number): Float64Array;
}
