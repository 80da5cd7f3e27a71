// series.ts: made-up histories with a known truth, for the tests of the challengers.
import { normal, seededRandom } from "../random.ts";

/** A day with two peaks, on a level, with noise. */
export function dailyPattern(t: number, seasonSteps: number): number {
  const phase = (2 * Math.PI * t) / seasonSteps;
  return 100 + 20 * Math.sin(phase) + 10 * Math.cos(2 * phase);
}

export function seasonalSeries(options: {
  readonly length: number;
  readonly seasonSteps: number;
  readonly noise: number;
  readonly seed: number;
}): Float64Array {
  const random = seededRandom(options.seed);
  return Float64Array.from(
    { length: options.length },
    (_, t) => dailyPattern(t, options.seasonSteps) + options.noise * normal(random),
  );
}

/** Mean absolute error of two series of one length. */
export function meanError(forecast: ArrayLike<number>, truth: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < truth.length; i++) sum += Math.abs((forecast[i] ?? Number.NaN) - (truth[i] ?? Number.NaN));
  return sum / truth.length;
}

/** Histories that broke models before, mostly of `steps` values: each must give a finite forecast or no fit. */
export function cruelHistories(steps = 400): Readonly<Record<string, Float64Array>> {
  const random = seededRandom(5);
  const make = (length: number, value: (t: number) => number): Float64Array =>
    Float64Array.from({ length }, (_, t) => value(t));
  return {
    empty: new Float64Array(0),
    one: Float64Array.of(3),
    short: make(9, (t) => t),
    constant: make(steps, () => 7),
    zeros: make(steps, () => 0),
    gaps: make(steps, () => Number.NaN),
    mostlyGaps: make(steps, (t) => (t % 7 === 0 ? random() : Number.NaN)),
    infinite: make(steps, (t) => (t % 50 === 3 ? Infinity : random())),
    huge: make(steps, () => 1e300 * random()),
    beyondRange: make(steps, (t) => (t % 2 === 0 ? 1.7e308 : -1.7e308)),
    tiny: make(steps, () => 1e-300 * random()),
    oneSpike: make(steps, (t) => (t === steps / 2 ? 1e12 : 0)),
    step: make(steps, (t) => (t < steps - 10 ? 1 : 1000)),
    growing: make(steps, (t) => 1.1 ** t),
    ramp: make(steps, (t) => t),
    alternating: make(steps, (t) => (t % 2 === 0 ? 1 : -1)),
    walk: make(steps, () => random()).map((_, t, all) => all.subarray(0, t).reduce((sum, step) => sum + step - 0.5, 0)),
  };
}
