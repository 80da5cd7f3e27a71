// ledger.ts: every number that was measured, with its repetitions. Not here: how it was measured (scenario/), what it must
// reach (goals.ts).

import type { ScenarioName } from "./options.ts";
import { median, spreadRatio } from "./statistics.ts";

/** One kind of number: `metric` ends in its unit, as in cyclesPerSecond, acquireP50Ms, residentBytes. */
export interface Measure {
  readonly scenario: ScenarioName;
  readonly target: string;
  /** What was asked of the target, as in "256 in flight". */
  readonly load: string;
  readonly metric: string;
}

export interface Entry extends Measure {
  readonly values: readonly number[];
  readonly median: number;
  readonly spreadRatio: number;
}

export class Ledger {
  readonly #valuesByKey = new Map<string, { readonly measure: Measure; readonly values: number[] }>();

  add(measure: Measure, value: number): void {
    const key = keyOf(measure);
    const row = this.#valuesByKey.get(key) ?? { measure, values: [] };
    row.values.push(value);
    this.#valuesByKey.set(key, row);
  }

  /** The middle of the repetitions; undefined when it was not measured. */
  median(measure: Measure): number | undefined {
    const row = this.#valuesByKey.get(keyOf(measure));
    return row === undefined ? undefined : median(row.values);
  }

  /** Undefined when either was not measured in this run. */
  ratio(measure: Measure, to: Measure): number | undefined {
    const [value, base] = [this.median(measure), this.median(to)];
    return value === undefined || base === undefined ? undefined : value / base;
  }

  /** The ratio of each repetition, which measured both within the same minute. Empty when they do not pair up. */
  pairedRatios(measure: Measure, to: Measure): readonly number[] {
    const values = this.#valuesByKey.get(keyOf(measure))?.values ?? [];
    const bases = this.#valuesByKey.get(keyOf(to))?.values ?? [];
    return values.length === bases.length ? values.map((value, index) => value / bases[index]!) : []; // As many bases.
  }

  /** In the order in which they were first measured. */
  entries(): readonly Entry[] {
    return [...this.#valuesByKey.values()].map(({ measure, values }) => ({
      ...measure,
      values,
      median: median(values),
      spreadRatio: spreadRatio(values),
    }));
  }
}

function keyOf({ scenario, target, load, metric }: Measure): string {
  return [scenario, target, load, metric].join("|");
}
