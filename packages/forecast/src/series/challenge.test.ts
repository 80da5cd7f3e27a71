// challenge.test.ts: a model from outside is heard when it has earned it, and no sooner; and who leads is told as events.
import { describe, expect, test } from "vitest";
import { normal, seededRandom } from "../challenger/random.ts";
import { SeriesForecaster } from "./forecaster.ts";

const GRID = { stepMs: 60_000, seasonSteps: 24, weekSteps: 0 };

/** A pattern that no expert knows: it repeats after 37 steps. */
const truthAt = (step: number): number => 100 + 40 * Math.sin((2 * Math.PI * step) / 37);

interface Play {
  readonly from?: number;
  readonly steps: number;
  readonly model?: string;
  /** What the model says of `step`; absent: no model. */
  readonly says?: (step: number) => number;
  readonly every?: number;
}

function play(forecaster: SeriesForecaster, { from = 0, steps, model = "oracle", says, every = 4 }: Play): void {
  for (let step = from; step < from + steps; step += 1) {
    forecaster.observe("host", step * GRID.stepMs, truthAt(step));
    if (says === undefined || step % every !== 0) continue;
    const points = Float64Array.from({ length: 60 }, (_, point) => says(step + 1 + point));
    expect(forecaster.offer("host", model, step * GRID.stepMs, points)).toBe(true);
  }
}

function errorAt(forecaster: SeriesForecaster, step: number): number {
  const p50 = forecaster.forecast("host", 30)?.p50 ?? new Float64Array(30).fill(Number.NaN);
  return p50.reduce((sum, point, index) => sum + Math.abs(point - truthAt(step + index)), 0) / 30;
}

describe("a challenger", () => {
  test("that knows better is heard after 20 scored origins, and not before", () => {
    const without = new SeriesForecaster(GRID);
    const young = new SeriesForecaster(GRID);
    const proven = new SeriesForecaster(GRID);
    play(without, { steps: 600 });
    play(young, { steps: 520 });
    play(young, { from: 520, steps: 80, says: truthAt });
    play(proven, { steps: 300 });
    play(proven, { from: 300, steps: 300, says: truthAt });
    expect(young.forecast("host", 30)?.p50).toEqual(without.forecast("host", 30)?.p50);
    expect(errorAt(proven, 600)).toBeLessThan(0.2 * errorAt(without, 600));
  });

  test("that knows less changes nothing", () => {
    const random = seededRandom(1);
    const without = new SeriesForecaster(GRID);
    const challenged = new SeriesForecaster(GRID);
    play(without, { steps: 600 });
    play(challenged, { steps: 600, says: (step) => truthAt(step) + 200 * normal(random) });
    expect(challenged.forecast("host", 48)?.p50).toEqual(without.forecast("host", 48)?.p50);
  });

  test("is not heard beyond the end of its table", () => {
    const without = new SeriesForecaster(GRID);
    const silent = new SeriesForecaster(GRID);
    play(without, { steps: 700 });
    play(silent, { steps: 600, says: truthAt });
    play(silent, { from: 600, steps: 100 });
    expect(silent.forecast("host", 5)?.p50).toEqual(without.forecast("host", 5)?.p50);
  });

  test("is promoted with both scores, and demoted when it goes wrong", () => {
    const forecaster = new SeriesForecaster(GRID);
    play(forecaster, { steps: 1_200, says: truthAt });
    const events = forecaster.takeEvents();
    const promoted = events.find(({ kind, model }) => kind === "promoted" && model === "oracle");
    expect(promoted?.score).toBeLessThan(0.97 * (promoted?.otherScore ?? 0));
    const mirrored = events.find(({ kind, otherModel }) => kind === "demoted" && otherModel === "oracle");
    expect(mirrored).toMatchObject({ score: promoted?.otherScore, otherScore: promoted?.score, t: promoted?.t });
    expect(forecaster.forecast("host", 1)?.model).toBe("oracle");
    expect(forecaster.takeEvents()).toEqual([]);

    play(forecaster, { from: 1_200, steps: 800, says: (step) => 300 - truthAt(step) });
    const later = forecaster.takeEvents();
    expect(later.some(({ kind, model }) => kind === "demoted" && model === "oracle")).toBe(true);
    expect(forecaster.forecast("host", 1)?.model).not.toBe("oracle");
  });

  test("has one of four places; a fifth is told no", () => {
    const forecaster = new SeriesForecaster(GRID);
    play(forecaster, { steps: 10 });
    const t = 9 * GRID.stepMs;
    const offers = ["a", "b", "c", "d", "e", "a"].map((model) =>
      forecaster.offer("host", model, t, Float64Array.of(1)),
    );
    expect(offers).toEqual([true, true, true, true, false, true]);
  });

  test("may be late, but not from the future, not older than its last table, and not about a stranger", () => {
    const forecaster = new SeriesForecaster(GRID);
    play(forecaster, { steps: 10 });
    const points = new Float64Array(5).fill(1);
    expect(forecaster.offer("host", "a", 7 * GRID.stepMs, points)).toBe(true);
    expect(forecaster.offer("host", "a", 6 * GRID.stepMs, points)).toBe(false);
    expect(forecaster.offer("host", "a", 10 * GRID.stepMs, points)).toBe(false);
    expect(forecaster.offer("host", "b", 4 * GRID.stepMs, points)).toBe(false);
    expect(forecaster.offer("stranger", "a", 9 * GRID.stepMs, points)).toBe(false);
  });

  test("with wild tables leaves forecasts finite", () => {
    const forecaster = new SeriesForecaster(GRID);
    play(forecaster, { steps: 400, says: (step) => (step % 2 === 0 ? 1e100 : -1e100) });
    expect(forecaster.forecast("host", 200)?.p99.every(Number.isFinite)).toBe(true);
  });
});
