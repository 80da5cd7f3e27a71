// command.ts: `bench forecast`: back-tests of series and durations, as tables, as one JSON object and as a drawing. Numbers are
// shown against goals, and nothing fails because one is missed. Not here: how each is measured.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { table } from "../table.ts";
import { type CalibrationCurve, calibrationSvg, calibrationText } from "./calibration.ts";
import { type DurationsReport, durationLines, runDurations } from "./durations.ts";
import { FORECAST_USAGE, type ForecastOptions, parseForecastOptions } from "./options.ts";
import { PACKAGES, type PackageScore, packageOrigins, scorePackage } from "./package-peers.ts";
import {
  backTestPack,
  backTestSeries,
  type PeerScore,
  packNaive,
  type SeriesReport,
  scorePeers,
  simplePeers,
  summarise,
} from "./series.ts";
import { makeSeries, type PackSeries, readPacks, readSeriesFolder, type Series } from "./series-file.ts";
import { LEVELS } from "./series-score.ts";
import { measureSeriesSpeed, type SeriesSpeed } from "./series-speed.ts";

const SEED = 1;

interface Both<Report> {
  readonly hot: Report;
  /** Absent with --hot. */
  readonly withChallengers?: Report;
}
interface Results {
  readonly series: Both<SeriesReport> & {
    readonly peers: readonly PeerScore[];
    readonly packages: { readonly hotMaseMean: number; readonly scores: readonly PackageScore[] };
  };
  /** Absent without a pack. */
  readonly m4?: Both<{ readonly maseMean: number }> & { readonly seasonalNaiveMaseMean: number };
  readonly durations: Pick<DurationsReport, "files">;
  readonly speed: SeriesSpeed & DurationsReport["speed"];
}

