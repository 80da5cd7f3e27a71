// forecaster.ts: forecasts of many series of one kind, learned online: what the rest of the project calls. Not here: the experts
// (experts.ts), their mixing (mix.ts), intervals (interval/conformal.ts), bytes (state.ts), fits in the background (challenger/).
//   F1. Synchronous, O(1) a value, and nothing is allocated for a known key (or for a forecast with `into`).
//   F2. The same calls in the same order give bit-equal answers.
//   F3. What it says is finite. What cannot be learned is refused before anything changes.
//   Offsets as S2 of shape.ts says.

import { drawnQuantile, forgetPooled, INTERVAL_NUMBERS, seedPooled } from "../interval/conformal.ts";
import { beginTrial, isChallenged, withChallengers } from "./challenge.ts";
import { LOOK_STEPS, look, meanError } from "./champion.ts";
import { EXPERT_NAMES, type Memory, predict, readyExperts, seenOf, stepOf, turnPhases, valueAt } from "./experts.ts";
import { emptySeriesForecast, type SeriesEvent, type SeriesForecast } from "./forecast.ts";
import { KeyTable } from "./keys.ts";
import { mixInto } from "./mix.ts";
import {
  AT,
  CHALLENGERS_MAX,
  EXPERTS,
  HORIZON_COUNT,
  HORIZON_STEPS_MAX,
  type Layout,
  layoutOf,
  nearestHorizon,
  requireWhole,
  type SeriesOptions,
  STEPS_TABLED,
  TABLE_STEPS,
  VALUE_MAX,
} from "./shape.ts";
import { decodeState, encodeState, type SeriesKeyState, type SeriesState } from "./state.ts";
import { begin, type Common, learn, skip, speak } from "./step.ts";

/** Events kept until they are taken; the oldest go first. */
const EVENTS_MAX = 1_024;
/** Kinds of challenger that one forecaster can name. */
const NAMES_MAX = 64;
/** A gap of more steps is not walked through one by one: what was pending is forgotten. */
const WALKED_STEPS_MAX = 64;
/** Times are kept as steps from the first one seen; a key may begin this many before it. */
const EARLIER_STEPS_MAX = 1 << 29;

/** Online forecasts of series that share one grid: the same step, the same seasons. Values are any finite numbers. */
export class SeriesForecaster {
  readonly #layout: Layout;
  readonly #keys: KeyTable;
  readonly #common: Common;
  readonly #names: string[] = [];
  /** What each expert says of one step, then the mixes of the horizons below and above. */
  readonly #said = new Float64Array(EXPERTS + 2);
  #memory: Memory;
  #known: Uint8Array;
  #zero: number | undefined;
  #events: SeriesEvent[] = [];

  /** @throws RangeError that names the option, its value and its range */
  constructor(options: SeriesOptions) {
    this.#layout = layoutOf(options);
    this.#keys = new KeyTable(this.#layout.keysMax);
    const pooled = new Float64Array(HORIZON_COUNT * INTERVAL_NUMBERS);
    for (let k = 0; k < HORIZON_COUNT; k += 1) seedPooled(pooled, k * INTERVAL_NUMBERS);
    this.#common = { layout: this.#layout, pooled };
    this.#memory = { numbers: new Float64Array(0), at: 0, ring: new Float64Array(0), ringAt: 0 };
    this.#known = new Uint8Array(0);
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#keys.size;
  }

