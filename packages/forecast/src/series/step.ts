// step.ts: one step of one series, in this order: score what was said of it, learn it, say something of what comes. Not here:
// keys and times (forecaster.ts).
//   T1. Scoring comes before learning, learning before saying: a forecast never knows its truth.
//   T2. The row of origin o for horizon h is read at o + h, before any later origin takes its place.
//   T3. Everything stored is finite, but for the NaN of a challenger whose table does not reach so far.

import { beginInterval, INTERVAL_NUMBERS, learnError, redraw } from "../interval/conformal.ts";
import { isChallenged, scoreTrials, withChallengers } from "./challenge.ts";
import {
  GROUP_STARTS,
  learnExperts,
  type Memory,
  predict,
  readyExperts,
  seenOf,
  stepOf,
  turnPhases,
  valueAt,
} from "./experts.ts";
import { floorOf, mixInto, reweigh, scoreRow } from "./mix.ts";
import { AT, HORIZON_COUNT, type Layout, ROW_HOT, ROW_MIX, ROW_READY, ROW_SCALE, rowOf, turnOf } from "./shape.ts";

/** Errors beyond this many typical ones are clipped before the experts learn them, unless the next one agrees: then it is a step. */
const CLIP = 8;
const SEEN_MAX = 2 ** 31 - 1;
const SCALE_GAIN = 0.01;
/** Below this many values everything is drawn anew at each; later the horizons take turns. */
const YOUNG = 64;
/** Steps until an error of long ago weighs half. */
const INTERVAL_HALF_LIFE = 600;
/** By the shift of a horizon's origins. */
const GROWTH = Float64Array.from([1, 2, 4, 8], (steps) => 2 ** (steps / INTERVAL_HALF_LIFE));
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
  if (common.layout.seasonSteps > 0) numbers[at + AT.dayPhase] = step % common.layout.seasonSteps;
  if (common.layout.weekSteps > 0) numbers[at + AT.weekPhase] = step % common.layout.weekSteps;
  numbers[at + AT.seen] = 1;
  numbers[at + AT.scale] = floorOf(value) + Math.abs(value) * 0.1;
  numbers[at + AT.negative] = value < 0 ? 1 : 0;
  numbers[at + AT.coverage] = 0.9;
  numbers[at + AT.champion] = 3;
  ring.fill(value, ringAt, ringAt + common.layout.historySteps);
  learnExperts(memory, common.layout, step, 1);
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    reweigh(memory, k, readyExperts(common.layout, 1));
    beginInterval(numbers, at + AT.intervals + k * INTERVAL_NUMBERS, common.pooled, k * INTERVAL_NUMBERS);
  }
  speak(memory, common, step, readyExperts(common.layout, 1));
}

/** The next value, one step after the last. */
export function learn(memory: Memory, common: Common, value: number): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const step = stepOf(memory) + 1;
  const seen = Math.min(SEEN_MAX, seenOf(memory) + 1);
  if (value < 0) numbers[at + AT.negative] = 1;
  score(memory, common, step, value); // T1
  keep(memory, layout, step, value, seen);
  numbers[at + AT.step] = step;
  turnPhases(memory, layout);
  numbers[at + AT.seen] = seen;
  learnExperts(memory, layout, step, seen);
  const ready = readyExperts(layout, seen);
  if (seen < YOUNG) {
    for (let k = 0; k < HORIZON_COUNT; k += 1) {
      reweigh(memory, k, ready);
      redrawInterval(memory, common, k);
    }
  } else {
    if ((step & 3) === 2) reweigh(memory, (step >> 2) % HORIZON_COUNT, ready);
    if ((step & 7) === 5) redrawInterval(memory, common, (step >> 3) % HORIZON_COUNT);
  }
  speak(memory, common, step, ready);
}

/** A step without a value: time goes on, nothing is learned, and the ring takes what a day ago, or the level, lets expect. */
export function skip(memory: Memory, common: Common): void {
  const { numbers, at, ring, ringAt } = memory;
  const { layout } = common;
  const step = stepOf(memory) + 1;
  const ready = readyExperts(layout, seenOf(memory));
  const isSeasonal = ready > GROUP_STARTS[1];
  const dayAgo = isSeasonal ? valueAt(memory, layout, step - layout.seasonSteps) + numbers[at + AT.dayDrift]! : 0;
  numbers[at + AT.step] = step;
  turnPhases(memory, layout);
  ring[ringAt + (step & (layout.historySteps - 1))] = isSeasonal ? dayAgo : numbers[at + AT.smooth + 2]!;
  speak(memory, common, step, ready);
}

