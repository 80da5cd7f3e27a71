// series-file.ts: regular series for the back-tests, from a folder or made up. Not here: forecasts and scores (series.ts, m4.ts).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "@forelock/forecast";

/** One series on a regular grid, and what the scoring rules ask of it. */
export interface Series {
  readonly file: string;
  readonly stepMs: number;
  /** Of the first value, since the Unix epoch. */
  readonly startMs: number;
  /** Oldest first; a gap is NaN. */
  readonly values: Float64Array;
  /** Steps in a day; a week for daily values; 0 when there are less than two of them. */
  readonly seasonSteps: number;
  readonly weekSteps: number;
  /** Steps that each origin forecasts. */
  readonly horizon: number;
}

/** One series of a pack with official parts to train and to test on: hourly, 48 steps. */
export interface PackSeries {
  readonly id: string;
  readonly train: Float64Array;
  readonly test: Float64Array;
}

const SERIES_HEADER = "timestamp,value";
const PACK_HEADER = "id,split,values";
const DAY_MS = 86_400_000;

/** All files of the folder that begin with the header of a series, in order of name. */
export function readSeriesFolder(folder: string): readonly Series[] {
  return filesWith(folder, SERIES_HEADER).map(({ name, text }) => parseSeries(name, text));
}

export function readPacks(folder: string): readonly PackSeries[] {
  return filesWith(folder, PACK_HEADER).flatMap(({ name, text }) => parsePack(name, text));
}

function filesWith(folder: string, header: string): readonly { readonly name: string; readonly text: string }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".csv"))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }))
    .filter(({ text }) => text.startsWith(header));
}

/** Unix seconds and a number on each line; an empty number and a time that is left out are gaps. Throws for other lines, naming them. */
export function parseSeries(file: string, text: string): Series {
  const rows = linesOf(text).map((line, index) => {
    const [time, value, ...rest] = line.split(",");
    const row = { atMs: Number(time) * 1_000, value: value === "" ? Number.NaN : Number(value) };
    const isRow = Number.isFinite(row.atMs) && rest.length === 0 && (value === "" || Number.isFinite(row.value));
    if (!isRow || value === undefined)
      throw new Error(`${file}, line ${index + 2}: "${line}" is not ${SERIES_HEADER}.`);
    return row;
  });
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined || rows.length < 2) throw new Error(`${file} has no two values.`);
  const stepMs = rows.reduce((step, { atMs }, index) => {
    const between = atMs - (rows[index - 1]?.atMs ?? Number.NEGATIVE_INFINITY);
    return between > 0 && between < step ? between : step;
  }, Number.POSITIVE_INFINITY);
  const values = new Float64Array(Math.round((last.atMs - first.atMs) / stepMs) + 1).fill(Number.NaN);
  for (const { atMs, value } of rows) values[Math.round((atMs - first.atMs) / stepMs)] = value;
  return { file, stepMs, startMs: first.atMs, values, ...rulesFor(stepMs, values.length) };
}

/** The scoring rules by step: the season is a day (a week of daily values), 48 steps ahead (14 days; 12 without a season). */
function rulesFor(stepMs: number, length: number): Pick<Series, "seasonSteps" | "weekSteps" | "horizon"> {
  if (stepMs === DAY_MS) return { seasonSteps: 7, weekSteps: 0, horizon: 14 };
  const day = DAY_MS / stepMs;
  if (!Number.isInteger(day) || day < 2 || length < 2 * day) return { seasonSteps: 0, weekSteps: 0, horizon: 12 };
  return { seasonSteps: day, weekSteps: 7 * day <= 20_000 ? 7 * day : 0, horizon: 48 };
}

function parsePack(file: string, text: string): readonly PackSeries[] {
  const parts = new Map<string, { train?: Float64Array; test?: Float64Array }>();
  for (const [index, line] of linesOf(text).entries()) {
    const [id, split, numbers] = line.split(",");
    const values = Float64Array.from((numbers ?? "").split(" "), Number);
    if (id === undefined || (split !== "train" && split !== "test") || !values.every(Number.isFinite))
      throw new Error(`${file}, line ${index + 2} is not ${PACK_HEADER}.`);
    parts.set(id, { ...parts.get(id), [split]: values });
  }
  return [...parts].flatMap(([id, { train, test }]) => (train && test ? [{ id, train, test }] : []));
}

function linesOf(text: string): readonly string[] {
  return text.trimEnd().split(/\r?\n/).slice(1);
}

/** Load as machines have it: a day and a week, steps of level, spikes, outages, noise that comes and goes. */
export function makeSeries(seed: number): readonly Series[] {
  const kinds = [
    { file: `made-up daily load (seed ${seed})`, stepMs: 300_000, days: 14, daily: 0.6, steps: 0, noise: 0.05 },
    { file: `made-up stepping load (seed ${seed})`, stepMs: 300_000, days: 14, daily: 0.1, steps: 0.003, noise: 0.1 },
    { file: `made-up hourly rate (seed ${seed})`, stepMs: 3_600_000, days: 60, daily: 0.5, steps: 0.001, noise: 0.1 },
  ];
  return kinds.map(({ file, stepMs, days, daily, steps, noise }, kind) => {
    const random = seededRandom(seed + kind);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const day = DAY_MS / stepMs;
    let level = 100;
    let drift = 0;
    const values = Float64Array.from({ length: days * day }, (_, step) => {
      if (random() < steps) level = 100 * Math.exp(0.5 * normal());
      drift = 0.97 * drift + noise * normal();
      const isWeekend = Math.floor(step / day) % 7 >= 5;
      const shape = 1 + daily * (isWeekend ? 0.5 : 1) * Math.sin((2 * Math.PI * step) / day);
      const spike = random() < 0.001 ? 3 : 1;
      return random() < 0.002
        ? Number.NaN
        : Math.max(0, level * shape * spike * (1 + drift / 2 + (noise / 2) * normal()));
    });
    return { file, stepMs, startMs: 0, values, ...rulesFor(stepMs, values.length) };
  });
}
