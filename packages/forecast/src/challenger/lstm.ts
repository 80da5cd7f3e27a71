// lstm.ts: the LSTM challenger: corrects a repeat of the last period by a small recurrent network, three of them, averaged.
// Not here: the network (lstm-network.ts), its training (lstm-train.ts).
import type { Challenger, ChallengerOptions, FittedChallenger } from "./challenger.ts";
import { bounded, boundsOf, filled } from "./history.ts";
import { makeTape, type NetworkShape, run } from "./lstm-network.ts";
import { type Lessons, train } from "./lstm-train.ts";

const HISTORY_STEPS_MAX = 6400;
const HISTORY_STEPS_MIN = 120;
/** A period is a candidate when it fits into the history this often. */
const PERIODS_MIN = 3;
const SEEDS = 3;
const UNITS = 8;
const INPUTS = 4;
/** Steps ahead that the network answers for; those between are interpolated, those beyond keep the last. */
const HORIZONS = [1, 2, 3, 5, 8, 12, 18, 24, 36, 48] as const;
const SHAPE: NetworkShape = { inputs: INPUTS, units: UNITS, outputs: HORIZONS.length };
const HELD_BACK_RATIO = 0.15;
/** Steps that a forecast lets the network see: as many as fill its memory. */
const SEEN_STEPS = 96;
/** Half of the memory of the two running means, in steps. */
const FAST_STEPS = 4;
const SLOW_STEPS = 32;

/**
 * A network of 8 units on differences at the period (the day, the week, or one step, whichever repeats best). It answers for all
 * horizons at once instead of feeding on its own answers, so that errors do not add up. Needs 120 values; a fit takes about
 * a third of a second of processor time.
 */
export const lstmChallenger: Challenger = {
  name: "lstm",
  fit(history, options) {
    const values = filled(history.subarray(Math.max(0, history.length - HISTORY_STEPS_MAX)), options.seasonSteps);
    if (values === undefined || values.length < HISTORY_STEPS_MIN) return undefined;
    const period = bestPeriod(values, options);
    const scale = meanDistance(values, period, 1);
    if (!(scale > 0) || !Number.isFinite(scale) || scale < 1e-12 * meanSize(values)) return undefined;
    const outputScales = HORIZONS.map((horizon) => meanDistance(values, period, horizon) || scale);
    const lessons = lessonsOf(values, { period, scale, outputScales });
    const networks = Array.from({ length: SEEDS }, (_, i) => train(SHAPE, lessons, options.seed * SEEDS + i));
    const useful = networks.filter(({ lossRatio }) => lossRatio < 1).map(({ weights }) => weights);
    if (useful.length === 0 || useful.some((weights) => !weights.every(Number.isFinite))) return undefined;
    return new Lstm({ networks: useful, period, scale, outputScales, seasonSteps: options.seasonSteps });
  },
};

interface Units {
  /** Steps after which the base repeats; 1: the last value. */ readonly period: number;
  /** Mean distance to the base one step ahead. */ readonly scale: number;
  /** The same by horizon. */ readonly outputScales: readonly number[];
}

/** What is `horizon` steps after `origin` if the last period repeats. */
function baseAt(values: Float64Array, origin: number, horizon: number, period: number): number {
  return values[origin + horizon - period * Math.ceil(horizon / period)] ?? 0;
}

/** Mean absolute error of repeating the last period. */
function meanDistance(values: Float64Array, period: number, horizon: number): number {
  let sum = 0;
  let count = 0;
  for (let origin = period; origin + horizon < values.length; origin++) {
    sum += Math.abs((values[origin + horizon] ?? 0) - baseAt(values, origin, horizon, period));
    count++;
  }
  return count > 0 ? sum / count : 0;
}

function meanSize(values: Float64Array): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
}

function bestPeriod(values: Float64Array, { seasonSteps, weekSteps }: ChallengerOptions): number {
  const periods = [1, seasonSteps, weekSteps].filter((period) => period >= 1 && values.length >= PERIODS_MIN * period);
  const error = (period: number): number =>
    [2, 5, 11, 17, 35].reduce((sum, horizon) => sum + meanDistance(values, period, horizon), 0);
  return periods.reduce((best, period) => (error(period) < error(best) ? period : best), 1);
}

