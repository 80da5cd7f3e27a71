// challenge.ts: models that were fitted elsewhere and hand in a table of the next values. Each table is put on trial beside what the
// experts said at the same moment, and a model is heard beside the mix of experts only where it beat that mix. Not here: fitting
// (challenger/), experts and their mix (experts.ts, mix.ts).
//   C1. A model with fewer than ORIGINS_MIN origins scored at a horizon weighs nothing there.
//   C2. A trial compares two forecasts made at one origin with one truth: that of its origin plus the horizon.
//   Offsets as S2 of shape.ts says.

import { type Memory, predict, readyExperts, seenOf, stepOf } from "./experts.ts";
import { mixInto, ORIGINS_MIN } from "./mix.ts";
import {
  AT,
  CHALLENGERS_MAX,
  EXPERTS,
  HORIZON_COUNT,
  type Layout,
  nearestHorizon,
  STEPS_TABLED,
  TABLE_STEPS,
  TRIAL_NUMBERS,
  TRIALS_MAX,
} from "./shape.ts";

/** What one trial tells: half of it is forgotten after fifty more. */
const TRIAL_GAIN = 1 - 0.5 ** (1 / 50);
/** A challenger is heard where its error is below this share of that of the hot mix at the same origins. */
const ADMITTED_BELOW = 0.98;
/** Steps between two trials of one challenger: neighbouring ones tell the same. */
const TRIAL_STEPS = 4;
const TRIALS = TRIALS_MAX * TRIAL_NUMBERS;

const said = new Float64Array(EXPERTS + 1);

/** Puts the table that challenger `index` has just offered on trial, unless one was begun a moment ago or too many are waiting. */
export function beginTrial(memory: Memory, layout: Layout, index: number): void {
  const { numbers, at } = memory;
  const step = stepOf(memory);
  const trialsAt = at + AT.trials + index * TRIALS;
  let free = -1;
  for (let trial = trialsAt; trial < trialsAt + TRIALS; trial += TRIAL_NUMBERS) {
    const origin = numbers[trial]!;
    if (origin === 0 || step - origin >= STEPS_TABLED) free = trial;
    else if (step - origin < TRIAL_STEPS) return;
  }
  if (free === -1) return;
  numbers[free] = step;
  const ready = readyExperts(layout, seenOf(memory));
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    const horizon = layout.horizons[k]!;
    predict(memory, layout, step, horizon, ready, said, 0);
    mixInto(memory, k, ready, said, 0, said, EXPERTS);
    numbers[free + 1 + k] = challengerSays(memory, index, step + horizon);
    numbers[free + 1 + HORIZON_COUNT + k] = said[EXPERTS]!;
  }
}

/** Scores every trial that waited for the value of `step` (C2). */
export function scoreTrials(memory: Memory, layout: Layout, step: number, truth: number): void {
  const { numbers, at } = memory;
  for (let index = 0; index < CHALLENGERS_MAX && numbers[at + AT.names + index] !== 0; index += 1) {
    const trialsAt = at + AT.trials + index * TRIALS;
    for (let trial = trialsAt; trial < trialsAt + TRIALS; trial += TRIAL_NUMBERS) {
      const age = step - numbers[trial]!;
      const k = age < STEPS_TABLED ? layout.horizonAt[age]! : -1;
      if (k === -1 || Number.isNaN(numbers[trial + 1 + k]!)) continue;
      const cell = k * CHALLENGERS_MAX + index;
      const scored = numbers[at + AT.originsScored + cell]! + 1;
      numbers[at + AT.originsScored + cell] = scored;
      const gain = Math.max(TRIAL_GAIN, 1 / scored);
      numbers[at + AT.own + cell]! += gain * (Math.abs(truth - numbers[trial + 1 + k]!) - numbers[at + AT.own + cell]!);
      const hotError = Math.abs(truth - numbers[trial + 1 + HORIZON_COUNT + k]!);
      numbers[at + AT.beside + cell]! += gain * (hotError - numbers[at + AT.beside + cell]!);
    }
  }
}

/** What challenger `index` says of `step`; NaN when its table does not reach so far, or it has none. */
export function challengerSays(memory: Memory, index: number, step: number): number {
  const { numbers, at } = memory;
  if (numbers[at + AT.names + index] === 0) return Number.NaN;
  const point = step - numbers[at + AT.stamps + index]! - 1;
  if (point < 0 || point >= numbers[at + AT.lengths + index]!) return Number.NaN;
  return numbers[at + AT.tables + index * TABLE_STEPS + point]!;
}

/** Whether any challenger ever offered a table for this key. */
export function isChallenged(memory: Memory): boolean {
  return memory.numbers[memory.at + AT.names] !== 0; // The first place is taken first.
}

/** `hot`, what the experts say together `horizon` steps after `step`, mixed with the challengers that may be heard there. */
export function withChallengers(
  memory: Memory,
  layout: Layout,
  k: number,
  step: number,
  horizon: number,
  hot: number,
): number {
  let sum = hot;
  let weights = 1;
  for (let index = 0; index < CHALLENGERS_MAX; index += 1) {
    const said = challengerSays(memory, index, step + horizon);
    if (Number.isNaN(said)) continue;
    const tableSteps = step + horizon - memory.numbers[memory.at + AT.offered + index]!;
    const weight = challengerWeight(memory, index, k, nearestHorizon(layout, tableSteps));
    sum += weight * said;
    weights += weight;
  }
  return sum / weights;
}

/**
 * The weight of challenger `index` beside a weight of 1 for all experts together: 0, or (error of the experts / own error)^6.
 * @param k horizon index of the forecast that is asked for
 * @param tableK horizon index as seen from the table's origin: a table that has grown old is judged as the long look it is
 */
export function challengerWeight(memory: Memory, index: number, k: number, tableK: number): number {
  const { numbers, at } = memory;
  const cell = tableK * CHALLENGERS_MAX + index;
  if (numbers[at + AT.originsScored + cell]! < ORIGINS_MIN) return 0;
  const beside = numbers[at + AT.beside + cell]!;
  const longer = numbers[at + AT.hotErrors + tableK]!;
  if (!(beside > 0) || !(longer > 0)) return 0;
  const ageRatio = tableK === k ? 1 : longer / Math.max(longer * 1e-3, numbers[at + AT.hotErrors + k]!);
  const ratio = (numbers[at + AT.own + cell]! / beside) * ageRatio;
  if (!(ratio < ADMITTED_BELOW)) return 0;
  const cube = 1 / Math.max(0.05, ratio) ** 3;
  return cube * cube;
}
