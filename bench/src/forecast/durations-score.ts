// durations-score.ts: how good quantiles of durations were. Not here: where they come from.

export const SCORED_LEVELS = [0.5, 0.9, 0.99] as const;

/** p50, p90 and p99, in milliseconds. */
export type Quantiles = readonly [number, number, number];

export interface Score {
  /** Pinball loss of the natural logarithm of the duration, the mean over p50, p90 and p99. */
  readonly pinball: number;
  readonly pinballByLevel: readonly number[];
  /** Share of durations at or below the quantile. */
  readonly coverage50: number;
  readonly coverage90: number;
  readonly coverage99: number;
  readonly scored: number;
}

/** Shorter durations count as this one: the logarithm of nothing is no loss. */
const DURATION_MS_MIN = 0.1;

export class Tally {
  readonly #losses = [0, 0, 0];
  readonly #hits = [0, 0, 0];
  #scored = 0;

  add(durationMs: number, quantilesMs: Quantiles): void {
    this.#scored += 1;
    for (const [index, level] of SCORED_LEVELS.entries()) {
      const quantileMs = quantilesMs[index]!; // Three of each, here and below.
      this.#losses[index]! += pinballOf(level, durationMs, quantileMs);
      if (durationMs <= quantileMs) this.#hits[index]! += 1;
    }
  }

  score(): Score {
    const share = (sum: number | undefined): number => (this.#scored === 0 ? 0 : (sum ?? 0) / this.#scored);
    const pinballByLevel = this.#losses.map(share);
    return {
      pinball: pinballByLevel.reduce((sum, loss) => sum + loss, 0) / SCORED_LEVELS.length,
      pinballByLevel,
      coverage50: share(this.#hits[0]),
      coverage90: share(this.#hits[1]),
      coverage99: share(this.#hits[2]),
      scored: this.#scored,
    };
  }
}

export function pinballOf(level: number, durationMs: number, quantileMs: number): number {
  const error = logOf(durationMs) - logOf(quantileMs);
  return error >= 0 ? level * error : (level - 1) * error;
}

export function logOf(durationMs: number): number {
  return Math.log(Math.max(DURATION_MS_MIN, durationMs));
}
