// shape.ts: the grid and the limits that all series of one forecaster share, checked once, and where each number of a key
// lies in its block. Not here: what the numbers mean to each other (experts.ts, mix.ts, interval/conformal.ts).
//   S1. Every key has a block of `stride` numbers and a ring of `historySteps` values: memory is at most keysMax times both.
//   S2. An offset of AT or of a Layout, plus an index below the length named beside it, stays inside the block. This is why reads
//       of blocks, rings and tables in this folder carry `!`.

import { INTERVAL_NUMBERS } from "../interval/conformal.ts";

export interface SeriesOptions {
  /** Milliseconds between two values, whole, 1 to 366 days. */
  readonly stepMs: number;
  /** Steps in a day, or whatever repeats soonest; 0: nothing repeats. 0 or 2 to 20,000. */
  readonly seasonSteps: number;
  /** Steps in a week, or whatever repeats next: a multiple of `seasonSteps`, at most 20,000; 0: none. */
  readonly weekSteps: number;
  /** Values remembered per key, for the background fits: a power of two, over `weekSteps`. Default: the next beyond four
   *  weeks or seasons, within 1,024 to 8,192, or more where a week asks for it. */
  readonly historySteps?: number;
  /** Keys remembered; the one longest unused makes room. Default 1,024. */
  readonly keysMax?: number;
}

export interface Layout {
  readonly stepMs: number;
  readonly seasonSteps: number;
  readonly weekSteps: number;
  readonly historySteps: number;
  readonly keysMax: number;
  /** Steps ahead at which every expert is scored, ascending; HORIZON_COUNT of them. */
  readonly horizons: Int32Array;
  /** By steps ahead below STEPS_TABLED: the scored horizon next below, how far on the way to the next one, and the nearest. */
  readonly lower: Uint8Array;
  readonly fraction: Float64Array;
  readonly nearest: Uint8Array;
  /** By horizon: two to this power is the number of steps between two origins that are scored. */
  readonly shifts: Int32Array;
  /** By horizon: where its pending rows begin, and their number, a power of two, less one. */
  readonly rowStarts: Int32Array;
  readonly rowMasks: Int32Array;
  /** By step modulo ORIGIN_CYCLE, HORIZON_COUNT + 1 numbers each: the horizons whose truth is due, and those to speak for; then -1. */
  readonly due: Int8Array;
  readonly speaking: Int8Array;
  /** By steps ahead below STEPS_TABLED: the index of the horizon that it is, or -1. */
  readonly horizonAt: Int8Array;
  /** Where the profiles begin: `seasonSteps` and `weekSteps` numbers. */
  readonly dayProfile: number;
  readonly weekProfile: number;
  /** Numbers in the block of a key. */
  readonly stride: number;
}

/** Experts that live on the hot path, and challengers that one key can have. */
export const EXPERTS = 11;
export const CHALLENGERS_MAX = 4;
export const HORIZON_COUNT = 5;
/** Points of a challenger's table that are kept. */
export const TABLE_STEPS = 128;
/** Steps ahead that can be asked for. */
export const HORIZON_STEPS_MAX = 4_096;
/** Values beyond this are refused: sums and products of them must stay finite. */
export const VALUE_MAX = 1e100;
/** Experts become ready in groups: levels at once, those of the day after a season, those of the week after a week and a day. */
export const GROUPS = 3;

/** A pending row: what each expert said, then the hot mix, the whole mix, the scale of that moment, and how many experts spoke. */
export const ROW_HOT = EXPERTS;
export const ROW_MIX = ROW_HOT + 1;
/** Zero: nothing was said in this row. */
export const ROW_SCALE = ROW_HOT + 2;
export const ROW_READY = ROW_HOT + 3;
const ROW_NUMBERS = ROW_HOT + 4;

/** A trial of a challenger's table: the step of its origin, then by horizon what the table and the hot mix said of it. */
export const TRIAL_NUMBERS = 1 + 2 * HORIZON_COUNT;
/** Tables of one challenger that wait for their truth at one time. */
export const TRIALS_MAX = 8;

let taken = 0;
function take(numbers: number): number {
  taken += numbers;
  return taken - numbers;
}

