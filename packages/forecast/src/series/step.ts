// step.ts: one step of one series, in this order: score what was said of it, learn it, say something of what comes. Not here:
// keys and times (forecaster.ts).
//   T1. Scoring comes before learning, learning before saying: a forecast never knows its truth.
//   T2. The row of origin o for horizon h is read at o + h, then written again: its place is the step modulo h.
//   T3. Everything stored is finite, but for the NaN of a challenger that said nothing.

import { INTERVAL_NUMBERS, learnError, redraw } from "../interval/conformal.ts";
import { learnExperts, type Memory, predict, readyExperts } from "./experts.ts";
import { challengerSays, isChallenged, mixed, reweigh, scoreChallengers, scoreRow, withChallengers } from "./mix.ts";
import {
  AT,
  CHALLENGERS_MAX,
  HORIZON_COUNT,
  type Layout,
  ROW_CHALLENGERS,
  ROW_HOT,
  ROW_MIX,
  ROW_NUMBERS,
  ROW_READY,
  ROW_SCALE,
} from "./shape.ts";

/** Errors beyond this many typical ones are clipped before the experts learn them, unless the next one agrees: then it is a step. */
const CLIP = 8;
const SCALE_GAIN = 0.02;
/** Below this many values everything is drawn anew at each; later the horizons take turns. */
const YOUNG = 64;
/** Steps until a key's interval forgets half. */
const INTERVAL_HALF_LIFE = 300;
const KEPT_YOUNG = 0.5 ** (1 / INTERVAL_HALF_LIFE);
const KEPT = 0.5 ** ((2 * HORIZON_COUNT) / INTERVAL_HALF_LIFE);
const COVERAGE_GAIN = 0.01;

/** What all keys of a forecaster have in common. */
export interface Common {
  readonly layout: Layout;
  /** One histogram of scaled errors per horizon. */
  readonly pooled: Float64Array;
}

/** The first value of a key. Its block is all zero. */
export function begin(memory: Memory, common: Common, step: number, value: number): void {
  const { numbers, at, ring, ringAt } = memory;
  numbers[at + AT.step] = step;
  numbers[at + AT.seen] = 1;
  numbers[at + AT.scale] = floorOf(value) + Math.abs(value) * 0.1;
  numbers[at + AT.coverage] = 0.9;
  numbers[at + AT.champion] = 3;
  ring.fill(value, ringAt, ringAt + common.layout.historySteps);
  learnExperts(memory, common.layout, step, value, 1);
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    reweigh(memory, k, readyExperts(common.layout, 1), floorOf(value));
    redrawInterval(memory, common, k, 1);
    say(memory, common, k, step);
  }
}

/** The next value, one step after the last. */
export function learn(memory: Memory, common: Common, value: number): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const step = numbers[at + AT.step]! + 1;
  const seen = numbers[at + AT.seen]! + 1;
  const expected = numbers[at + layout.rows[0]! + ROW_HOT + (step % layout.horizons[0]!) * ROW_NUMBERS]!;
  score(memory, common, step, value); // T1
  const learned = clipped(memory, value, expected, seen);
  numbers[at + AT.step] = step;
  numbers[at + AT.seen] = seen;
  memory.ring[memory.ringAt + (step % layout.historySteps)] = learned;
  learnExperts(memory, layout, step, learned, seen);
  const ready = readyExperts(layout, seen);
  const floor = floorOf(value);
  if (seen < YOUNG) {
    for (let k = 0; k < HORIZON_COUNT; k += 1) {
      reweigh(memory, k, ready, floor);
      redrawInterval(memory, common, k, KEPT_YOUNG);
    }
  } else {
    reweigh(memory, step % HORIZON_COUNT, ready, floor);
    if ((step & 1) === 0) redrawInterval(memory, common, (step >> 1) % HORIZON_COUNT, KEPT);
  }
  for (let k = 0; k < HORIZON_COUNT; k += 1) say(memory, common, k, step);
}

