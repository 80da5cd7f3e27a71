// forecaster.ts: how long work will take, learned online from how long it took, per client and element. Not here: waiting times
// (eta/), which need the durations of several holders.
//   F1. Deterministic: the same calls give bit-equal forecasts, also when the state went through bytes in between.
//   F2. Never non-finite: what is not a duration is refused before anything is changed.
//   F3. Bounded: at a limit the least recently used pair, client or element is forgotten, and no call does more for a full table.
import { BUCKETS, checkMilliseconds, logNormalWeights, positionOf, Spread } from "./buckets.ts";
import { LevelCalibration } from "./calibration.ts";
import { DURATION_QUANTILES, type DurationForecast, emptyDurationForecast } from "./forecast.ts";
import { Ages, HALF_LIVES, Mixture, type Rows, type Sources } from "./mixture.ts";
import { NameTable } from "./names.ts";
import { completeOptions, type DurationForecasterOptions } from "./options.ts";
import { PairTable } from "./pairs.ts";
import { HistogramRows } from "./rows.ts";
import { type HoldHandle, RunningHolds } from "./running.ts";
import { type ChallengerStanding, type DurationTable, PairSeries, type SeriesOfPair } from "./series.ts";
import { StateReader, StateWriter } from "./state.ts";
import { survivalBeyond, survivalQuantiles, truncateBelow } from "./survival.ts";

const VERSION = 1;
const LEVELS = DURATION_QUANTILES.length;
/**
 * Scoring a duration that nobody forecast costs as much as learning it. The first so many are all scored, then one in eight:
 * levels drift slowly, and what was forecast for a hold is always scored.
 */
const SCORED_ALL_MAX = 4_096;
const SCORED_MASK = 7;
/** Running holds of the client that a forecast looks at; of more, the oldest and the newest stand for the rest. */
const RUNNING_SAMPLE_MAX = 16;

export interface DurationGauges {
  readonly pairs: number;
  readonly clients: number;
  readonly elements: number;
  readonly running: number;
  /** Times that `begin` answered `undefined`. */
  readonly runningRefused: number;
  /** Durations learned. */
  readonly learned: number;
  /** Pairs whose durations are kept in order. */
  readonly series: number;
  readonly bytesPerPair: number;
}

/**
 * Streaming quantiles of durations: four levels of forgetting log-histograms (pair, client, element, all), the more specific
 * trusted as far as it has seen something. All times are in milliseconds; durations are taken from 0.1 ms (0 counts as 0.1) to
 * 64 days (longer ones count as 64 days).
 */
export class DurationForecaster {
  readonly #options: ReturnType<typeof completeOptions>;
  readonly #sources: Sources;
  readonly #mixture: Mixture;
  readonly #running: RunningHolds;
  readonly #calibration = new LevelCalibration();
  readonly #series: PairSeries;
  // Scratch space, so that the hot path allocates nothing.
  readonly #spread = new Spread();
  readonly #quantilesMs = new Float64Array(LEVELS);
  readonly #sample = new Int32Array(RUNNING_SAMPLE_MAX);
  readonly #clientAges = new Ages();
  readonly #pairAges = new Ages();
  readonly #challenge = new Float64Array(BUCKETS);
  /** End of the series of the pair for which the mixture was filled; NaN when it has none. */
  #filledEnd = Number.NaN;
  #latestMs = 0;
  #runningRefused = 0;