  /**
   * Learns that the series `key` had `value` at time `t`, in milliseconds. Times of one key rise by at least a step; a step that is
   * left out is a gap. After a gap longer than the history the key begins anew.
   * @throws RangeError when `value` or `t` cannot be learned; nothing has changed then
   */
  observe(key: string, t: number, value: number): void {
    if (!(value >= -VALUE_MAX && value <= VALUE_MAX))
      throw new RangeError(`value is ${value}; it must be a number from -${VALUE_MAX} to ${VALUE_MAX}.`);
    const step = this.#stepOf(t);
    const index = this.#keys.find(key);
    if (index === -1) {
      this.#begin(this.#place(this.#keys.add(key)), step, value);
      return;
    }
    const { numbers, at, ringAt } = this.#goTo(index);
    const last = stepOf(this.#memory);
    if (step <= last) {
      const after = this.#timeOf(last + 1);
      throw new RangeError(
        `t is ${t}; for the series ${JSON.stringify(key)} it must be at least ${after}, a step after its last.`,
      );
    }
    this.#keys.touch(index);
    if (step > last + 1 && !this.#cross(step - 1)) {
      this.#begin(index, step, value);
      return;
    }
    learn(this.#memory, this.#common, value);
    numbers[at + AT.uses]! += 1;
    this.#known[ringAt + (step & (this.#layout.historySteps - 1))] = 1;
    if (step % LOOK_STEPS === 0) this.#look(key, t);
  }

  /**
   * Quantiles of the next `horizon` values of `key`.
   * @param horizon steps, 1 to 4,096
   * @param into is filled and returned when its arrays have room; otherwise a new forecast is
   * @returns `undefined` when nothing is known of `key`
   * @throws RangeError when `horizon` is out of range
   */
  forecast(key: string, horizon: number, into?: SeriesForecast): SeriesForecast | undefined {
    requireWhole("horizon", horizon, 1, HORIZON_STEPS_MAX);
    const index = this.#keys.find(key);
    if (index === -1) return undefined;
    this.#keys.touch(index);
    const { numbers, at } = this.#goTo(index);
    numbers[at + AT.uses]! += 1;
    const forecast = into !== undefined && into.p5.length >= horizon ? into : emptySeriesForecast(horizon);
    forecast.steps = horizon;
    forecast.model = this.#nameOf(numbers[at + AT.champion]!);
    forecast.observations = numbers[at + AT.seen]!;
    forecast.coverage90Ratio = numbers[at + AT.coverage]!;
    this.#fill(forecast);
    return forecast;
  }

  /**
   * Hands in what a model that was fitted elsewhere says of the next values of `key`: `points[0]` is one step after time `t`, its
   * origin. It is scored like every expert, and heard once it beat them at 20 origins. A new table takes the place of the last one.
   * @param points 1 or more finite numbers; those beyond 128 are not kept
   * @returns false when `key` is not known, `t` is older than the last table, later than the newest value or too old to be of use, or four
   *   other models have tables
   * @throws RangeError when a point or `t` is out of range
   */
  offer(key: string, model: string, t: number, points: Float64Array): boolean {
    for (let point = 0; point < points.length; point += 1) {
      const value = points[point]!;
      if (!(value >= -VALUE_MAX && value <= VALUE_MAX))
        throw new RangeError(`points[${point}] is ${value}; it must be a number from -${VALUE_MAX} to ${VALUE_MAX}.`);
    }
    requireWhole("points.length", points.length, 1, 1 << 20);
    const stamp = this.#stepOf(t);
    const index = this.#keys.find(key);
    if (index === -1) return false;
    const { numbers, at } = this.#goTo(index);
    const step = stepOf(this.#memory);
    const length = Math.min(TABLE_STEPS, points.length);
    if (stamp > step || stamp + length <= step) return false;
    const place = this.#placeOf(model);
    if (place === -1) return false;
    if (numbers[at + AT.lengths + place]! > 0 && stamp < numbers[at + AT.stamps + place]!) return false;
    numbers[at + AT.stamps + place] = stamp;
    numbers[at + AT.lengths + place] = length;
    for (let point = 0; point < length; point += 1)
      numbers[at + AT.tables + place * TABLE_STEPS + point] = points[point]!;
    numbers[at + AT.offered + place] = step;
    beginTrial(this.#memory, this.#layout, place);
    return true;
  }

  /** The values that are remembered of `key`, oldest first, ending with its newest; a gap is NaN. Outliers are as the experts saw them. */
  history(key: string): Float64Array {
    const index = this.#keys.find(key);
    if (index === -1) return new Float64Array(0);
    const { numbers, at, ringAt } = this.#goTo(index);
    const { historySteps } = this.#layout;
    const step = stepOf(this.#memory);
    const length = Math.min(historySteps, step - numbers[at + AT.first]! + 1);
    return Float64Array.from({ length }, (_, place) => {
      const at = step - length + 1 + place;
      return this.#known[ringAt + (at & (historySteps - 1))] === 1
        ? valueAt(this.#memory, this.#layout, at)
        : Number.NaN;
    });
  }

  /** Time of the newest value of `key`, in milliseconds, at the beginning of its step: the stamp of a table made from `history`. */
  newest(key: string): number | undefined {
    const index = this.#keys.find(key);
    return index === -1 ? undefined : this.#timeOf(this.#goTo(index).numbers[index * this.#layout.stride + AT.step]!);
  }

  /** At most `keysMax` keys, those most often observed and asked for first. Old uses count half at every call. */
  busiest(keysMax: number): readonly string[] {
    requireWhole("keysMax", keysMax, 0, Number.MAX_SAFE_INTEGER);
    const { stride } = this.#layout;
    const { numbers } = this.#memory;
    const order = Array.from({ length: this.#keys.size }, (_, index) => index);
    const uses = order.map((index) => numbers[index * stride + AT.uses]!);
    order.sort((a, b) => uses[b]! - uses[a]! || (this.#keys.key(a) < this.#keys.key(b) ? -1 : 1));
    for (const index of order) numbers[index * stride + AT.uses]! /= 2;
    return order.slice(0, keysMax).map((index) => this.#keys.key(index));
  }

  /** Changes of champion since the last call, oldest first; at most 1,024, beyond which the oldest are lost. */
  takeEvents(): readonly SeriesEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Everything that was learned, for `restore`. Events that were not taken are not in it. */
  save(): Uint8Array {
    const { stride, historySteps } = this.#layout;
    const { numbers, ring } = this.#memory;
    const keys = Array.from(
      this.#keys.fromOldest(),
      (index): SeriesKeyState => ({
        key: this.#keys.key(index),
        numbers: numbers.subarray(index * stride, (index + 1) * stride),
        ring: ring.subarray(index * historySteps, (index + 1) * historySteps),
        known: this.#known.subarray(index * historySteps, (index + 1) * historySteps),
      }),
    );
    const { pooled } = this.#common;
    return encodeState({ shape: shapeOf(this.#layout), zero: this.#zero ?? 0, names: this.#names, pooled, keys });
  }

  /**
   * A forecaster that goes on where `save` was called. With a smaller `keysMax` the keys longest unused are left out.
   * @throws RangeError when the bytes are damaged, of another version, or saved with other steps
   */
  static restore(bytes: Uint8Array, options: SeriesOptions): SeriesForecaster {
    const restored = new SeriesForecaster(options);
    restored.#restore(decodeState(bytes));
    return restored;
  }

  #restore(state: SeriesState): void {
    const shape = shapeOf(this.#layout);
    if (state.shape.join() !== shape.join())
      throw new RangeError(`The state has the shape ${state.shape.join()}; it must be ${shape.join()}.`);
    const { stride, historySteps } = this.#layout;
    const isWhole =
      Number.isSafeInteger(state.zero) &&
      state.names.length <= NAMES_MAX &&
      new Set(state.keys.map(({ key }) => key)).size === state.keys.length &&
      state.pooled.length === this.#common.pooled.length &&
      state.pooled.every(Number.isFinite) &&
      state.keys.every(({ numbers, ring, known }) => {
        const isSized = numbers.length === stride && ring.length === historySteps && known.length === historySteps;
        return isSized && isSound(numbers) && ring.every(Number.isFinite);
      });
    if (!isWhole) throw new RangeError("The state is damaged: a length or a number in it cannot be.");
    this.#common.pooled.set(state.pooled);
    this.#names.push(...state.names);
    if (state.keys.length > 0) this.#zero = state.zero;
    for (const { key, numbers, ring, known } of state.keys.slice(-this.#layout.keysMax)) {
      const index = this.#place(this.#keys.add(key));
      this.#memory.numbers.set(numbers, index * stride);
      this.#memory.ring.set(ring, index * historySteps);
      this.#known.set(known, index * historySteps);
    }
  }

  #fill(forecast: SeriesForecast): void {
    const memory = this.#memory;
    const { numbers, at } = memory;
    const layout = this.#layout;
    const step = stepOf(this.#memory);
    const ready = readyExperts(layout, seenOf(memory));
    const scale = numbers[at + AT.scale]!;
    const challenged = isChallenged(memory);
    // What never was below zero (a rate, a share, a length) is not forecast there.
    const least = numbers[at + AT.negative] === 1 ? Number.NEGATIVE_INFINITY : 0;
    const said = this.#said;
    for (let horizon = 1; horizon <= forecast.steps; horizon += 1) {
      const tabled = horizon < STEPS_TABLED ? horizon : STEPS_TABLED - 1;
      const k = layout.lower[tabled]!;
      const upper = layout.fraction[tabled]!;
      predict(memory, layout, step, horizon, ready, said, 0);
      mixInto(memory, k, ready, said, 0, said, EXPERTS);
      mixInto(memory, k + 1, ready, said, 0, said, EXPERTS + 1);
      let point = (1 - upper) * said[EXPERTS]! + upper * said[EXPERTS + 1]!;
      if (challenged) point = withChallengers(memory, layout, nearestHorizon(layout, horizon), step, horizon, point);
      point = Math.max(least, point);
      const low = at + AT.intervals + k * INTERVAL_NUMBERS;
      const lowScale = scale * (1 - upper);
      const highScale = scale * upper;
      const high = low + INTERVAL_NUMBERS;
      const place = horizon - 1;
      forecast.p50[place] = point;
      const below = lowScale * drawnQuantile(numbers, low, 0) + highScale * drawnQuantile(numbers, high, 0);
      const p90 = lowScale * drawnQuantile(numbers, low, 1) + highScale * drawnQuantile(numbers, high, 1);
      const p95 = lowScale * drawnQuantile(numbers, low, 2) + highScale * drawnQuantile(numbers, high, 2);
      const p99 = lowScale * drawnQuantile(numbers, low, 3) + highScale * drawnQuantile(numbers, high, 3);
      forecast.p5[place] = Math.max(least, point + Math.min(0, below));
      forecast.p90[place] = point + Math.max(0, p90);
      forecast.p95[place] = point + Math.max(0, p95);
      forecast.p99[place] = point + Math.max(0, p99);
    }
  }

  /** Walks the current key through steps without a value, up to and with `until`. False: the gap is longer than the history. */
  #cross(until: number): boolean {
    const { numbers, at, ring, ringAt } = this.#memory;
    const layout = this.#layout;
    let step = stepOf(this.#memory);
    if (until - step >= layout.historySteps) return false;
    if (until - step > WALKED_STEPS_MAX) {
      numbers.fill(0, at + layout.rowStarts[0]!, at + layout.dayProfile);
      const newest = valueAt(this.#memory, layout, step);
      for (; step < until - WALKED_STEPS_MAX; ) {
        step += 1;
        turnPhases(this.#memory, layout);
        const before = step - layout.seasonSteps;
        const known = layout.seasonSteps > 0 && numbers[at + AT.seen]! > layout.seasonSteps;
        ring[ringAt + (step & (layout.historySteps - 1))] = known ? valueAt(this.#memory, layout, before) : newest;
        this.#known[ringAt + (step & (layout.historySteps - 1))] = 0;
      }
      numbers[at + AT.step] = step;
      speak(this.#memory, this.#common, step, readyExperts(layout, seenOf(this.#memory)));
    }
    for (; step < until; ) {
      skip(this.#memory, this.#common);
      step += 1;
      this.#known[ringAt + (step & (layout.historySteps - 1))] = 0;
    }
    return true;
  }

  #begin(index: number, step: number, value: number): void {
    const { numbers, at, ringAt } = this.#goTo(index);
    const { stride, historySteps } = this.#layout;
    numbers.fill(0, at, at + stride);
    this.#known.fill(0, ringAt, ringAt + historySteps);
    this.#known[ringAt + (step & (historySteps - 1))] = 1;
    begin(this.#memory, this.#common, step, value);
    numbers[at + AT.uses] = 1;
    numbers[at + AT.first] = step;
    for (let k = 0; k < HORIZON_COUNT; k += 1) forgetPooled(this.#common.pooled, k * INTERVAL_NUMBERS);
  }

  #look(key: string, t: number): void {
    const before = look(this.#memory);
    if (before === -1) return;
    const now = this.#memory.numbers[this.#memory.at + AT.champion]!;
    const [model, score] = [this.#nameOf(now), meanError(this.#memory, now)];
    const [otherModel, otherScore] = [this.#nameOf(before), meanError(this.#memory, before)];
    this.#events.push({ kind: "promoted", key, t, model, score, otherModel, otherScore });
    this.#events.push({
      kind: "demoted",
      key,
      t,
      model: otherModel,
      score: otherScore,
      otherModel: model,
      otherScore: score,
    });
    if (this.#events.length > EVENTS_MAX) this.#events.splice(0, 2);
  }

  #nameOf(model: number): string {
    if (model < EXPERTS) return EXPERT_NAMES[model]!;
    return this.#names[this.#memory.numbers[this.#memory.at + AT.names + model - EXPERTS]! - 1] ?? "";
  }

  /** The place of a challenger with the current key, taken now if it has none; -1 when there is none to take. */
  #placeOf(model: string): number {
    const { numbers, at } = this.#memory;
    let name = this.#names.indexOf(model) + 1;
    if (name === 0) {
      if (this.#names.length === NAMES_MAX) return -1;
      name = this.#names.push(model);
    }
    for (let place = 0; place < CHALLENGERS_MAX; place += 1) {
      if (numbers[at + AT.names + place] === name) return place;
      if (numbers[at + AT.names + place] !== 0) continue;
      numbers[at + AT.names + place] = name;
      return place;
    }
    return -1;
  }

  /** Makes the block of `index` the one that is worked on. */
  #goTo(index: number): Memory {
    this.#memory.at = index * this.#layout.stride;
    this.#memory.ringAt = index * this.#layout.historySteps;
    return this.#memory;
  }

  /** Makes sure that there is room for the block of `index`: the pool doubles up to keysMax. */
  #place(index: number): number {
    const { stride, historySteps, keysMax } = this.#layout;
    const room = this.#memory.numbers.length / stride;
    if (index < room) return index;
    const keys = Math.min(keysMax, Math.max(1, room * 2));
    const grown = {
      numbers: new Float64Array(keys * stride),
      at: 0,
      ring: new Float64Array(keys * historySteps),
      ringAt: 0,
    };
    grown.numbers.set(this.#memory.numbers);
    grown.ring.set(this.#memory.ring);
    const known = new Uint8Array(keys * historySteps);
    known.set(this.#known);
    this.#memory = grown;
    this.#known = known;
    return index;
  }

  #stepOf(t: number): number {
    const step = Math.floor(t / this.#layout.stepMs);
    this.#zero ??= Number.isSafeInteger(step) ? step - EARLIER_STEPS_MAX : undefined;
    const steps = step - (this.#zero ?? 0);
    if (!(steps >= 0 && steps < 2 * EARLIER_STEPS_MAX))
      throw new RangeError(
        `t is ${t}; it must be a time in milliseconds within ${EARLIER_STEPS_MAX} steps of the first one.`,
      );
    return steps;
  }

  #timeOf(step: number): number {
    return (step + (this.#zero ?? 0)) * this.#layout.stepMs;
  }
}

/** What must be equal for the numbers of a key to mean the same. */
function shapeOf({ stepMs, seasonSteps, weekSteps, historySteps, stride }: Layout): readonly number[] {
  return [stepMs, seasonSteps, weekSteps, historySteps, stride];
}

/** Finite throughout, but for the trials of tables that do not reach so far; and what is used as an index is one. */
function isSound(numbers: Float64Array): boolean {
  const isIndex = (at: number, max: number): boolean =>
    Number.isInteger(numbers[at]) && numbers[at]! >= 0 && numbers[at]! <= max;
  for (const [place, value] of numbers.entries())
    if (!Number.isFinite(value) && (place < AT.trials || place >= AT.intervals)) return false;
  for (let place = 0; place < CHALLENGERS_MAX; place += 1)
    if (!isIndex(AT.names + place, NAMES_MAX) || !isIndex(AT.lengths + place, TABLE_STEPS)) return false;
  return (
    isIndex(AT.step, 2 * EARLIER_STEPS_MAX) &&
    isIndex(AT.seen, 2 ** 31 - 1) &&
    isIndex(AT.champion, EXPERTS + CHALLENGERS_MAX - 1) &&
    isIndex(AT.dayPhase, 20_000) &&
    isIndex(AT.weekPhase, 20_000)
  );
}
