// state.test.ts: what was learned comes back from bytes as it was, and bytes that are wrong are refused.
import { describe, expect, test } from "vitest";
import { dailyPattern } from "../challenger/testing/series.ts";
import { SeriesForecaster } from "./forecaster.ts";

const GRID = { stepMs: 60_000, seasonSteps: 96, weekSteps: 0, keysMax: 4 };

function taught(): SeriesForecaster {
  const forecaster = new SeriesForecaster(GRID);
  for (let step = 0; step < 600; step += 1)
    for (const key of ["ä/1", "b"])
      if (step % 17 !== 5) forecaster.observe(key, step * GRID.stepMs, dailyPattern(step, 96) * (key === "b" ? 3 : 1));
  for (let step = 600; step < 700; step += 1) {
    forecaster.observe("b", step * GRID.stepMs, dailyPattern(step, 96) * 3);
    forecaster.offer("b", "ridge", step * GRID.stepMs, new Float64Array(20).fill(step));
  }
  forecaster.takeEvents();
  return forecaster;
}

describe("a restored forecaster", () => {
  test("has the same bytes, and goes on as the one that was saved", () => {
    const original = taught();
    const bytes = original.save();
    const restored = SeriesForecaster.restore(bytes, GRID);
    expect(Buffer.compare(restored.save(), bytes)).toBe(0);
    for (let step = 700; step < 900; step += 1)
      for (const forecaster of [original, restored]) {
        forecaster.observe("b", step * GRID.stepMs, dailyPattern(step, 96));
        forecaster.offer("b", "ridge", step * GRID.stepMs, new Float64Array(20).fill(100));
      }
    expect(restored.forecast("b", 48)).toEqual(original.forecast("b", 48));
    expect(restored.takeEvents()).toEqual(original.takeEvents());
    expect(restored.history("ä/1")).toEqual(original.history("ä/1"));
    expect(Buffer.compare(restored.save(), original.save())).toBe(0);
  });

  test("keeps the keys last used when it may keep fewer", () => {
    const restored = SeriesForecaster.restore(taught().save(), { ...GRID, keysMax: 1 });
    expect(restored.size).toBe(1);
    expect(restored.forecast("ä/1", 1)).toBeUndefined();
    expect(restored.forecast("b", 1)).toBeDefined();
  });

  test("can have been saved before it saw anything", () => {
    const restored = SeriesForecaster.restore(new SeriesForecaster(GRID).save(), GRID);
    restored.observe("late", 1e12, 4);
    expect(restored.forecast("late", 1)?.p50[0]).toBe(4);
  });
});

describe("bytes are refused", () => {
  const bytes = taught().save();

  test.each([0, 3, 8, 100, bytes.length - 1])("when they are cut to %i", (length) => {
    expect(() => SeriesForecaster.restore(bytes.slice(0, length), GRID)).toThrow(RangeError);
  });

  test("when there are too many", () => {
    expect(() => SeriesForecaster.restore(Uint8Array.of(...bytes.slice(0, 64), 0), GRID)).toThrow(RangeError);
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => SeriesForecaster.restore(longer, GRID)).toThrow("bytes long");
  });

  test("when they are of another version, kind or shape", () => {
    const other = bytes.slice();
    other[4] = 99;
    expect(() => SeriesForecaster.restore(other, GRID)).toThrow("version 99; it must be 1");
    other[0] = 0;
    expect(() => SeriesForecaster.restore(other, GRID)).toThrow("no state of a series forecaster");
    expect(() => SeriesForecaster.restore(bytes, { ...GRID, seasonSteps: 48 })).toThrow("it must be 60000,48");
  });

  test("when a number in them cannot be", () => {
    const view = new DataView(bytes.slice().buffer);
    for (let at = 200; at < bytes.length - 8; at += 8) view.setFloat64(at, Number.NaN, true);
    expect(() => SeriesForecaster.restore(new Uint8Array(view.buffer), GRID)).toThrow(RangeError);
  });
});
