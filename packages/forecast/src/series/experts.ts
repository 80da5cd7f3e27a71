// experts.ts: eleven cheap opinions about the next values of one series, and what each must remember. Not here: who is believed
// (mix.ts), rings of pending forecasts (forecaster.ts).
//   E1. O(1) a value, nothing allocated. Offsets as S2 of shape.ts says.

import { AT, EXPERTS, type Layout } from "./shape.ts";

export const EXPERT_NAMES: readonly string[] = [
  "smoothing 0.05",
  "smoothing 0.2",
  "smoothing 0.6",
  "last value",
  "day ago",
  "day ago, shifted",
  "day profile, slow level",
  "day profile, fast level",
  "week ago",
  "week ago, shifted",
  "week profile, level",
];
/** The first expert of each group, and one past the last. */
export const GROUP_STARTS = [0, 4, 8, EXPERTS] as const;

const SMOOTH = [0.05, 0.2, 0.6] as const;
const SLOW = 0.01;
const FAST = 0.3;
const DRIFT = 0.3;
const PROFILE_GAIN = 0.1;

/** Experts that may speak: those of the day after a season, those of the week after a week and a day. */
export function readyExperts(layout: Layout, seen: number): number {
  const { seasonSteps, weekSteps } = layout;
  if (seasonSteps === 0 || seen <= seasonSteps) return GROUP_STARTS[1];
  return weekSteps === 0 || seen <= weekSteps + seasonSteps ? GROUP_STARTS[2] : GROUP_STARTS[3];
}

/** One key's memory: its block of numbers and its ring of values. */
export interface Memory {
  readonly numbers: Float64Array;
  /** Where the block begins. */ at: number;
  readonly ring: Float64Array;
  /** Where the ring begins. */ ringAt: number;
}

/** Of the newest value. An integer, and known to be one: the remainder of a float costs more than all the rest of a step. */
export function stepOf(memory: Memory): number {
  return memory.numbers[memory.at + AT.step]! | 0;
}

/** Values learned. An integer, as `stepOf`; at the largest one it stays. */
export function seenOf(memory: Memory): number {
  return memory.numbers[memory.at + AT.seen]! | 0;
}

/** The ring's value of `step`, which lies less than `historySteps` before the newest. */
export function valueAt(memory: Memory, layout: Layout, step: number): number {
  return memory.ring[memory.ringAt + (step & (layout.historySteps - 1))]!;
}

/** Learns the ring's value of `step`, the newest, as the one that makes `seen`. */
export function learnExperts(memory: Memory, layout: Layout, step: number, seen: number): void {
  const value = valueAt(memory, layout, step);
  const { numbers, at } = memory;
  const { seasonSteps, weekSteps } = layout;
  for (let index = 0; index < 3; index += 1) {
    const gain = SMOOTH[index]!;
    const level = numbers[at + AT.smooth + index]!;
    numbers[at + AT.smooth + index] = level + (gain * seen < 1 ? 1 / seen : gain) * (value - level);
  }
  if (seasonSteps === 0) return;
  const dayAt = at + layout.dayProfile + (numbers[at + AT.dayPhase]! | 0);
  if (seen <= seasonSteps) {
    numbers[dayAt] = value;
  } else {
    const profile = numbers[dayAt]!;
    numbers[at + AT.slow]! += SLOW * (value - profile - numbers[at + AT.slow]!);
    numbers[at + AT.fast]! += FAST * (value - profile - numbers[at + AT.fast]!);
    numbers[dayAt] = profile + PROFILE_GAIN * (value - profile);
    numbers[at + AT.dayDrift]! +=
      DRIFT * (value - valueAt(memory, layout, step - seasonSteps) - numbers[at + AT.dayDrift]!);
  }
  if (weekSteps === 0) return;
  const weekAt = at + layout.weekProfile + (numbers[at + AT.weekPhase]! | 0);
  if (seen <= weekSteps) {
    numbers[weekAt] = value;
  } else {
    const profile = numbers[weekAt]!;
    numbers[at + AT.week]! += FAST * (value - profile - numbers[at + AT.week]!);
    numbers[weekAt] = profile + 2 * PROFILE_GAIN * (value - profile);
    numbers[at + AT.weekDrift]! +=
      DRIFT * (value - valueAt(memory, layout, step - weekSteps) - numbers[at + AT.weekDrift]!);
  }
}

/** Moves the phases of the day and the week by one step. */
export function turnPhases(memory: Memory, layout: Layout): void {
  const { numbers, at } = memory;
  const { seasonSteps, weekSteps } = layout;
  if (seasonSteps > 0) numbers[at + AT.dayPhase] = ahead(numbers[at + AT.dayPhase]! | 0, 1, seasonSteps);
  if (weekSteps > 0) numbers[at + AT.weekPhase] = ahead(numbers[at + AT.weekPhase]! | 0, 1, weekSteps);
}

/**
 * Writes what each of the first `ready` experts says of the value `horizon` steps after the newest, `step`.
 * @param out from `outAt` on, `ready` numbers
 */
export function predict(
  memory: Memory,
  layout: Layout,
  step: number,
  horizon: number,
  ready: number,
  out: Float64Array,
  outAt: number,
): void {
  const { numbers, at } = memory;
  out[outAt] = numbers[at + AT.smooth]!;
  out[outAt + 1] = numbers[at + AT.smooth + 1]!;
  out[outAt + 2] = numbers[at + AT.smooth + 2]!;
  out[outAt + 3] = valueAt(memory, layout, step);
  if (ready <= 4) return;
  const { seasonSteps, weekSteps } = layout;
  const day = horizon <= seasonSteps ? seasonSteps : seasonSteps * Math.ceil(horizon / seasonSteps);
  const dayAgo = valueAt(memory, layout, step + horizon - day);
  const profile = numbers[at + layout.dayProfile + ahead(numbers[at + AT.dayPhase]! | 0, horizon, seasonSteps)]!;
  out[outAt + 4] = dayAgo;
  out[outAt + 5] = dayAgo + numbers[at + AT.dayDrift]!;
  out[outAt + 6] = profile + numbers[at + AT.slow]!;
  out[outAt + 7] = profile + numbers[at + AT.fast]!;
  if (ready <= 8) return;
  const week = horizon <= weekSteps ? weekSteps : weekSteps * Math.ceil(horizon / weekSteps);
  const weekAgo = valueAt(memory, layout, step + horizon - week);
  const weekPhase = ahead(numbers[at + AT.weekPhase]! | 0, horizon, weekSteps);
  out[outAt + 8] = weekAgo;
  out[outAt + 9] = weekAgo + numbers[at + AT.weekDrift]!;
  out[outAt + 10] = numbers[at + layout.weekProfile + weekPhase]! + numbers[at + AT.week]!;
}

/** The phase `steps` later, in a cycle of `cycleSteps`. */
function ahead(phase: number, steps: number, cycleSteps: number): number {
  const later = phase + steps;
  return later < cycleSteps ? later : later < 2 * cycleSteps ? later - cycleSteps : later % cycleSteps;
}
