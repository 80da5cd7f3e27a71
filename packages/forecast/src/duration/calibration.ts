// calibration.ts: keeps quantile levels honest: each level is moved until the share of durations at or below its quantile is the
// level. Not here: the quantiles (survival.ts).
//   C1. Corrected levels rise with their levels and stay in [LEVEL_MIN, 1 - LEVEL_MIN], whatever comes.
// Source: adaptive conformal inference, Gibbs and Candes (2021), applied to the level; steps as in the design's findings.
import { DURATION_QUANTILES } from "./forecast.ts";
import type { StateReader, StateWriter } from "./state.ts";

const LEVELS = DURATION_QUANTILES.length;
const LEVEL_MIN = 0.0005;
/** Larger steps repair coverage sooner and make every quantile restless. */
const STEP = 0.02;
/** A level strays at most so far: beyond it the histogram is wrong, and a level cannot mend it. */
const SHIFT_MAX = 0.45;
/** Of the coverage that is reported: a half-life of about 200 forecasts. */
const COVERAGE_KEEP = 2 ** (-1 / 200);

export class LevelCalibration {
  /** For each of `DURATION_QUANTILES`, the level to read instead. */
  readonly corrected = Float64Array.from(DURATION_QUANTILES);
  readonly #shifts = new Float64Array(LEVELS);
  readonly #coverage = Float64Array.from(DURATION_QUANTILES);
  #scored = 0;

  /** Forecasts that were scored. */
  get scored(): number {
    return this.#scored;
  }

  /** Share of recent durations at or below the quantile of `DURATION_QUANTILES[index]`. */
  coverage(index: number): number {
    return this.#coverage[index]!; // In range: callers pass constants.
  }

  /** The truth of one forecast: for a level, was the duration at or below its quantile? */
  score(index: number, isBelow: boolean): void {
    const level = DURATION_QUANTILES[index]!; // In range: callers count over the levels.
    const hit = isBelow ? 1 : 0;
    const shift = this.#shifts[index]! + STEP * (1 - level) * (level - hit); // In range.
    this.#shifts[index] = Math.max(-SHIFT_MAX, Math.min(SHIFT_MAX, shift));
    this.#coverage[index]! += (1 - COVERAGE_KEEP) * (hit - this.#coverage[index]!); // In range.
  }

  /** After all levels of a forecast were scored. */
  settle(): void {
    this.#scored += 1;
    let least = LEVEL_MIN;
    for (let index = 0; index < LEVELS; index += 1) {
      const level = DURATION_QUANTILES[index]! + this.#shifts[index]!; // In range.
      least = Math.max(least, Math.min(1 - LEVEL_MIN, level)); // C1
      this.corrected[index] = least;
    }
  }

  /**
   * The honest level of what the histogram calls `raw`: what `corrected` does to the levels, undone and drawn as lines between.
   * @param raw a probability in [0, 1]
   */
  honest(raw: number): number {
    let fromRaw = 0;
    let fromHonest = 0;
    for (let index = 0; index <= LEVELS; index += 1) {
      const toRaw = index < LEVELS ? this.corrected[index]! : 1; // In range.
      const toHonest = index < LEVELS ? DURATION_QUANTILES[index]! : 1; // In range.
      if (raw <= toRaw) {
        if (toRaw === fromRaw) return toHonest;
        return fromHonest + ((raw - fromRaw) / (toRaw - fromRaw)) * (toHonest - fromHonest);
      }
      fromRaw = toRaw;
      fromHonest = toHonest;
    }
    return 1;
  }

  write(out: StateWriter): void {
    out.floats64(this.#shifts);
    out.floats64(this.#coverage);
    out.float64(this.#scored);
  }

  read(from: StateReader): void {
    from.floats64(this.#shifts);
    from.floats64(this.#coverage);
    const scored = from.float64();
    this.settle();
    this.#scored = scored;
  }
}
