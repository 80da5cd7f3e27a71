// options.ts: the command line of `bench forecast`. Pure: the environment is an argument.
import { join } from "node:path";

export interface ForecastOptions {
  /** Folders of files; `undefined`: the bench makes its own. */
  readonly series: string | undefined;
  readonly durations: string | undefined;
  /** "-": the object alone goes to the standard output. */
  readonly json: string | undefined;
  readonly svg: string | undefined;
  /** False: the hot path alone, in seconds instead of minutes. */
  readonly challengers: boolean;
  readonly packages: boolean;
}

export const FORECAST_USAGE = `Usage: npm run bench -- forecast [options]

  npm run bench -- forecast                       on made-up data
  npm run bench -- forecast --series DIR --durations DIR --json run.json --svg calibration.svg

  --series DIR       files with timestamp,value, or packs with id,split,values
  --durations DIR    files with start_ts,client,element,duration
  --json [FILE]      all scores as one object; without FILE it alone goes to the standard output
  --svg FILE         the calibration, drawn
  --hot              without challengers, which take minutes
  --no-packages      without the npm packages as peers

  FORELOCK_BENCH_DATA is the folder of series/ and durations/ when they are not given.`;

const STANDARD_OUTPUT = "-";

/** A sentence for people when the arguments are not understood. */
export function parseForecastOptions(
  words: readonly string[],
  dataFolder: string | undefined,
): ForecastOptions | string {
  const values = new Map<string, string>();
  const flags = new Set<string>();
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!; // In range.
    const next = words[index + 1];
    const hasValue = next !== undefined && !next.startsWith("--");
    if (word === "--hot" || word === "--no-packages") flags.add(word);
    else if (word === "--json" && !hasValue) values.set(word, STANDARD_OUTPUT);
    else if (["--json", "--svg", "--series", "--durations"].includes(word)) {
      if (!hasValue) return `${word} needs a value.`;
      values.set(word, next);
      index += 1;
    } else return `${word} is not an option.`;
  }
  const below = (name: string): string | undefined => (dataFolder ? join(dataFolder, name) : undefined);
  return {
    series: values.get("--series") ?? below("series"),
    durations: values.get("--durations") ?? below("durations"),
    json: values.get("--json"),
    svg: values.get("--svg"),
    challengers: !flags.has("--hot"),
    packages: !flags.has("--no-packages"),
  };
}