  /** Throws a RangeError that names an option out of its range. */
  constructor(options: DurationForecasterOptions = {}) {
    this.#options = completeOptions(options);
    const { pairsMax, clientsMax, elementsMax, runningMax, priorMedianMs, priorSigma } = this.#options;
    this.#sources = {
      pairs: new PairTable(pairsMax, HALF_LIVES.pair),
      clients: new NameTable(clientsMax, HALF_LIVES.client),
      elements: new NameTable(elementsMax, HALF_LIVES.element),
      all: new HistogramRows(1, [HALF_LIVES.all]),
      prior: logNormalWeights(priorMedianMs, priorSigma),
    };
    this.#sources.all.add();
    this.#mixture = new Mixture(this.#sources);
    this.#running = new RunningHolds(runningMax);
    this.#series = new PairSeries(this.#options.seriesMax, this.#options.seriesLengthMax);
  }

  get gauges(): DurationGauges {
    const { pairs, clients, elements, all } = this.#sources;
    return {
      pairs: pairs.rows.used,
      clients: clients.rows.used,
      elements: elements.rows.used,
      running: this.#running.size,
      runningRefused: this.#runningRefused,
      learned: all.counts[0]!, // One row, from the constructor.
      series: this.#series.used,
      bytesPerPair: pairs.bytesPerPair,
    };
  }

  /** Learns that one piece of work took `durationMs`. Throws a RangeError when that is negative or not a number. */
  observe(client: string, element: string, durationMs: number): void {
    checkMilliseconds("durationMs", durationMs);
    this.#learn(client, element, positionOf(durationMs), -1);
  }

  /**
   * A hold begins. Cheap, and forecasts nothing: ask `forecastHold` when somebody waits.
   * @param nowMs of any clock that does not fall; a hold from before a restart is begun again with its own start
   * @returns `undefined` when `runningMax` holds are running: tell `observe` its duration at its end
   */
  begin(client: string, element: string, nowMs: number): HoldHandle | undefined {
    checkMilliseconds("nowMs", nowMs);
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    const handle = this.#running.begin(client, element, nowMs);
    if (handle === undefined) this.#runningRefused += 1;
    return handle;
  }

  /** The hold ended by itself: its duration is learned. False when the handle is not running (any more). */
  end(handle: HoldHandle, nowMs: number): boolean {
    checkMilliseconds("nowMs", nowMs);
    const slot = this.#running.find(handle);
    if (slot < 0) return false;
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    const position = positionOf(nowMs - this.#running.startMsOf(slot));
    this.#running.remove(slot);
    this.#learn(this.#running.clientOf(slot), this.#running.elementOf(slot), position, slot);
    return true;
  }

  /**
   * The hold was cut short (pre-empted, its session died): it is learned as "would have lasted at least so long". False when the
   * handle is not running (any more).
   */
  drop(handle: HoldHandle, nowMs: number): boolean {
    checkMilliseconds("nowMs", nowMs);
    const slot = this.#running.find(handle);
    if (slot < 0) return false;
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    const position = positionOf(nowMs - this.#running.startMsOf(slot));
    this.#running.remove(slot);
    this.#learnAtLeast(this.#running.clientOf(slot), this.#running.elementOf(slot), position);
    return true;
  }

  /** Forgets a running hold and learns nothing. False when the handle is not running (any more). */
  cancel(handle: HoldHandle): boolean {
    const slot = this.#running.find(handle);
    if (slot >= 0) this.#running.remove(slot);
    return slot >= 0;
  }

  /**
   * Quantiles of the total duration of work that is `ageMs` old (0: about to begin). Allocates nothing when `into` is given.
   * @param nowMs for the ages of what else the client runs; without it, the latest time that was told
   */
  forecast(
    client: string,
    element: string,
    ageMs: number,
    into: DurationForecast = emptyDurationForecast(),
    nowMs: number = this.#latestMs,
  ): DurationForecast {
    checkMilliseconds("ageMs", ageMs);
    checkMilliseconds("nowMs", nowMs);
    this.#fill(client, element, nowMs, -1);
    return this.#read(ageMs, into);
  }

  /** `forecast` for a running hold. The first for a hold is remembered and scored at its end. `undefined`: not running (any more). */
  forecastHold(
    handle: HoldHandle,
    nowMs: number,
    into: DurationForecast = emptyDurationForecast(),
  ): DurationForecast | undefined {
    checkMilliseconds("nowMs", nowMs);
    const slot = this.#running.find(handle);
    if (slot < 0) return undefined;
    this.#fill(this.#running.clientOf(slot), this.#running.elementOf(slot), nowMs, slot);
    this.#read(Math.max(0, nowMs - this.#running.startMsOf(slot)), into);
    if (!this.#running.hasForecast(slot)) {
      const { forecasts } = this.#running;
      for (let index = 0; index < LEVELS; index += 1)
        forecasts[slot * LEVELS + index] = positionOf(this.#quantilesMs[index]!); // In range.
      this.#running.seriesEnds[slot] = this.#filledEnd;
    }
    return into;
  }

  /**
   * The probability in [0, 1] that work which is `ageMs` old lasts longer than `deadlineMs`, both counted from its beginning:
   * 1 - F(deadline | age), at honest levels.
   */
  outlives(client: string, element: string, ageMs: number, deadlineMs: number, nowMs: number = this.#latestMs): number {
    checkMilliseconds("ageMs", ageMs);
    checkMilliseconds("deadlineMs", deadlineMs);
    checkMilliseconds("nowMs", nowMs);
    if (deadlineMs <= ageMs) return 1;
    this.#fill(client, element, nowMs, -1);
    return 1 - this.#calibration.honest(1 - survivalBeyond(this.#mixture.weights, ageMs, deadlineMs));
  }

  /**
   * `outlives` for a running hold; `undefined` when it is not running (any more). With `fromMs` it is asked as of that age:
   * with 0, how many of such holds last as long, from what is known beside this one.
   */
  outlivesHold(handle: HoldHandle, nowMs: number, deadlineMs: number, fromMs?: number): number | undefined {
    checkMilliseconds("nowMs", nowMs);
    checkMilliseconds("deadlineMs", deadlineMs);
    const slot = this.#running.find(handle);
    if (slot < 0) return undefined;
    const ageMs = fromMs ?? Math.max(0, nowMs - this.#running.startMsOf(slot));
    checkMilliseconds("fromMs", ageMs);
    if (deadlineMs <= ageMs) return 1;
    this.#fill(this.#running.clientOf(slot), this.#running.elementOf(slot), nowMs, slot);
    return 1 - this.#calibration.honest(1 - survivalBeyond(this.#mixture.weights, ageMs, deadlineMs));
  }

  /** The share of recent durations at or below the quantile that was forecast for them, for each of `DURATION_QUANTILES`. */
  coverage(): readonly number[] {
    return DURATION_QUANTILES.map((_, index) => this.#calibration.coverage(index));
  }

  /** The busiest pairs with the logarithms of their last durations, busiest first: what models of series are fitted to. */
  busiest(pairsMax: number): readonly SeriesOfPair[] {
    return this.#series.busiest(pairsMax);
  }

  /** The series of one pair, when it is one of the busy ones. */
  seriesOf(client: string, element: string): SeriesOfPair | undefined {
    return this.#series.read(this.#seriesPlace(client, element));
  }

  /** Durations appended so far to the series of one pair, `SeriesOfPair.end` without the copy. */
  seriesEndOf(client: string, element: string): number | undefined {
    return this.#series.endOf(this.#seriesPlace(client, element));
  }

  /**
   * Enters a challenger's forecast of the next durations of a busy pair. It is scored as they come, beside the hierarchy, and
   * speaks once it has been the better one for at least 20 of them.
   * @returns false when the pair is not a busy one (any more), or has as many challengers as it may
   */
  challenge(client: string, element: string, table: DurationTable): boolean {
    return this.#series.challenge(this.#seriesPlace(client, element), table);
  }

  /** How the challengers of a pair do against the hierarchy. */
  standings(client: string, element: string): readonly ChallengerStanding[] {
    return this.#series.standings(this.#seriesPlace(client, element));
  }

  /**
   * Everything learned, as bytes: about 700 for each pair, 400 for each client and element, and their names. Running holds are
   * not in it: whoever knows them begins them again, with their own start.
   */
  serialize(): Uint8Array {
    const out = new StateWriter(VERSION);
    out.float64(this.#latestMs);
    this.#calibration.write(out);
    this.#sources.all.writeRow(out, 0);
    this.#sources.clients.write(out);
    this.#sources.elements.write(out);
    this.#series.write(out);
    this.#sources.pairs.write(out);
    return out.take();
  }

  /**
   * A forecaster that goes on as the serialised one would have (F1). With lower limits than that one had, the least recently
   * used is left out. Throws a RangeError that says what is wrong with the bytes; nothing of them is used then.
   */
  static restore(bytes: Uint8Array, options: DurationForecasterOptions = {}): DurationForecaster {
    const from = new StateReader(bytes, VERSION);
    const restored = new DurationForecaster(options);
    restored.#latestMs = from.float64();
    restored.#calibration.read(from);
    restored.#sources.all.readRow(from, 0);
    restored.#sources.clients.read(from);
    restored.#sources.elements.read(from);
    restored.#series.restore(from);
    restored.#sources.pairs.read(from);
    from.end();
    return restored;
  }

  /** @param slot of the hold that has ended, whose forecast is scored when it has one; -1: there was none */
  #learn(client: string, element: string, position: number, slot: number): void {
    const { pairs, clients, elements, all } = this.#sources;
    const clientRow = clients.use(client);
    const elementRow = elements.use(element);
    const clientNumber = clients.numbers[clientRow]!; // In range, here and below.
    const elementNumber = elements.numbers[elementRow]!;
    const pairRow = pairs.use(clientNumber, elementNumber);
    this.#score(clientRow, elementRow, pairRow, position, slot);
    this.#spread.set(position);
    let place = pairs.series[pairRow]!;
    if (this.#series.isPlaceOf(place, clientNumber, elementNumber)) {
      this.#scoreChallengers({ client: clientRow, element: elementRow, pair: pairRow }, position, slot);
    } else {
      const asks = this.#series.mayApply(pairs.rows.counts[pairRow]!);
      place = asks ? this.#series.apply({ client, element, clientNumber, elementNumber }) : -1;
      pairs.series[pairRow] = place;
    }
    pairs.rows.learn(pairRow, this.#spread);
    clients.rows.learn(clientRow, this.#spread);
    elements.rows.learn(elementRow, this.#spread);
    all.learn(0, this.#spread);
    if (place >= 0) this.#series.append(place, position);
  }

  /** Scores what was forecast for a hold, or else what would be forecast now from completed work. */
  #score(clientRow: number, elementRow: number, pairRow: number, position: number, slot: number): void {
    const calibration = this.#calibration;
    if (slot >= 0 && this.#running.hasForecast(slot)) {
      const { forecasts } = this.#running;
      for (let index = 0; index < LEVELS; index += 1)
        calibration.score(index, position <= forecasts[slot * LEVELS + index]!); // In range.
    } else if (calibration.scored < SCORED_ALL_MAX || (this.#sources.all.counts[0]! & SCORED_MASK) === 0) {
      const below = this.#mixture.massBelow(clientRow, elementRow, pairRow, position);
      for (let index = 0; index < LEVELS; index += 1) calibration.score(index, below <= calibration.corrected[index]!); // In range.
    } else return;
    calibration.settle();
  }

  /** @param slot of the hold whose duration this is; of work that was only observed (-1), nothing ended while it ran */
  #scoreChallengers({ client, element, pair }: Rows, position: number, slot: number): void {
    const place = this.#sources.pairs.series[pair]!; // In range.
    const end = slot < 0 ? this.#series.endOf(place)! : this.#running.seriesEnds[slot]!; // The caller knows the place.
    if (!this.#series.isChallenged(place, end)) return;
    this.#mixture.fill(client, element, pair);
    survivalQuantiles(this.#mixture.weights, 0, this.#calibration.corrected, this.#quantilesMs);
    for (let index = 0; index < LEVELS; index += 1) this.#quantilesMs[index] = positionOf(this.#quantilesMs[index]!); // In range.
    this.#series.score(place, position, { end, hierarchy: this.#quantilesMs });
  }

  #learnAtLeast(client: string, element: string, position: number): void {
    const { pairs, clients, elements, all } = this.#sources;
    const clientRow = clients.use(client);
    const elementRow = elements.use(element);
    const pairRow = pairs.use(clients.numbers[clientRow]!, elements.numbers[elementRow]!); // In range.
    this.#mixture.fill(clientRow, elementRow, pairRow);
    truncateBelow(this.#mixture.weights, position);
    pairs.rows.learnDistribution(pairRow, this.#mixture.weights);
    clients.rows.learnDistribution(clientRow, this.#mixture.weights);
    elements.rows.learnDistribution(elementRow, this.#mixture.weights);
    all.learnDistribution(0, this.#mixture.weights);
  }

  /** Fills the mixture for one client and element. `self`: the slot of the hold that is asked about, which is no evidence of itself. */
  #fill(client: string, element: string, nowMs: number, self: number): void {
    const { pairs, clients, elements } = this.#sources;
    const clientRow = clients.find(client);
    const elementRow = elements.find(element);
    const clientNumber = clientRow < 0 ? 0 : clients.numbers[clientRow]!; // In range, here and below.
    const elementNumber = elementRow < 0 ? 0 : elements.numbers[elementRow]!;
    const pairRow = clientRow < 0 || elementRow < 0 ? -1 : pairs.find(clientNumber, elementNumber);
    const holds = this.#running.holdsOf(client) - (self >= 0 ? 1 : 0);
    if (holds <= 0) this.#mixture.fill(clientRow, elementRow, pairRow);
    else {
      this.#countAges(client, element, nowMs, self, holds);
      const rows: Rows = { client: clientRow, element: elementRow, pair: pairRow };
      this.#mixture.fillWithRunning(rows, { client: this.#clientAges, pair: this.#pairAges });
    }
    this.#filledEnd = Number.NaN;
    const place = pairRow < 0 ? -1 : pairs.series[pairRow]!;
    if (!this.#series.isPlaceOf(place, clientNumber, elementNumber)) return;
    if (holds > 0 && this.#pairAges.total > 0) return; // T4 of series.ts
    this.#filledEnd = this.#series.endOf(place)!; // The place is that of the pair.
    const share = this.#series.speak(place, this.#challenge);
    if (share > 0) this.#mixture.admit(this.#challenge, share);
  }

  /** Ages of what else the client runs: all of it, or a sample that stands for the rest. */
  #countAges(client: string, element: string, nowMs: number, self: number, holds: number): void {
    this.#clientAges.clear();
    this.#pairAges.clear();
    const sampled = this.#running.sample(client, this.#sample);
    let others = 0;
    for (let index = 0; index < sampled; index += 1) if (this.#sample[index] !== self) others += 1;
    const standsFor = others > 0 ? holds / others : 0;
    for (let index = 0; index < sampled; index += 1) {
      const slot = this.#sample[index]!; // In range.
      if (slot === self) continue;
      const position = positionOf(nowMs - this.#running.startMsOf(slot));
      this.#clientAges.add(position, standsFor);
      if (this.#running.elementOf(slot) === element) this.#pairAges.add(position, standsFor);
    }
  }

  /** The place of a pair among the busy ones, or -1. */
  #seriesPlace(client: string, element: string): number {
    const { pairs, clients, elements } = this.#sources;
    const clientRow = clients.find(client);
    const elementRow = elements.find(element);
    if (clientRow < 0 || elementRow < 0) return -1;
    const clientNumber = clients.numbers[clientRow]!; // In range, here and below.
    const elementNumber = elements.numbers[elementRow]!;
    const pairRow = pairs.find(clientNumber, elementNumber);
    const place = pairRow < 0 ? -1 : pairs.series[pairRow]!;
    return this.#series.isPlaceOf(place, clientNumber, elementNumber) ? place : -1;
  }

  #read(ageMs: number, into: DurationForecast): DurationForecast {
    const quantiles = this.#quantilesMs;
    survivalQuantiles(this.#mixture.weights, ageMs, this.#calibration.corrected, quantiles);
    into.ageMs = ageMs;
    into.p5Ms = quantiles[0]!; // LEVELS entries, here and below.
    into.p50Ms = quantiles[1]!;
    into.p90Ms = quantiles[2]!;
    into.p95Ms = quantiles[3]!;
    into.p99Ms = quantiles[4]!;
    into.level = this.#mixture.level;
    into.observations = this.#mixture.observations;
    into.coverage50Ratio = this.#calibration.coverage(1);
    into.coverage90Ratio = this.#calibration.coverage(2);
    return into;
  }
}
