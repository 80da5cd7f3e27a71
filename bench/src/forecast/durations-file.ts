// durations-file.ts: work with a start and a duration, from a file or made up, and the order in which a forecaster meets it. Not
// here: forecasts and scores (durations.ts).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "@forelock/forecast";

export interface Work {
  /** Since whatever the file counts from. */ readonly startMs: number;
  readonly client: string;
  readonly element: string;
  readonly durationMs: number;
}

export interface WorkFile {
  readonly file: string;
  /** In order of start. */ readonly work: readonly Work[];
}

const HEADER = "start_ts,client,element,duration";
const SECOND_MS = 1_000;

/** Every file of the folder that has the columns of a file of durations, in order of name. */
export function readWorkFolder(folder: string): readonly WorkFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".csv"))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }))
    .filter(({ text }) => text.startsWith(HEADER))
    .map(({ name, text }) => ({ file: name, work: parseWork(name, text) }));
}

/** Seconds in the file, milliseconds from here on. Throws for a line that is no work, naming it. */
export function parseWork(file: string, text: string): readonly Work[] {
  const work = text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line, index) => {
      const [start, client, element, duration, ...rest] = line.split(",");
      const startMs = Number(start) * SECOND_MS;
      const durationMs = Number(duration) * SECOND_MS;
      const isWork = Number.isFinite(startMs) && durationMs >= 0 && Number.isFinite(durationMs) && rest.length === 0;
      if (!isWork || client === undefined || element === undefined)
        throw new Error(`${file}, line ${index + 2}: "${line}" is not ${HEADER}.`);
      return { startMs, client, element, durationMs };
    });
  return work.sort((a, b) => a.startMs - b.startMs);
}

export type WorkEvent = { readonly kind: "start" | "end"; readonly index: number; readonly atMs: number };

/** Starts and ends in the order of their times; what ends at the moment of a start is known by then. */
export function eventsOf(work: readonly Work[]): readonly WorkEvent[] {
  const starts = work.map(({ startMs }, index): WorkEvent => ({ kind: "start", index, atMs: startMs }));
  const ends = work.map(
    ({ startMs, durationMs }, index): WorkEvent => ({ kind: "end", index, atMs: startMs + durationMs }),
  );
  return [...starts, ...ends].sort(
    (a, b) =>
      a.atMs - b.atMs ||
      Number(isLongEnd(b)) - Number(isLongEnd(a)) ||
      a.index - b.index ||
      (a.kind === "start" ? -1 : 1),
  );

  // Work of no duration at all ends after its own start.
  function isLongEnd({ kind, index }: WorkEvent): boolean {
    return kind === "end" && work[index]!.durationMs > 0; // An event is of some work.
  }
}

const MADE_ROWS = 8_000;
const MADE_CLIENTS = 30;
const MADE_ELEMENTS = 60;

/** Lock holds as a fleet might make them: habits per pair, bursts of alike work, habits that change, a heavy tail. */
export function makeWork(seed: number): WorkFile {
  const random = seededRandom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const habits = new Map<string, { logMs: number; spread: number }>();
  const work: Work[] = [];
  let startMs = 0;
  while (work.length < MADE_ROWS) {
    const client = `c${Math.floor(MADE_CLIENTS * random() ** 2)}`;
    const element = `e${Math.floor(MADE_ELEMENTS * random() ** 2)}`;
    const key = `${client} ${element}`;
    let habit = habits.get(key);
    if (habit === undefined || random() < 0.03) habit = { logMs: 4 + 3 * normal(), spread: 0.1 + random() };
    habits.set(key, habit);
    const burst = 1 + Math.floor(8 * random() ** 2);
    const shared = 0.5 * normal();
    for (let index = 0; index < burst && work.length < MADE_ROWS; index += 1) {
      const isLong = random() < 0.02;
      const logMs = habit.logMs + shared + habit.spread * normal() + (isLong ? 3 * random() : 0);
      startMs += 200 * -Math.log(1 - random());
      work.push({ startMs, client, element, durationMs: Math.exp(Math.max(-2, Math.min(16, logMs))) });
    }
    startMs += 2_000 * -Math.log(1 - random());
  }
  return { file: `made-up (seed ${seed})`, work };
}
