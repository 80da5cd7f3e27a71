// mix.ts: who is believed. Every expert's forecasts are scored when their truth arrives, at a few horizons; an expert speaks with
// weight (best error / own error)^6. A challenger speaks beside the mix of experts, and only where it beat that mix at the same
// origins. Not here: what experts say (experts.ts), intervals (interval/conformal.ts).
//   M1. A row that was written at origin o for horizon h is scored with the value of step o + h, and with no other.
//   M2. Weights are finite, at least 0, and sum to 1; an expert with fewer than ORIGINS_MIN scored origins weighs 0, unless all do.
//   Offsets as S2 of shape.ts says.

import { GROUP_STARTS, type Memory } from "./experts.ts";
import {
  AT,
  CHALLENGERS_MAX,
  EXPERTS,
  GROUPS,
  type Layout,
  nearestHorizon,
  ORIGIN_STEPS,
  ROW_CHALLENGERS,
  ROW_HOT,
  ROW_READY,
  TABLE_STEPS,
} from "./shape.ts";

/** Scored origins before a newcomer is heard. */
export const ORIGINS_MIN = 20;
/** Scored values until an old error counts half. */
export const ERROR_HALF_LIFE = 100;
const ERROR_GAIN = ORIGIN_STEPS.map((steps) => 1 - 0.5 ** (steps / ERROR_HALF_LIFE));
/** As ERROR_GAIN, in offered tables: they come more rarely, and each says as much. */
const TABLE_GAIN = 1 - 0.5 ** (1 / 50);
/** A challenger is heard where its error is below this share of that of the hot mix at the same origins. */
const ADMITTED_BELOW = 0.98;

/** Scores the row `rowAt` of horizon index `k` with its truth (M1). */
export function scoreRow(memory: Memory, k: number, rowAt: number, truth: number): void {
  const { numbers, at } = memory;
  const ready = numbers[rowAt + ROW_READY]! | 0;
  const settled = ERROR_GAIN[k]!;
  const countsAt = at + AT.counts + k * GROUPS;
  const errorsAt = at + AT.errors + k * EXPERTS;
  for (let group = 0; group < GROUPS; group += 1) {
    const from = GROUP_STARTS[group]!;
    if (from >= ready) break;
    const scored = numbers[countsAt + group]! + 1;
    numbers[countsAt + group] = scored;
    const gain = scored * settled < 1 ? 1 / scored : settled;
    const to = errorsAt + GROUP_STARTS[group + 1]!;
    const shift = rowAt - errorsAt;
    for (let error = errorsAt + from; error < to; error += 1) {
      const known = numbers[error]!;
      numbers[error] = known + gain * (Math.abs(truth - numbers[error + shift]!) - known);
    }
  }
  const gain = numbers[countsAt]! * settled < 1 ? 1 / numbers[countsAt]! : settled;
  const known = numbers[at + AT.hotErrors + k]!;
  numbers[at + AT.hotErrors + k] = known + gain * (Math.abs(truth - numbers[rowAt + ROW_HOT]!) - known);
}

/** As scoreRow, for the challengers that said something in it. */
export function scoreChallengers(memory: Memory, k: number, rowAt: number, truth: number): void {
  const { numbers, at } = memory;
  const hotError = Math.abs(truth - numbers[rowAt + ROW_HOT]!);
  for (let index = 0; index < CHALLENGERS_MAX; index += 1) {
    const said = numbers[rowAt + ROW_CHALLENGERS + index]!;
    if (Number.isNaN(said)) continue;
    const cell = k * CHALLENGERS_MAX + index;
    const scored = numbers[at + AT.tablesScored + cell]! + 1;
    numbers[at + AT.tablesScored + cell] = scored;
    const gain = Math.max(TABLE_GAIN, 1 / scored);
    numbers[at + AT.own + cell]! += gain * (Math.abs(truth - said) - numbers[at + AT.own + cell]!);
    numbers[at + AT.beside + cell]! += gain * (hotError - numbers[at + AT.beside + cell]!);
  }
}

/** Draws the weights of horizon index `k` anew from the errors. */
export function reweigh(memory: Memory, k: number, ready: number): void {
  const { numbers, at } = memory;
  const floor = floorOf(numbers[at + AT.smooth]!);
  const errorsAt = at + AT.errors + k * EXPERTS;
  const weightsAt = at + AT.weights + k * EXPERTS;
  let heard: number = GROUP_STARTS[1];
  for (let group = 1; group < GROUPS && GROUP_STARTS[group]! < ready; group += 1)
    if (numbers[at + AT.counts + k * GROUPS + group]! >= ORIGINS_MIN) heard = GROUP_STARTS[group + 1]!;
  let best = numbers[errorsAt]!;
  for (let expert = 1; expert < heard; expert += 1) {
    const error = numbers[errorsAt + expert]!;
    if (error < best) best = error;
  }
  best += floor;
  let sum = 0;
  for (let expert = 0; expert < heard; expert += 1) {
    const ratio = best / (numbers[errorsAt + expert]! + floor);
    const cube = ratio * ratio * ratio;
    numbers[weightsAt + expert] = cube * cube;
    sum += cube * cube;
  }
  const whole = 1 / sum;
  for (let expert = 0; expert < heard; expert += 1) numbers[weightsAt + expert]! *= whole; // M2
}

/** Writes to `out[outAt]` what the experts say together: `said` from `saidAt` on, weighed for horizon index `k`. */
export function mixInto(
  memory: Memory,
  k: number,
  ready: number,
  said: Float64Array,
  saidAt: number,
  out: Float64Array,
  outAt: number,
): void {
  const { numbers, at } = memory;
  const weightsAt = at + AT.weights + k * EXPERTS;
  let sum = 0;
  for (let expert = 0; expert < ready; expert += 1) sum += numbers[weightsAt + expert]! * said[saidAt + expert]!;
  out[outAt] = sum; // Not returned: a number that leaves a function may be boxed, and this is the hot path.
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
    const tableSteps = step + horizon - memory.numbers[memory.at + AT.stamps + index]!;
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
  if (numbers[at + AT.tablesScored + cell]! < ORIGINS_MIN) return 0;
  const beside = numbers[at + AT.beside + cell]!;
  const longer = numbers[at + AT.hotErrors + tableK]!;
  if (!(beside > 0) || !(longer > 0)) return 0;
  const ageRatio = tableK === k ? 1 : longer / Math.max(longer * 1e-3, numbers[at + AT.hotErrors + k]!);
  const ratio = (numbers[at + AT.own + cell]! / beside) * ageRatio;
  if (!(ratio < ADMITTED_BELOW)) return 0;
  const cube = 1 / Math.max(0.05, ratio) ** 3;
  return cube * cube;
}

/** The smallest error that counts as one beside `value`: with less, a rounding would decide who is believed. */
export function floorOf(value: number): number {
  return 1e-12 + 1e-9 * Math.abs(value);
}
