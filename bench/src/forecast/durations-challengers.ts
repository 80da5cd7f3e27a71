// durations-challengers.ts: ARIMA and LSTM on the log durations of the busiest pairs, fitted as a background thread would: now and
// then, from a copy of the series. Not here: whether they may speak (the forecaster decides that by their scores).
import {
  type Challenger,
  challengerTable,
  type DurationForecaster,
  type DurationTable,
  type FittedChallenger,
  lstmChallenger,
  sarimaChallenger,
} from "@forelock/forecast";
import type { Work } from "./durations-file.ts";
import { type Quantiles, Tally } from "./durations-score.ts";

export interface ChallengerRow {
  readonly name: string;
  readonly pairs: number;
  readonly fits: number;
  readonly scored: number;
  /** Of the challenger alone, and of the forecaster that it challenges on the same durations: as `Score.pinball`. */
  readonly pinball: number;
  readonly hierarchyPinball: number;
  /** Share of those durations for which it had a weight above 0. */
  readonly spoke: number;
}

const MODELS: readonly Challenger[] = [sarimaChallenger, lstmChallenger];
/** Durations of a pair between two fits, and between two tables of the same fit. */
const FIT_EVERY = 256;
const TABLE_EVERY = 8;
const LENGTH_MIN = 64;
/** Places of p50, p90 and p99 in a row of a table. */
const ROW = 5;
const PLACES = [1, 2, 4] as const;

interface Entrant {
  readonly fitted: FittedChallenger | undefined;
  readonly fittedAt: number;
  readonly table: DurationTable | undefined;
}

/** What a challenger said of some work when it began. */
export interface Prediction {
  readonly name: string;
  readonly quantiles: Quantiles;
  readonly spoke: boolean;
}

interface Totals {
  readonly pairs: Set<string>;
  readonly own: Tally;
  readonly hierarchy: Tally;
  fits: number;
  spoke: number;
}

export class Challengers {
  readonly #seed: number;
  readonly #entrants = new Map<string, Entrant>();
  readonly #totals = new Map<string, Totals>();

  constructor(seed: number) {
    this.#seed = seed;
    for (const { name } of MODELS)
      this.#totals.set(name, { pairs: new Set(), own: new Tally(), hierarchy: new Tally(), fits: 0, spoke: 0 });
  }

  /** When the work begins: what does each challenger say of it? */
  predict(forecaster: DurationForecaster, { client, element }: Work): readonly Prediction[] {
    const end = forecaster.seriesEndOf(client, element);
    if (end === undefined) return [];
    return MODELS.flatMap(({ name }): readonly Prediction[] => {
      const table = this.#entrants.get(keyOf(name, client, element))?.table;
      const row = table === undefined ? -1 : (end - table.origin) * ROW;
      if (table === undefined || row < 0 || row >= table.quantiles.length) return [];
      const [p50, p90, p99] = PLACES.map((place) => Math.exp(table.quantiles[row + place]!)); // In range.
      const weight = forecaster.standings(client, element).find((standing) => standing.name === name)?.weight ?? 0;
      return [{ name, quantiles: [p50!, p90!, p99!], spoke: weight > 0 }]; // One for each place.
    });
  }

  /** Tallies them. `own`: what the forecaster said. */
  score({ client, element, durationMs }: Work, predictions: readonly Prediction[], own: Quantiles): void {
    for (const { name, quantiles, spoke } of predictions) {
      const totals = this.#totals.get(name)!; // From the constructor.
      totals.own.add(durationMs, quantiles);
      totals.hierarchy.add(durationMs, own);
      totals.pairs.add(`${client} ${element}`);
      if (spoke) totals.spoke += 1;
    }
  }

  /** After it has learned it: fits and tables that are due. */
  learn(forecaster: DurationForecaster, { client, element }: Work): void {
    const end = forecaster.seriesEndOf(client, element);
    if (end === undefined || end < LENGTH_MIN || end % TABLE_EVERY !== 0) return;
    const series = forecaster.seriesOf(client, element)!; // It has an end.
    for (const model of MODELS) {
      const key = keyOf(model.name, client, element);
      let { fitted, fittedAt } = this.#entrants.get(key) ?? { fitted: undefined, fittedAt: -FIT_EVERY };
      if (end - fittedAt >= FIT_EVERY) {
        fitted = model.fit(series.logs, { seasonSteps: 1, weekSteps: 0, seed: this.#seed });
        fittedAt = end;
        this.#totals.get(model.name)!.fits += 1; // From the constructor.
      }
      const table = fitted === undefined ? undefined : challengerTable(model.name, fitted, series, TABLE_EVERY);
      if (table !== undefined) forecaster.challenge(client, element, table);
      this.#entrants.set(key, { fitted, fittedAt, table });
    }
  }

  rows(): readonly ChallengerRow[] {
    return [...this.#totals].map(([name, { pairs, own, hierarchy, fits, spoke }]) => {
      const { pinball, scored } = own.score();
      const hierarchyPinball = hierarchy.score().pinball;
      return {
        name,
        pairs: pairs.size,
        fits,
        scored,
        pinball,
        hierarchyPinball,
        spoke: scored === 0 ? 0 : spoke / scored,
      };
    });
  }
}

function keyOf(name: string, client: string, element: string): string {
  return JSON.stringify([name, client, element]);
}
