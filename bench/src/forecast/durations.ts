// durations.ts: the back-test of durations: each is forecast at its start from what had ended by then and from the ages of what
// still ran, and learned at its end. Not here: series (series.ts), the command (main.ts).
import { DurationForecaster, emptyDurationForecast, type HoldHandle, seededRandom } from "@forelock/forecast";
import { type ChallengerRow, Challengers } from "./durations-challengers.ts";
import { eventsOf, makeWork, readWorkFolder, type WorkFile } from "./durations-file.ts";
import { peers } from "./durations-peers.ts";
import { type Quantiles, type Score, Tally } from "./durations-score.ts";

export interface DurationsOptions {
  /** Of files with the columns start_ts, client, element, duration; without it the bench makes its own. */
  readonly folder: string | undefined;
  readonly seed: number;
  /** Fits the challengers too: tens of seconds a file. */
  readonly challengers: boolean;
  /** Calls in each round of the measurement of speed; fewer say less. Default 200,000. */
  readonly speedCalls?: number;
  /** Progress, for people. */
  readonly say: (line: string) => void;
}

export interface DurationFileReport extends Score {
  readonly file: string;
  readonly peers: readonly ({ readonly name: string } & Score)[];
  /** The share of durations at or below p50 and p90 that were forecast anew at the age of the first p50, for those that got there. */
  readonly aged: { readonly coverage50: number; readonly coverage90: number; readonly scored: number };
  /** The same file with challengers of the busiest pairs admitted; absent when they were not asked for. */
  readonly withChallengers?: { readonly pinball: number; readonly rows: readonly ChallengerRow[] };
}

export interface DurationsSpeed {
  /** CPU time to learn a duration, in microseconds. */
  readonly learnUs: number;
  /** CPU time of a forecast given an age, which is five quantiles; three are asked for. */
  readonly threeQuantilesUs: number;
  readonly bytesPerPair: number;
}

export interface DurationsReport {
  readonly files: readonly DurationFileReport[];
  readonly speed: DurationsSpeed;
}

export async function runDurations(options: DurationsOptions): Promise<DurationsReport> {
  const files = options.folder === undefined ? [makeWork(options.seed)] : readWorkFolder(options.folder);
  const speed = measureSpeed(options.seed, options.speedCalls ?? SPEED_CALLS); // First, while little is on the heap.
  const reports: DurationFileReport[] = [];
  for (const file of files) {
    options.say(`durations: ${file.file}, ${file.work.length} rows`);
    const report = backTest(file, undefined);
    if (!options.challengers) reports.push(report);
    else {
      const challengers = new Challengers(options.seed);
      const { pinball } = backTest(file, challengers);
      reports.push({ ...report, withChallengers: { pinball, rows: challengers.rows() } });
    }
  }
  return { files: reports, speed };
}

/** Lines for people: one row for the forecaster and one for each of its peers and challengers. */
export function durationLines(report: DurationsReport): readonly string[] {
  const lines: string[] = [];
  const row = (name: string, { pinball, coverage50, coverage90, coverage99 }: Score): string =>
    `  ${name.padEnd(38)} ${[pinball, coverage50, coverage90, coverage99].map((value) => value.toFixed(3).padStart(8)).join(" ")}`;
  for (const file of report.files) {
    lines.push(`${file.file}: ${file.scored} durations`);
    lines.push(
      `  ${"".padEnd(38)} ${["pinball", "<= p50", "<= p90", "<= p99"].map((head) => head.padStart(8)).join(" ")}`,
    );
    for (const peer of file.peers) lines.push(row(peer.name, peer));
    lines.push(row("hierarchy of forgetting histograms", file));
    const { aged } = file;
    lines.push(
      `  asked again at the age of p50 (${aged.scored}): <= p50 ${aged.coverage50.toFixed(3)}, <= p90 ${aged.coverage90.toFixed(3)}`,
    );
    if (file.withChallengers === undefined) continue;
    lines.push(
      `  with challengers admitted: pinball ${file.withChallengers.pinball.toFixed(4)} (${file.pinball.toFixed(4)} without)`,
    );
    for (const { name, pairs, scored, pinball, hierarchyPinball, fits, spoke } of file.withChallengers.rows)
      lines.push(
        `  challenger ${name}: ${pairs} pairs, ${fits} fits, ${scored} scored: pinball ${pinball.toFixed(3)}, the hierarchy ` +
          `on the same ${hierarchyPinball.toFixed(3)}; had a say in ${(100 * spoke).toFixed(0)} % of them`,
      );
  }
  const { learnUs, threeQuantilesUs, bytesPerPair } = report.speed;
  lines.push(
    `speed: ${learnUs.toFixed(2)} us to learn, ${threeQuantilesUs.toFixed(2)} us for conditional quantiles, ${bytesPerPair} bytes per pair`,
  );
  return lines;
}

