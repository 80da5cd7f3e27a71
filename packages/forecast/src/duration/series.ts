// series.ts: the last durations of the busiest pairs in order, and the challengers that forecast them. Not here: models of series
// (challenger/); this takes their tables and scores them.
//   T1. A challenger speaks only after SCORED_MIN of its forecasts were scored, and only while it loses less than the hierarchy
//       does on the same durations.
//   T2. A pair keeps its place while it is busy: newcomers wear down the credit of those who rest, one at a time.
//   T3. A forecast is scored as it stood when the work began. Where many holds of a pair run at once, a table made as they end
//       knows how the first of them went: scored by it, a challenger looks far better than it is.
//   T4. While a hold of the same pair runs, challengers are silent and not scored: which of the two is the next in the series is
//       not known, and the hierarchy, which counts what runs, knows more.
import { BUCKET_LOG_WIDTH, BUCKETS, DURATION_MS_MIN } from "./buckets.ts";
import { DURATION_QUANTILES } from "./forecast.ts";
import { weightsFromQuantiles } from "./knots.ts";
import type { StateReader, StateWriter } from "./state.ts";

/** The last durations of one pair. */
export interface SeriesOfPair {
  readonly client: string;
  readonly element: string;
  /** Natural logarithms of milliseconds, in order of ending, oldest first. A copy. */
  readonly logs: Float64Array;
  /** Durations appended so far, those included that are no longer kept: the origin of a forecast made from `logs`. */
  readonly end: number;
}

/** A challenger's forecast of the next durations of a pair. */
export interface DurationTable {
  /** Names the challenger, for example "arima"; a newer table of the same name takes the place of the older. At most 64 characters. */
  readonly name: string;
  /** `SeriesOfPair.end` of the series it was made from. */
  readonly origin: number;
  /**
   * Natural logarithms of milliseconds: for each next duration, in order, one value for each of `DURATION_QUANTILES`, never
   * falling. 1 to 64 durations.
   */
  readonly quantiles: Float64Array;
}

/** How a challenger does. Losses are pinball losses of the log duration, the mean over p50, p90 and p99, recent ones counting more. */
export interface ChallengerStanding {
  readonly name: string;
  /** Forecasts scored so far. */
  readonly scored: number;
  readonly loss: number;
  /** Of the hierarchy, on the same durations. */
  readonly hierarchyLoss: number;
  /** Share of the forecast, in [0, 1]; 0 until it has earned one. */
  readonly weight: number;
}

const LEVELS = DURATION_QUANTILES.length;
const SCORED_LEVELS = [1, 2, 4] as const; // p50, p90 and p99 among DURATION_QUANTILES.
const TABLE_ROWS_MAX = 64;
const NAME_LENGTH_MAX = 64;
const CHALLENGERS_MAX = 4;
const SCORED_MIN = 20;
/** A lead smaller than this is luck. */
const LEAD_MIN = 1.03;
const WEIGHT_EXPONENT = 6;
/** Beside the hierarchy's 1: that keeps a twentieth, or there would be nothing to go by once a challenger is wrong. */
const WEIGHT_MAX = 19;
const LOSS_KEEP = 2 ** (-1 / 50);
const CREDIT_MAX = 16;
/** Fewer durations are no series; and a pair asks for a place once in so many, or pairs alike would take it from each other all day. */
const COUNT_MIN = 32;
const LOG_MIN = Math.log(DURATION_MS_MIN);

interface Challenger {
  readonly name: string;
  origin: number;
  quantiles: Float64Array;
  scored: number;
  loss: number;
  hierarchyLoss: number;
}

interface Series {
  readonly clientNumber: number;
  readonly elementNumber: number;
  readonly client: string;
  readonly element: string;
  readonly ring: Float64Array;
  readonly challengers: Challenger[];
  end: number;
  credit: number;
}

/** A pair as the tables know it. */
export interface PairIdentity {
  readonly clientNumber: number;
  readonly elementNumber: number;
  readonly client: string;
  readonly element: string;
}

export class PairSeries {
  readonly #seriesMax: number;
  readonly #lengthMax: number;
  readonly #series: Series[] = [];
  readonly #positions = new Float64Array(LEVELS);
  readonly #weights = new Float64Array(BUCKETS);
  #hand = 0;

  constructor(seriesMax: number, lengthMax: number) {
    this.#seriesMax = seriesMax;
    this.#lengthMax = lengthMax;
  }

  get used(): number {
    return this.#series.length;
  }

  /** Whether a place, remembered by a pair, is (still) that pair's. */
  isPlaceOf(place: number, clientNumber: number, elementNumber: number): boolean {
    if (place < 0) return false; // Nearly always; and asking an array for -1 is slow.
    const series = this.#series[place];
    return series !== undefined && series.clientNumber === clientNumber && series.elementNumber === elementNumber;
  }

  /** Whether it is a pair's turn to ask for a place, which has had so many durations. */
  mayApply(durations: number): boolean {
    return durations >= COUNT_MIN && durations % COUNT_MIN === 0 && this.#seriesMax > 0;
  }

