// mix.ts: who is believed. Every expert's forecasts are scored when their truth arrives, at a few horizons; an expert speaks with
// weight (best error / own error)^6. A challenger speaks beside the mix of experts, and only where it beat that mix at the same
// origins. Not here: what experts say (experts.ts), intervals (interval/conformal.ts).
//   M1. A row that was written at origin o for horizon h is scored with the value of step o + h, and with no other.
//   M2. Weights are finite, at least 0, and sum to 1; an expert with fewer than ORIGINS_MIN scored origins weighs 0, unless all do.
//   Offsets as S2 of shape.ts says.

import { GROUP_STARTS, type Memory } from "./experts.ts";
import { AT, EXPERTS, GROUPS, type Layout, ROW_HOT, ROW_READY } from "./shape.ts";

/** Scored origins before a newcomer is heard. */
export const ORIGINS_MIN = 20;
/** Scored values until an old error counts half. */
export const ERROR_HALF_LIFE = 100;
/** By the shift of a horizon's origins. */
const ERROR_GAIN = Float64Array.from([1, 2, 4, 8], (steps) => 1 - 0.5 ** (steps / ERROR_HALF_LIFE));

/** Scores the row `rowAt` of horizon index `k` with its truth (M1). */
export function scoreRow(memory: Memory, layout: Layout, k: number, rowAt: number, truth: number): void {
  const { numbers, at } = memory;
  const ready = numbers[rowAt + ROW_READY]! | 0;
  const settled = ERROR_GAIN[layout.shifts[k]!]!;
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

/** The smallest error that counts as one beside `value`: with less, a rounding would decide who is believed. */
export function floorOf(value: number): number {
  return 1e-12 + 1e-9 * Math.abs(value);
}