/** Returns the exit code. */
export async function forecastCommand(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseForecastOptions(words, environment["FORELOCK_BENCH_DATA"]);
  if (typeof options === "string") {
    say(`${options}\n\n${FORECAST_USAGE}`);
    return 2;
  }
  for (const folder of [options.series, options.durations]) {
    if (folder === undefined || existsSync(folder)) continue;
    say(`There is no folder ${folder}.`);
    return 2;
  }
  publish(await measure(options), options);
  return 0;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function measure(options: ForecastOptions): Promise<Results> {
  const all = options.series === undefined ? makeSeries(SEED) : readSeriesFolder(options.series);
  const pack = options.series === undefined ? [] : readPacks(options.series);
  const speed = measureSeriesSpeed(SEED); // First, while nothing is warm and little is on the heap.
  const series = await measureSeries(all, options);
  const m4 = pack.length === 0 ? undefined : measurePack(pack, options);
  const durations = await runDurations({
    folder: options.durations,
    seed: SEED,
    challengers: options.challengers,
    say,
  });
  return {
    series,
    ...(m4 === undefined ? {} : { m4 }),
    durations: { files: durations.files },
    speed: { ...speed, ...durations.speed },
  };
}

async function measureSeries(all: readonly Series[], options: ForecastOptions): Promise<Results["series"]> {
  const run = (withChallengers: boolean): SeriesReport =>
    summarise(
      all.map((series) => {
        say(`series: ${series.file}${withChallengers ? ", with challengers" : ""}`);
        return backTestSeries(series, withChallengers);
      }),
    );
  const packages: PackageScore[] = [];
  for (const name of options.packages ? PACKAGES : []) {
    say(`series: the package ${name}, at a few origins`);
    const score = await scorePackage(name, all);
    if (score.maseMean === undefined) say(`skipped  ${name}: ${score.note ?? "no series"}`);
    packages.push(score);
  }
  const hot = run(false);
  // The hot path at the few origins of the packages, so that their numbers compare.
  const few = all.map((series) => backTestSeries(series, false, packageOrigins(series)));
  return {
    hot,
    ...(options.challengers ? { withChallengers: run(true) } : {}),
    peers: scorePeers(all),
    packages: { hotMaseMean: summarise(few).maseMean, scores: packages },
  };
}

function measurePack(pack: readonly PackSeries[], options: ForecastOptions): NonNullable<Results["m4"]> {
  say(`pack: ${pack.length} hourly series`);
  return {
    hot: backTestPack(pack, false),
    ...(options.challengers ? { withChallengers: backTestPack(pack, true) } : {}),
    seasonalNaiveMaseMean: packNaive(pack),
  };
}

function publish(results: Results, options: ForecastOptions): void {
  const json = `${JSON.stringify(results, undefined, 2)}\n`;
  const curves = curvesOf(results);
  if (options.json === "-") process.stdout.write(json);
  else process.stdout.write(`${linesOf(results, options, curves).join("\n")}\n`);
  if (options.json !== undefined && options.json !== "-") write(options.json, json);
  if (options.svg !== undefined) write(options.svg, calibrationSvg(curves));
}

function linesOf(results: Results, options: ForecastOptions, curves: readonly CalibrationCurve[]): readonly string[] {
  const { hot, withChallengers, peers, packages } = results.series;
  const all = options.series === undefined ? makeSeries(SEED) : readSeriesFolder(options.series);
  const rows = hot.files.map((file, index) => {
    const simple = simplePeers(all[index]!); // The files of the report, in the same order.
    const challenged = withChallengers?.files[index];
    const numbers = [
      simple["last value"],
      simple["seasonal naive"],
      simple["smoothing 0.2"],
      file.mase,
      challenged?.mase,
    ];
    return [
      file.file,
      ...numbers.map(shown),
      shown(file.coverage90),
      shown(challenged?.coverage90),
      shown(file.scaledPinball),
    ];
  });
  const head = ["MASE", "last", "seasonal", "smoothing", "hot", "challenged", "cover 90", "challenged", "pinball"];
  const of = (name: string): string => shown(peers.find((peer) => peer.name === name)?.maseMean);
  const mean = [
    of("last value"),
    of("seasonal naive"),
    of("smoothing 0.2"),
    shown(hot.maseMean),
    shown(withChallengers?.maseMean),
  ];
  const covered = [shown(hot.coverage90Mean), shown(withChallengers?.coverage90Mean), shown(hot.scaledPinballMean)];
  const lines = [table(head, [...rows, ["mean", ...mean, ...covered]]), ""];
  for (const { name, maseMean, answered, asked, note } of packages.scores)
    lines.push(
      `${name}: ${shown(maseMean)} at ${answered} of ${asked} origins, where the hot path has ${shown(packages.hotMaseMean)}${note === undefined ? "" : `; ${note}`}`,
    );
  if (results.m4 !== undefined) {
    const { hot: own, withChallengers: both, seasonalNaiveMaseMean } = results.m4;
    lines.push(
      `pack: hot ${shown(own.maseMean)}, with challengers ${shown(both?.maseMean)}, seasonal naive ${shown(seasonalNaiveMaseMean)}`,
    );
  }
  lines.push("", ...goalLines(results), "", calibrationText(curves), "");
  lines.push(...durationLines({ files: results.durations.files, speed: results.speed }));
  const { seriesUpdateUs, seriesForecast48Us } = results.speed;
  lines.push(
    `speed: ${seriesUpdateUs.toFixed(2)} us a series update, ${seriesForecast48Us.toFixed(1)} us a forecast of 48 steps`,
  );
  return lines;
}

function goalLines({ series, m4, speed }: Results): readonly string[] {
  const goal = (what: string, value: number | undefined, min: number, max: number): readonly string[] => {
    if (value === undefined) return [];
    return [
      `${value >= min && value <= max ? "reached" : "MISSED "}  ${what} ${shown(value)} (${min === 0 ? "at most" : `${min} to`} ${max})`,
    ];
  };
  const { hot, withChallengers } = series;
  return [
    ...goal("mean MASE, hot path", hot.maseMean, 0, 0.8),
    ...goal("mean MASE, with challengers", withChallengers?.maseMean, 0, hot.maseMean + 0.005),
    ...goal("mean coverage of 90 % intervals", hot.coverage90Mean, 0.88, 0.92),
    ...goal("worst coverage of 90 % intervals", hot.coverage90Worst, 0.82, 1),
    ...goal("pack, hot path", m4?.hot.maseMean, 0, 0.87),
    ...goal("pack, with challengers", m4?.withChallengers?.maseMean, 0, 0.785),
    ...goal("us a series update", speed.seriesUpdateUs, 0, 0.5),
    ...goal("us a forecast of 48 steps", speed.seriesForecast48Us, 0, 25),
  ];
}

function curvesOf({ series, durations }: Results): readonly CalibrationCurve[] {
  const observed = (files: SeriesReport["files"]): CalibrationCurve["points"] =>
    LEVELS.map((promised, level) => ({
      promised,
      observed: files.reduce((sum, file) => sum + (file.below[level] ?? 0), 0) / files.length,
    }));
  const challenged = series.withChallengers;
  return [
    { name: "series, hot path", points: observed(series.hot.files) },
    ...(challenged === undefined ? [] : [{ name: "series, with challengers", points: observed(challenged.files) }]),
    ...durations.files.map(({ file, coverage50, coverage90, coverage99 }) => ({
      name: file,
      points: [
        { promised: 0.5, observed: coverage50 },
        { promised: 0.9, observed: coverage90 },
        { promised: 0.99, observed: coverage99 },
      ],
    })),
  ];
}

function shown(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? "-" : value.toFixed(3);
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  say(`wrote ${path}`);
}