  /** A place for a pair that has none, or -1 (T2). */
  apply(identity: PairIdentity): number {
    if (this.#series.length < this.#seriesMax) return this.#series.push(this.#empty(identity)) - 1;
    const place = this.#hand;
    this.#hand = (this.#hand + 1) % this.#seriesMax;
    const resting = this.#series[place]!; // In range: all places are taken.
    resting.credit -= 1;
    if (resting.credit > 0) return -1;
    this.#series[place] = this.#empty(identity);
    return place;
  }

  /** @param position of the duration, in buckets */
  append(place: number, position: number): void {
    const series = this.#series[place]!; // The caller has asked `isPlaceOf`; so below.
    series.ring[series.end % this.#lengthMax] = logOf(position);
    series.end += 1;
    series.credit = Math.min(CREDIT_MAX, series.credit + 1);
  }

  /** Whether a challenger had something to say when the series ended at `end`, in a table that is still the newest. */
  isChallenged(place: number, end: number): boolean {
    return this.#series[place]!.challengers.some((challenger) => rowOf(challenger, end) >= 0);
  }

  /**
   * Scores every challenger that had a forecast for a duration that has just come.
   * @param end of the series when the work was forecast: a table that came later knew more, and is not scored (T3)
   * @param hierarchy positions of the hierarchy's quantiles for the same duration
   */
  score(place: number, position: number, { end, hierarchy }: { end: number; hierarchy: Float64Array }): void {
    const series = this.#series[place]!;
    const log = logOf(position);
    let hierarchyLoss = 0;
    for (const index of SCORED_LEVELS) hierarchyLoss += pinball(index, log - logOf(hierarchy[index]!)); // In range.
    for (const challenger of series.challengers) {
      const row = rowOf(challenger, end);
      if (row < 0) continue;
      let loss = 0;
      for (const index of SCORED_LEVELS) loss += pinball(index, log - challenger.quantiles[row * LEVELS + index]!); // In range.
      challenger.loss = LOSS_KEEP * challenger.loss + (1 - LOSS_KEEP) * (loss / SCORED_LEVELS.length);
      challenger.hierarchyLoss =
        LOSS_KEEP * challenger.hierarchyLoss + (1 - LOSS_KEEP) * (hierarchyLoss / SCORED_LEVELS.length);
      challenger.scored += 1;
    }
  }

  /**
   * What the challengers say of the next duration.
   * @param into their distribution over the buckets, when the answer is above 0
   * @returns their share of the forecast, in [0, 1)
   */
  speak(place: number, into: Float64Array): number {
    const series = this.#series[place]!;
    let sum = 0;
    for (const challenger of series.challengers) {
      const row = rowOf(challenger, series.end);
      const lead = row < 0 ? 0 : leadOf(challenger);
      if (lead === 0) continue;
      if (sum === 0) into.fill(0);
      for (let index = 0; index < LEVELS; index += 1)
        this.#positions[index] = positionOfLog(challenger.quantiles[row * LEVELS + index]!); // In range.
      weightsFromQuantiles(this.#positions, this.#weights);
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) into[bucket]! += lead * this.#weights[bucket]!; // In range.
      sum += lead;
    }
    if (sum === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) into[bucket]! /= sum; // In range.
    return sum / (1 + sum);
  }

  busiest(pairsMax: number): readonly SeriesOfPair[] {
    return this.#series
      .map((series, place) => ({ series, place }))
      .sort((a, b) => b.series.credit - a.series.credit || b.series.end - a.series.end || a.place - b.place)
      .slice(0, pairsMax)
      .map(({ series }) => this.#copy(series));
  }

  read(place: number): SeriesOfPair | undefined {
    const series = this.#series[place];
    return series === undefined ? undefined : this.#copy(series);
  }

  /** `undefined` for a place that is none. */
  endOf(place: number): number | undefined {
    return this.#series[place]?.end;
  }

  /** Throws a RangeError for a table that is none. False: no such place, or no room for one more challenger. */
  challenge(place: number, table: DurationTable): boolean {
    checkTable(table);
    const series = this.#series[place];
    if (series === undefined) return false;
    const known = series.challengers.find(({ name }) => name === table.name);
    if (known === undefined && series.challengers.length >= CHALLENGERS_MAX) return false;
    if (known === undefined) {
      const { name, origin, quantiles } = table;
      series.challengers.push({ name, origin, quantiles: quantiles.slice(), scored: 0, loss: 0, hierarchyLoss: 0 });
    } else {
      known.origin = table.origin;
      known.quantiles = table.quantiles.slice();
    }
    return true;
  }

  standings(place: number): readonly ChallengerStanding[] {
    const challengers = this.#series[place]?.challengers ?? [];
    const leads = challengers.map(leadOf);
    const sum = leads.reduce((total, lead) => total + lead, 1);
    return challengers.map(({ name, scored, loss, hierarchyLoss }, index) => {
      const seen = 1 - LOSS_KEEP ** scored; // The averages start at 0: without this the first ones would look good.
      const whole = (value: number): number => (scored === 0 ? 0 : value / seen);
      return { name, scored, loss: whole(loss), hierarchyLoss: whole(hierarchyLoss), weight: leads[index]! / sum }; // In range.
    });
  }

  write(out: StateWriter): void {
    out.uint32(this.#lengthMax);
    out.uint32(this.#series.length);
    out.uint32(this.#hand);
    for (const series of this.#series) {
      out.uint32(series.clientNumber);
      out.uint32(series.elementNumber);
      out.text(series.client);
      out.text(series.element);
      out.float64(series.end);
      out.float64(series.credit);
      out.floats64(series.ring);
      out.uint32(series.challengers.length);
      for (const challenger of series.challengers) writeChallenger(out, challenger);
    }
  }

  /** Into an empty object. Rings of another length, and places beyond the limit, are left out: they fill again. */
  restore(from: StateReader): void {
    const length = from.uint32();
    const used = from.uint32();
    const hand = from.uint32();
    for (let place = 0; place < used; place += 1) {
      const clientNumber = from.uint32();
      const elementNumber = from.uint32();
      const series = this.#empty({ clientNumber, elementNumber, client: from.text(), element: from.text() }, length);
      series.end = from.float64();
      series.credit = from.float64();
      from.floats64(series.ring);
      const challengers = from.uint32();
      for (let index = 0; index < challengers; index += 1) series.challengers.push(readChallenger(from));
      if (length === this.#lengthMax && place < this.#seriesMax) this.#series.push(series);
    }
    this.#hand = hand < this.#seriesMax ? hand : 0;
  }

  #empty(identity: PairIdentity, length = this.#lengthMax): Series {
    const { clientNumber, elementNumber, client, element } = identity;
    // Field by field: an object made with a spread gets a hidden class of its own, and each look at it would miss its cache.
    const ring = new Float64Array(length);
    return { clientNumber, elementNumber, client, element, ring, challengers: [], end: 0, credit: 1 };
  }

  #copy({ client, element, ring, end }: Series): SeriesOfPair {
    const length = Math.min(end, this.#lengthMax);
    const logs = new Float64Array(length);
    for (let index = 0; index < length; index += 1) logs[index] = ring[(end - length + index) % this.#lengthMax]!; // In range.
    return { client, element, logs, end };
  }
}

/** The row of a table for the next duration of a series, or -1. */
function rowOf({ origin, quantiles }: Challenger, end: number): number {
  const row = end - origin;
  return row >= 0 && row < quantiles.length / LEVELS ? row : -1;
}

/** What a challenger weighs beside the hierarchy's 1; 0 until it has earned it (T1). */
function leadOf({ scored, loss, hierarchyLoss }: Challenger): number {
  if (scored < SCORED_MIN || hierarchyLoss < LEAD_MIN * loss) return 0;
  return Math.min(WEIGHT_MAX, (hierarchyLoss / Math.max(loss, Number.MIN_VALUE)) ** WEIGHT_EXPONENT);
}

function pinball(index: number, error: number): number {
  const level = DURATION_QUANTILES[index]!; // In range: SCORED_LEVELS.
  return error >= 0 ? level * error : (level - 1) * error;
}

function logOf(position: number): number {
  return LOG_MIN + position * BUCKET_LOG_WIDTH;
}

function positionOfLog(log: number): number {
  return Math.max(0, Math.min(BUCKETS, (log - LOG_MIN) / BUCKET_LOG_WIDTH));
}

function checkTable({ name, origin, quantiles }: DurationTable): void {
  const rows = quantiles.length / LEVELS;
  if (name.length === 0 || name.length > NAME_LENGTH_MAX)
    throw new RangeError(`name has ${name.length} characters; it must have 1 to ${NAME_LENGTH_MAX}.`);
  if (!(Number.isInteger(origin) && origin >= 0))
    throw new RangeError(`origin is ${origin}; it must be a count, at least 0.`);
  if (!(Number.isInteger(rows) && rows >= 1 && rows <= TABLE_ROWS_MAX))
    throw new RangeError(
      `quantiles has ${quantiles.length} values; it must have ${LEVELS} for each of 1 to ${TABLE_ROWS_MAX} durations.`,
    );
  for (let index = 0; index < quantiles.length; index += 1) {
    const value = quantiles[index]!; // In range, here and below.
    const isRising = index % LEVELS === 0 || value >= quantiles[index - 1]!;
    if (Number.isFinite(value) && isRising) continue;
    throw new RangeError(
      `quantiles[${index}] is ${value}; it must be finite and not below the one before it in its row.`,
    );
  }
}

function writeChallenger(out: StateWriter, challenger: Challenger): void {
  out.text(challenger.name);
  out.float64(challenger.origin);
  out.float64(challenger.scored);
  out.float64(challenger.loss);
  out.float64(challenger.hierarchyLoss);
  out.uint32(challenger.quantiles.length);
  out.floats64(challenger.quantiles);
}

function readChallenger(from: StateReader): Challenger {
  const name = from.text();
  const origin = from.float64();
  const scored = from.float64();
  const loss = from.float64();
  const hierarchyLoss = from.float64();
  const quantiles = new Float64Array(from.uint32());
  from.floats64(quantiles);
  return { name, origin, quantiles, scored, loss, hierarchyLoss };
}