/** Offsets in the block of a key: single numbers first, then tables with one line per horizon or challenger. */
export const AT = {
  /** Of the last value, counted from the forecaster's first. */ step: take(1),
  /** Of the newest step in the day and in the week. */ dayPhase: take(1),
  weekPhase: take(1),
  seen: take(1),
  /** Step of the first value. */ first: take(1),
  /** Typical size of an error one step ahead. */ scale: take(1),
  smooth: take(3),
  slow: take(1),
  fast: take(1),
  week: take(1),
  dayDrift: take(1),
  weekDrift: take(1),
  /** Sign of the last clipping; 0: the last value was not clipped. */ clipped: take(1),
  /** 1: a value below zero was seen. */ negative: take(1),
  uses: take(1),
  champion: take(1),
  contender: take(1),
  leadSteps: take(1),
  coverage: take(1),
  errors: take(HORIZON_COUNT * EXPERTS),
  counts: take(HORIZON_COUNT * GROUPS),
  weights: take(HORIZON_COUNT * EXPERTS),
  hotErrors: take(HORIZON_COUNT),
  /** Of challengers, by horizon: own error, that of the hot mix at the same origins, how many origins that were. */
  own: take(HORIZON_COUNT * CHALLENGERS_MAX),
  beside: take(HORIZON_COUNT * CHALLENGERS_MAX),
  originsScored: take(HORIZON_COUNT * CHALLENGERS_MAX),
  /** Of challengers: 1 + index of the name (0: free), step of the stamp, step at which it came, points. */
  names: take(CHALLENGERS_MAX),
  stamps: take(CHALLENGERS_MAX),
  offered: take(CHALLENGERS_MAX),
  lengths: take(CHALLENGERS_MAX),
  tables: take(CHALLENGERS_MAX * TABLE_STEPS),
  trials: take(CHALLENGERS_MAX * TRIALS_MAX * TRIAL_NUMBERS),
  intervals: take(HORIZON_COUNT * INTERVAL_NUMBERS),
} as const;
const FIXED_NUMBERS = taken;

const HORIZONS = [1, 3, 7, 17, 35] as const;
/**
 * Origins are scored at every step of a coarse grid. On a fine one the horizons take turns, one a step: errors of neighbouring
 * origins are nearly one error there, and scoring them all would make a step five times as dear and tell little more.
 */
const COARSE = { shifts: [0, 0, 0, 0, 0], phases: [0, 0, 0, 0, 0] } as const;
const FINE = { shifts: [2, 2, 2, 3, 3], phases: [0, 1, 2, 3, 7] } as const;
/** Steps after which all turns come again. */
const ORIGIN_CYCLE = 8;
const COARSE_SEASON_STEPS = 48;
/** Steps ahead that are looked up in tables; beyond, the last entry holds. */
export const STEPS_TABLED = 64;
const DAY_MS = 86_400_000;

/** @throws RangeError that names the option, its value and its range */
export function layoutOf(options: SeriesOptions): Layout {
  const { stepMs, seasonSteps, weekSteps } = options;
  requireWhole("stepMs", stepMs, 1, 366 * DAY_MS);
  requireWhole("seasonSteps", seasonSteps, 0, 20_000);
  if (seasonSteps === 1) throw new RangeError("seasonSteps is 1; it must be 0, or 2 to 20,000.");
  requireWhole("weekSteps", weekSteps, 0, 20_000);
  if (weekSteps > 0 && (seasonSteps === 0 || weekSteps % seasonSteps !== 0 || weekSteps === seasonSteps))
    throw new RangeError(`weekSteps is ${weekSteps}; it must be 0 or a multiple of seasonSteps, ${seasonSteps}.`);
  const longest = Math.max(weekSteps, seasonSteps);
  const fourTimes = powerOver(4 * longest);
  const historySteps =
    options.historySteps ?? Math.max(powerOver(longest), Math.min(8_192, Math.max(1_024, fourTimes)));
  requireWhole("historySteps", historySteps, Math.max(64, longest + 1), 1 << 20);
  if (historySteps !== powerOver(historySteps - 1))
    throw new RangeError(
      `historySteps is ${historySteps}; it must be a power of two, such as ${powerOver(historySteps)}.`,
    );
  const keysMax = options.keysMax ?? 1_024;
  requireWhole("keysMax", keysMax, 1, 1 << 20);
  const horizons = Int32Array.from(HORIZONS, (steps) => offSeason(steps, seasonSteps));
  const origins = seasonSteps > 0 && seasonSteps <= COARSE_SEASON_STEPS ? COARSE : FINE;
  const rows = rowsOf(horizons, origins.shifts);
  const dayProfile = rows.end;
  const weekProfile = dayProfile + seasonSteps;
  const stride = weekProfile + weekSteps;
  const horizonAt = new Int8Array(STEPS_TABLED).fill(-1);
  for (const [k, steps] of horizons.entries()) horizonAt[steps] = k;
  const sizes = { stepMs, seasonSteps, weekSteps, historySteps, keysMax };
  return {
    ...sizes,
    horizons,
    ...between(horizons),
    shifts: Int32Array.from(origins.shifts),
    rowStarts: rows.starts,
    rowMasks: rows.masks,
    due: turnsOf(horizons, origins, true),
    speaking: turnsOf(horizons, origins, false),
    horizonAt,
    dayProfile,
    weekProfile,
    stride,
  };
}