function backTest({ file, work }: WorkFile, challengers: Challengers | undefined): DurationFileReport {
  const forecaster = new DurationForecaster();
  const others = challengers === undefined ? peers().map((peer) => ({ peer, tally: new Tally() })) : [];
  const own = new Tally();
  const into = emptyDurationForecast();
  const handles = new Map<number, HoldHandle>();
  const aged = new AgedTally(forecaster);
  for (const { kind, index, atMs } of eventsOf(work)) {
    const { client, element, durationMs } = work[index]!; // An event is of some work.
    aged.until(atMs);
    if (kind === "start") {
      const handle = forecaster.begin(client, element, Math.max(0, atMs))!; // Fewer run at once than the default limit.
      handles.set(index, handle);
      forecaster.forecastHold(handle, atMs, into);
      const quantiles: Quantiles = [into.p50Ms, into.p90Ms, into.p99Ms];
      own.add(durationMs, quantiles);
      aged.ask(handle, atMs, { p50Ms: into.p50Ms, durationMs });
      if (challengers !== undefined) {
        const predictions = challengers.predict(forecaster, work[index]!); // As above.
        challengers.score(work[index]!, predictions, quantiles);
      }
      for (const { peer, tally } of others) tally.add(durationMs, peer.forecast(client, element));
    } else {
      forecaster.end(handles.get(index)!, atMs);
      handles.delete(index);
      challengers?.learn(forecaster, work[index]!); // As above.
      for (const { peer } of others) peer.learn(client, element, durationMs);
    }
  }
  const all = others.map(({ peer, tally }) => ({ name: peer.name, ...tally.score() }));
  return { file, ...own.score(), peers: all, aged: aged.score() };
}

interface Asked {
  readonly handle: HoldHandle;
  readonly startMs: number;
  readonly dueMs: number;
  readonly durationMs: number;
}

/** Asks again about work that has reached the age of its first p50: is the forecast still honest, given that age? */
class AgedTally {
  readonly #forecaster: DurationForecaster;
  readonly #due: Asked[] = []; // Latest first.
  readonly #tally = new Tally();

  constructor(forecaster: DurationForecaster) {
    this.#forecaster = forecaster;
  }

  ask(handle: HoldHandle, startMs: number, { p50Ms, durationMs }: { p50Ms: number; durationMs: number }): void {
    if (durationMs <= p50Ms) return;
    const asked = { handle, startMs, dueMs: startMs + p50Ms, durationMs };
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#due[middle]!.dueMs > asked.dueMs)
        low = middle + 1; // In range.
      else high = middle;
    }
    this.#due.splice(low, 0, asked);
  }

  until(nowMs: number): void {
    while ((this.#due.at(-1)?.dueMs ?? Number.POSITIVE_INFINITY) < nowMs) {
      const { handle, dueMs, durationMs } = this.#due.pop()!; // It has a last one.
      const forecast = this.#forecaster.forecastHold(handle, dueMs);
      if (forecast !== undefined) this.#tally.add(durationMs, [forecast.p50Ms, forecast.p90Ms, forecast.p99Ms]);
    }
  }

  score(): DurationFileReport["aged"] {
    const { coverage50, coverage90, scored } = this.#tally.score();
    return { coverage50, coverage90, scored };
  }
}

const SPEED_PAIRS = 2_000;
const SPEED_CALLS = 200_000;
const SPEED_ROUNDS = 7;

/** CPU time, not wall time, and the best of several rounds: others may use the machine. */
function measureSpeed(seed: number, calls: number): DurationsSpeed {
  const random = seededRandom(seed);
  const forecaster = new DurationForecaster();
  const names = Array.from({ length: SPEED_PAIRS }, (_, index) => ({
    client: `client-${index % 50}`,
    element: `orders/${index % 41}`,
    durationMs: Math.exp(3 + 5 * random()),
  }));
  const into = emptyDurationForecast();
  const learn = (index: number): void => {
    const { client, element, durationMs } = names[index % SPEED_PAIRS]!; // In range.
    forecaster.observe(client, element, durationMs);
  };
  const forecast = (index: number): void => {
    const { client, element, durationMs } = names[index % SPEED_PAIRS]!; // In range.
    forecaster.forecast(client, element, durationMs / 2, into);
  };
  return {
    learnUs: cpuUs(learn, calls),
    threeQuantilesUs: cpuUs(forecast, calls),
    bytesPerPair: forecaster.gauges.bytesPerPair,
  };
}

function cpuUs(call: (index: number) => void, calls: number): number {
  const rounds = Array.from({ length: SPEED_ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let index = 0; index < calls; index += 1) call(index);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  });
  return Math.min(...rounds);
}