function score(memory: Memory, common: Common, step: number, value: number): void {
  const { numbers, at } = memory;
  const { layout, pooled } = common;
  const { due } = layout;
  if (isChallenged(memory)) scoreTrials(memory, layout, step, value);
  for (let turn = turnOf(step); due[turn]! >= 0; turn += 1) {
    const k = due[turn]!;
    const rowAt = at + rowOf(layout, k, step - layout.horizons[k]!); // T2
    const scale = numbers[rowAt + ROW_SCALE]!;
    if (scale === 0) continue;
    scoreRow(memory, layout, k, rowAt, value);
    const intervalAt = at + AT.intervals + k * INTERVAL_NUMBERS;
    numbers[intervalAt] = (value - numbers[rowAt + ROW_MIX]!) / scale;
    const covered = learnError(numbers, intervalAt, pooled, k * INTERVAL_NUMBERS, GROWTH[layout.shifts[k]!]!) ? 1 : 0;
    if (covered === 0) redrawInterval(memory, common, k);
    numbers[at + AT.coverage]! += COVERAGE_GAIN * (covered - numbers[at + AT.coverage]!);
  }
}

/** Puts into the ring what experts shall learn of `value`; and the typical error moves. */
function keep(memory: Memory, layout: Layout, step: number, value: number, seen: number): void {
  const { numbers, at, ring, ringAt } = memory;
  const scale = numbers[at + AT.scale]!;
  const far = CLIP * scale;
  // An error is one against all of these: a job that runs every night is no outlier, and no surprise.
  const level = numbers[at + AT.smooth + 2]!;
  const ready = readyExperts(layout, seen - 1);
  const dayAgo = ready > GROUP_STARTS[1] ? valueAt(memory, layout, step - layout.seasonSteps) : level;
  const weekAgo = ready > GROUP_STARTS[2] ? valueAt(memory, layout, step - layout.weekSteps) : level;
  const size = Math.abs(value - level);
  const surprise = Math.min(size, Math.abs(value - dayAgo), Math.abs(value - weekAgo));
  const sign = surprise > far ? Math.sign(value - level) : 0;
  const isOutlier = sign !== 0 && sign !== numbers[at + AT.clipped]! && seen > YOUNG;
  const gain = SCALE_GAIN * seen < 1 ? 1 / seen : SCALE_GAIN;
  numbers[at + AT.scale] = Math.max(floorOf(value), scale + gain * (Math.min(size, far) - scale));
  numbers[at + AT.clipped] = sign;
  ring[ringAt + (step & (layout.historySteps - 1))] = isOutlier ? level + sign * far : value;
}

/** Writes the rows whose turn it is. */
export function speak(memory: Memory, common: Common, step: number, ready: number): void {
  const { speaking } = common.layout;
  for (let turn = turnOf(step); speaking[turn]! >= 0; turn += 1) say(memory, common, speaking[turn]!, step, ready);
}

/** Writes the row of horizon index `k` with the origin `step` (T2). */
function say(memory: Memory, common: Common, k: number, step: number, ready: number): void {
  const { numbers, at } = memory;
  const { layout } = common;
  const horizon = layout.horizons[k]!;
  const rowAt = at + rowOf(layout, k, step);
  predict(memory, layout, step, horizon, ready, numbers, rowAt);
  mixInto(memory, k, ready, numbers, rowAt, numbers, rowAt + ROW_HOT);
  numbers[rowAt + ROW_READY] = ready;
  numbers[rowAt + ROW_SCALE] = numbers[at + AT.scale]!;
  const hot = numbers[rowAt + ROW_HOT]!;
  numbers[rowAt + ROW_MIX] = isChallenged(memory) ? withChallengers(memory, layout, k, step, horizon, hot) : hot;
}

function redrawInterval(memory: Memory, common: Common, k: number): void {
  const { numbers, at } = memory;
  redraw(numbers, at + AT.intervals + k * INTERVAL_NUMBERS, common.pooled, k * INTERVAL_NUMBERS);
}