/** By step: distance to a period ago, step from the value before, distances to two running means. */
function inputsOf(values: Float64Array, { period, scale }: Units): Float64Array {
  const inputs = new Float64Array(values.length * INPUTS);
  let fast = values[0] ?? 0;
  let slow = fast;
  for (let t = 0; t < values.length; t++) {
    const value = values[t] ?? 0;
    fast += (value - fast) / FAST_STEPS;
    slow += (value - slow) / SLOW_STEPS;
    inputs[t * INPUTS] = squashed((value - (values[t - period] ?? value)) / scale);
    inputs[t * INPUTS + 1] = squashed((value - (values[t - 1] ?? value)) / scale);
    inputs[t * INPUTS + 2] = squashed((value - fast) / scale);
    inputs[t * INPUTS + 3] = squashed((value - slow) / scale);
  }
  return inputs;
}

/** About the same near 0, a logarithm far away: an outlier is felt, not obeyed. */
function squashed(value: number): number {
  const result = Math.asinh(value);
  return Number.isFinite(result) ? result : 0;
}

function lessonsOf(values: Float64Array, units: Units): Lessons {
  const skip = units.period; // Nothing is known a period before these.
  const inputs = inputsOf(values, units).subarray(skip * INPUTS);
  const steps = values.length - skip;
  const targets = new Float64Array(steps * HORIZONS.length).fill(Number.NaN);
  for (let step = 0; step < steps; step++) {
    const origin = step + skip;
    HORIZONS.forEach((horizon, output) => {
      const truth = values[origin + horizon];
      if (truth === undefined) return;
      const distance = truth - baseAt(values, origin, horizon, units.period);
      targets[step * HORIZONS.length + output] = distance / (units.outputScales[output] ?? 1);
    });
  }
  return { inputs, targets, steps, validFrom: Math.floor(steps * (1 - HELD_BACK_RATIO)) };
}

interface LstmParts extends Units {
  readonly networks: readonly Float64Array[];
  readonly seasonSteps: number;
}

class Lstm implements FittedChallenger {
  readonly #parts: LstmParts;

  constructor(parts: LstmParts) {
    this.#parts = parts;
  }

  forecast(recent: Float64Array, steps: number): Float64Array {
    const { seasonSteps, period } = this.#parts;
    const past = filled(recent, seasonSteps);
    if (past === undefined) return new Float64Array(steps);
    const bounds = boundsOf(past);
    const corrections = this.#corrections(past);
    const last = past[past.length - 1] ?? 0;
    const path = new Float64Array(steps);
    for (let h = 1; h <= steps; h++) {
      const base = past.length >= period ? baseAt(past, past.length - 1, h, period) : last;
      path[h - 1] = bounded(base + interpolated(corrections, h), bounds, base);
    }
    return path;
  }

  /** By horizon, the mean of the networks, in the unit of the series. */
  #corrections(past: Float64Array): readonly number[] {
    const { networks, outputScales } = this.#parts;
    const steps = Math.min(SEEN_STEPS, past.length);
    const sequence = { inputs: inputsOf(past, this.#parts), from: past.length - steps, steps };
    const tape = makeTape(SHAPE, steps);
    const sums = HORIZONS.map(() => 0);
    for (const weights of networks) {
      run(SHAPE, weights, sequence, tape);
      for (let i = 0; i < sums.length; i++) {
        sums[i] = (sums[i] ?? 0) + (tape.outputs[(steps - 1) * HORIZONS.length + i] ?? 0);
      }
    }
    return sums.map((sum, i) => (sum / SEEDS) * (outputScales[i] ?? 1)); // A network that learned nothing answers 0.
  }
}

function interpolated(corrections: readonly number[], horizon: number): number {
  const above = HORIZONS.findIndex((each) => each >= horizon);
  if (above < 0) return corrections[corrections.length - 1] ?? 0;
  const high = corrections[above] ?? 0;
  if (above === 0) return high;
  const [from, to] = [HORIZONS[above - 1] ?? 0, HORIZONS[above] ?? 1];
  const low = corrections[above - 1] ?? 0;
  return low + ((high - low) * (horizon - from)) / (to - from);
}
