// job.ts: what passes between the server's thread and the one that fits models. Not here: who decides which series are worth it.
import type { DurationTable } from "@forelock/forecast";

/** A copy of the past of one series, to be forecast in the background. A newer job of the same key takes the place of an older. */
export type ForecastJob =
  | {
      readonly kind: "series";
      readonly key: string;
      /** Evenly spaced, oldest first, a gap is NaN. At most HISTORY_STEPS_MAX are sent on, the newest. */
      readonly values: Float64Array;
      /** Time of the last value, in the unit of whoever asks: comes back as `origin`. */ readonly origin: number;
      /** Values of the series so far, those included that are no longer kept; never falling. */ readonly observations: number;
      readonly seasonSteps: number;
      readonly weekSteps: number;
      /** Points of the table, from 1 to TABLE_STEPS_MAX. */ readonly steps: number;
    }
  | {
      readonly kind: "durations";
      readonly key: string;
      readonly client: string;
      readonly element: string;
      /** Natural logarithms of milliseconds, oldest first. */ readonly values: Float64Array;
      /** Durations of the pair so far: the origin of the table. */ readonly observations: number;
      /** Rows of the table, from 1 to TABLE_STEPS_MAX. */ readonly steps: number;
    };

/** What a model says of the next values of a series: made from the values of the job with the same `observations`. */
export type ForecastTable =
  | {
      readonly kind: "series";
      readonly key: string;
      readonly model: string;
      readonly origin: number;
      readonly observations: number;
      /** Finite; the first is one step after the origin. */ readonly points: Float64Array;
    }
  | {
      readonly kind: "durations";
      readonly key: string;
      readonly client: string;
      readonly element: string;
      readonly model: string;
      readonly observations: number;
      readonly table: DurationTable;
    };

/** Values of one job: five weeks of five minutes. */
export const HISTORY_STEPS_MAX = 10_080;
export const TABLE_STEPS_MAX = 64;

/** From the thread. */
export type FromThread =
  /** The job that was sent last is in the thread's hands; the next may come. */
  { readonly kind: "taken" } | { readonly kind: "table"; readonly table: ForecastTable };

/** What the thread is started with. */
export interface ThreadOptions {
  /** Share of one core, in (0, 1]. */ readonly budgetRatio: number;
  /** Series whose models are kept. */ readonly keysMax: number;
  readonly seed: number;
}
