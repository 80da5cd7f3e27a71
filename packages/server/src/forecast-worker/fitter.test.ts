// fitter.test.ts: one piece of work at a time: who is fitted, which tables come out, what is kept.
import { type Challenger, FitSchedule, type FittedChallenger } from "@forelock/forecast";
import { expect, test } from "vitest";
import { Fitter } from "./fitter.ts";
import type { ForecastJob, ForecastTable } from "./job.ts";

interface Scene {
  readonly fitter: Fitter;
  readonly tables: ForecastTable[];
  readonly fits: string[];
  nowMs: number;
  /** Works until there is nothing to do; returns how long that took. */
  settle(): number;
}

/** A model that repeats the last value, and takes `costMs` to fit. */
function repeater(name: string, fits: string[], tick: () => void): Challenger {
  const fitted: FittedChallenger = {
    forecast: (recent, steps) => new Float64Array(steps).fill(recent[recent.length - 1] ?? 0),
  };
  return {
    name,
    fit(history, { seasonSteps }) {
      tick();
      fits.push(`${name} ${history.length} season=${seasonSteps}`);
      return history.length < 10 ? undefined : fitted;
    },
  };
}

function scene(options: { readonly costMs?: number; readonly keysMax?: number } = {}): Scene {
  const tables: ForecastTable[] = [];
  const fits: string[] = [];
  const { costMs = 0, keysMax = 10 } = options;
  const tick = (): void => {
    made.nowMs += costMs;
  };
  const rules = [
    { model: "near", everyMs: 60_000, everyObservations: 64 },
    { model: "far", everyMs: 600_000 },
  ];
  const made: Scene = {
    tables,
    fits,
    nowMs: 0,
    fitter: new Fitter({
      challengers: [repeater("near", fits, tick), repeater("far", fits, tick)],
      schedule: new FitSchedule({ rules, budgetRatio: 0.05, keysMax }, 0),
      seed: 1,
      nowMs: () => made.nowMs,
      say: (table) => tables.push(table),
    }),
    settle() {
      const beganMs = made.nowMs;
      for (let waitMs = made.fitter.step(); waitMs !== undefined; waitMs = made.fitter.step()) made.nowMs += waitMs;
      return made.nowMs - beganMs;
    },
  };
  return made;
}

const series = (key: string, length: number, observations = length): ForecastJob => ({
  kind: "series",
  key,
  values: Float64Array.from({ length }, (_, t) => t),
  origin: 1_000 * observations,
  observations,
  seasonSteps: 24,
  weekSteps: 168,
  steps: 3,
});

test("a job is answered by a table of every model, with its stamp", () => {
  const { fitter, tables, fits, settle } = scene();
  fitter.take(series("cpu", 100));
  settle();
  expect(fits).toEqual(["near 100 season=24", "far 100 season=24"]);
  const points = Float64Array.of(99, 99, 99);
  expect(tables).toEqual([
    { kind: "series", key: "cpu", model: "near", origin: 100_000, observations: 100, points },
    { kind: "series", key: "cpu", model: "far", origin: 100_000, observations: 100, points },
  ]);
});

test("newer values get new tables from the fits that are there", () => {
  const { fitter, tables, fits, settle } = scene();
  fitter.take(series("cpu", 100));
  settle();
  fitter.take(series("cpu", 101));
  settle();
  expect(fits.length).toBe(2);
  expect(tables.slice(2).map(({ observations }) => observations)).toEqual([101, 101]);
});

test("a series that no model can be fitted to gets no table, and does no harm", () => {
  const { fitter, tables, fits, settle } = scene();
  fitter.take(series("cpu", 5));
  settle();
  expect(fits.length).toBe(2);
  expect(tables).toEqual([]);
});

test("a series that began anew, or has another season, is fitted anew", () => {
  const { fitter, fits, settle } = scene();
  fitter.take(series("cpu", 100, 5_000));
  settle();
  fitter.take(series("cpu", 50));
  settle();
  fitter.take({ ...series("cpu", 51), seasonSteps: 12, kind: "series", weekSteps: 84, origin: 0, steps: 3 });
  settle();
  expect(fits.slice(2)).toEqual(["near 50 season=24", "far 50 season=24", "near 51 season=12", "far 51 season=12"]);
});

test("durations of a pair come back as quantiles in order, without a season", () => {
  const { fitter, tables, fits, settle } = scene();
  const values = Float64Array.from({ length: 80 }, (_, t) => Math.sin(t));
  fitter.take({
    kind: "durations",
    key: "ana/door",
    client: "ana",
    element: "door",
    values,
    observations: 500,
    steps: 4,
  });
  settle();
  expect(fits[0]).toBe("near 80 season=0");
  const [table] = tables;
  expect(table).toMatchObject({ kind: "durations", client: "ana", element: "door", model: "near", observations: 500 });
  if (table?.kind !== "durations") throw new Error("the table is of durations");
  expect(table.table).toMatchObject({ name: "near", origin: 500 });
  expect(table.table.quantiles.length % 4).toBe(0);
  expect(table.table.quantiles.every(Number.isFinite)).toBe(true);
});

test("dear fits wait for the time that they may take", () => {
  const { fitter, settle } = scene({ costMs: 1_500 });
  for (const key of ["a", "b", "c"]) fitter.take(series(key, 100));
  const tookMs = settle();
  // Six fits of 1,500 ms at a twentieth of one core, less 2,000 ms that may be saved up, and the last is not waited for.
  expect(tookMs).toBeGreaterThan((5 * 1_500 - 2_000) * 20 * 0.9);
  expect(tookMs).toBeLessThan(6 * 1_500 * 20);
});

test("of a series beyond the limit everything is forgotten", () => {
  const { fitter, tables, settle } = scene({ keysMax: 1 });
  fitter.take(series("a", 100));
  fitter.take(series("b", 100));
  settle();
  expect(tables.map(({ key }) => key)).toEqual(["b", "b"]);
});