/** The least power of two above `value`. */
function powerOver(value: number): number {
  return 2 ** (Math.floor(Math.log2(Math.max(1, value))) + 1);
}

/** Index of the scored horizon nearest to `steps` ahead, by ratio. */
export function nearestHorizon(layout: Layout, steps: number): number {
  return layout.nearest[steps < STEPS_TABLED ? steps : STEPS_TABLED - 1]!;
}

function turnsOf(horizons: Int32Array, { shifts, phases }: typeof FINE | typeof COARSE, isDue: boolean): Int8Array {
  const turns = new Int8Array(ORIGIN_CYCLE * (HORIZON_COUNT + 1)).fill(-1);
  for (let step = 0; step < ORIGIN_CYCLE; step += 1) {
    let place = step * (HORIZON_COUNT + 1);
    for (let k = 0; k < HORIZON_COUNT; k += 1) {
      const origin = isDue ? step - horizons[k]! : step;
      if ((origin & ((1 << shifts[k]!) - 1)) !== phases[k]!) continue;
      turns[place] = k;
      place += 1;
    }
  }
  return turns;
}

/** Where the turns of `step` begin in `due` and `speaking`. */
export function turnOf(step: number): number {
  return (step & (ORIGIN_CYCLE - 1)) * (HORIZON_COUNT + 1);
}

/** Offset in the block of the pending row of horizon index `k` that the origin `step` writes and its truth reads. */
export function rowOf(layout: Layout, k: number, step: number): number {
  return layout.rowStarts[k]! + ((step >> layout.shifts[k]!) & layout.rowMasks[k]!) * ROW_NUMBERS;
}

/** Room for as many rows of each horizon as origins wait for their truth at one time. */
function rowsOf(
  horizons: Int32Array,
  shifts: readonly number[],
): { readonly starts: Int32Array; readonly masks: Int32Array; readonly end: number } {
  let end = FIXED_NUMBERS;
  const masks = horizons.map((steps, k) => powerOver(Math.ceil(steps / 2 ** shifts[k]!) - 1) - 1);
  const starts = masks.map((mask) => {
    end += (mask + 1) * ROW_NUMBERS;
    return end - (mask + 1) * ROW_NUMBERS;
  });
  return { starts, masks, end };
}

function between(horizons: Int32Array): Pick<Layout, "lower" | "fraction" | "nearest"> {
  const lower = new Uint8Array(STEPS_TABLED);
  const fraction = new Float64Array(STEPS_TABLED);
  const nearest = new Uint8Array(STEPS_TABLED);
  for (let steps = 1; steps < STEPS_TABLED; steps += 1) {
    let k = 0;
    while (k < HORIZON_COUNT - 2 && steps >= horizons[k + 1]!) k += 1;
    const way = Math.log(steps / horizons[k]!) / Math.log(horizons[k + 1]! / horizons[k]!);
    lower[steps] = k;
    fraction[steps] = Math.min(1, way);
    nearest[steps] = k + Math.round(Math.min(1, way));
  }
  return { lower, fraction, nearest };
}

/** The next step that is no multiple of the season: at a multiple, the last value would look as wise as the season itself. */
function offSeason(steps: number, seasonSteps: number): number {
  return seasonSteps > 1 && steps % seasonSteps === 0 ? steps + 1 : steps;
}

export function requireWhole(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} is ${value}; it must be a whole number from ${min} to ${max}.`);
}