/** A step without a value: time goes on, nothing is learned, and the ring takes what was expected. */
export function skip(memory: Memory, common: Common): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const step = numbers[at + AT.step]! + 1;
  const expected = numbers[at + layout.rows[0]! + ROW_HOT + (step % layout.horizons[0]!) * ROW_NUMBERS]!;
  numbers[at + AT.step] = step;
  memory.ring[memory.ringAt + (step % layout.historySteps)] = expected;
  for (let k = 0; k < HORIZON_COUNT; k += 1) say(memory, common, k, step);
}

function score(memory: Memory, common: Common, step: number, value: number): void {
  const { numbers, at } = memory;
  const { layout, pooled } = common;
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    const rowAt = at + layout.rows[k]! + (step % layout.horizons[k]!) * ROW_NUMBERS; // T2
    const scale = numbers[rowAt + ROW_SCALE]!;
    if (scale === 0) continue;
    scoreRow(memory, k, rowAt, value);
    if (isChallenged(memory)) scoreChallengers(memory, k, rowAt, value);
    const error = (value - numbers[rowAt + ROW_MIX]!) / scale;
    const intervalAt = at + AT.intervals + k * INTERVAL_NUMBERS;
    const covered = learnError(numbers, intervalAt, pooled, k * INTERVAL_NUMBERS, error) ? 1 : 0;
    numbers[at + AT.coverage]! += COVERAGE_GAIN * (covered - numbers[at + AT.coverage]!);
  }
}

/** The value that experts learn; and the typical error moves. */
function clipped(memory: Memory, value: number, expected: number, seen: number): number {
  const { numbers, at } = memory;
  const scale = numbers[at + AT.scale]!;
  const error = value - expected;
  const size = Math.min(Math.abs(error), CLIP * scale);
  numbers[at + AT.scale] = Math.max(floorOf(value), scale + Math.max(SCALE_GAIN, 1 / seen) * (size - scale));
  const sign = Math.abs(error) > CLIP * scale ? Math.sign(error) : 0;
  const isOutlier = sign !== 0 && sign !== numbers[at + AT.clipped]! && seen > YOUNG;
  numbers[at + AT.clipped] = sign;
  return isOutlier ? expected + sign * CLIP * scale : value;
}

/** Writes the row of horizon index `k` with the origin `step` (T2). */
export function say(memory: Memory, common: Common, k: number, step: number): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const horizon = layout.horizons[k]!;
  const rowAt = at + layout.rows[k]! + (step % horizon) * ROW_NUMBERS;
  const ready = readyExperts(layout, numbers[at + AT.seen]!);
  predict(memory, layout, step, horizon, ready, numbers, rowAt);
  const hot = mixed(memory, k, ready, numbers, rowAt);
  numbers[rowAt + ROW_HOT] = hot;
  numbers[rowAt + ROW_READY] = ready;
  numbers[rowAt + ROW_SCALE] = numbers[at + AT.scale]!;
  numbers[rowAt + ROW_MIX] = hot;
  if (isChallenged(memory)) sayChallengers(memory, common, k, step);
}

/** Adds to the row of horizon index `k` what challengers with a table of this very origin say, and mixes in all that may be heard. */
export function sayChallengers(memory: Memory, common: Common, k: number, step: number): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const horizon = layout.horizons[k]!;
  const rowAt = at + layout.rows[k]! + (step % horizon) * ROW_NUMBERS;
  for (let index = 0; index < CHALLENGERS_MAX; index += 1) {
    const isFresh = numbers[at + AT.stamps + index] === step;
    numbers[rowAt + ROW_CHALLENGERS + index] = isFresh ? challengerSays(memory, index, step + horizon) : Number.NaN;
  }
  numbers[rowAt + ROW_MIX] = withChallengers(memory, layout, k, step, horizon, numbers[rowAt + ROW_HOT]!);
}

export function redrawInterval(memory: Memory, common: Common, k: number, kept: number): void {
  const { numbers, at } = memory;
  redraw(numbers, at + AT.intervals + k * INTERVAL_NUMBERS, common.pooled, k * INTERVAL_NUMBERS, kept);
}

/** The smallest error that counts as one beside `value`. */
function floorOf(value: number): number {
  return 1e-12 + 1e-9 * Math.abs(value);
}
