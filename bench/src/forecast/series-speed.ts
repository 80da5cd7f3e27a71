// series-speed.ts: what one update and one forecast of a series cost. Not here: durations (durations.ts).
import { emptySeriesForecast, SeriesForecaster, seededRandom } from "@forelock/forecast";

export interface SeriesSpeed {
  /** CPU time of one observed value, in microseconds. */
  readonly seriesUpdateUs: number;
  /** CPU time of a forecast of 48 steps with all quantiles, in microseconds. */
  readonly seriesForecast48Us: number;
}

const KEYS = 8;
const WARM_STEPS = 6_000;
const ROUNDS = 120;
const STEPS = 300;
const FORECASTS = 400;
const STEP_MS = 300_000;

/** CPU time, not wall time, and the best of many short rounds: others may use the machine. All experts are awake: over a week is known. */
export function measureSeriesSpeed(seed: number): SeriesSpeed {
  const random = seededRandom(seed);
  const forecaster = new SeriesForecaster({ stepMs: STEP_MS, seasonSteps: 288, weekSteps: 2_016, keysMax: KEYS });
  const keys = Array.from({ length: KEYS }, (_, index) => `host-${index}`);
  const values = Float64Array.from({ length: 4_096 }, (_, step) => 100 + 40 * Math.sin(step / 46) + 10 * random());
  let step = 0;
  const observe = (steps: number): void => {
    for (const end = step + steps; step < end; step += 1) {
      const t = step * STEP_MS;
      const value = values[step & 4_095]!; // In range.
      for (const key of keys) forecaster.observe(key, t, value);
    }
  };
  observe(WARM_STEPS);
  const seriesUpdateUs = bestUs(STEPS * KEYS, () => observe(STEPS));
  const into = emptySeriesForecast(48);
  const seriesForecast48Us = bestUs(FORECASTS, () => {
    for (let index = 0; index < FORECASTS; index += 1) forecaster.forecast(keys[index % KEYS]!, 48, into); // In range.
  });
  return { seriesUpdateUs, seriesForecast48Us };
}

function bestUs(calls: number, run: () => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  });
  return Math.min(...rounds);
}
