// options.ts: the command line of the benchmark. Pure: prints nothing and reads nothing else.

export const SCENARIOS = ["in-flight", "connections", "hand-off", "held", "waiters", "restart", "disk"] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

export interface Options {
  /** False: only forelock and the bare loops. */
  readonly peers: boolean;
  /** Empty: all. */
  readonly only: readonly ScenarioName[];
  /** Empty: all that can run here. */
  readonly targets: readonly string[];
  /** Of each measurement, after its warm-up. */
  readonly seconds: number;
  readonly repetitions: number;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly profile: boolean;
  /** Divides the sizes of `held`, `waiters` and `restart`, for a machine in a hurry. */
  readonly scale: number;
}

export const USAGE = `Usage: npm run bench -- [locks | forelock-only] [options]
       npm run bench -- forecast [options]       forecasts, back-tested; asks for its own options
       npm run bench -- cluster [options]        several nodes on etcd; asks for its own options
       npm run bench -- workers [options]        one thread beside several; asks for its own options

  npm run bench                                   everything, about 15 minutes
  npm run bench -- locks --only in-flight --json run.json
  npm run bench -- forelock-only --profile        where the server's and the client's time goes

  locks              forelock, its peers and the bare loops (the default)
  forelock-only      forelock and the bare loops
  --only NAME        ${SCENARIOS.join(", ")}; may be repeated
  --target NAME      measure this one only; may be repeated
  --seconds S        of each measurement (default 2)
  --repetitions N    of each measurement, interleaved (default 3)
  --scale N          divide the sizes of held, waiters and restart by N (default 1)
  --json FILE        machine, versions and every repetition
  --svg FILE         the chart of the README
  --profile          run forelock under the CPU profiler and print the costliest functions; --only chooses what it does`;

/** A sentence for people when the arguments are not understood. */
export function parseOptions(words: readonly string[]): Options | string {
  let peers = true;
  let profile = false;
  const only: ScenarioName[] = [];
  const values = new Map<string, string[]>();
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!; // In range.
    if (word === "locks") peers = true;
    else if (word === "forelock-only") peers = false;
    else if (word === "--profile") profile = true;
    else if (VALUED.has(word)) {
      const value = words[index + 1];
      if (value === undefined) return `${word} needs a value.`;
      values.set(word, [...(values.get(word) ?? []), value]);
      index += 1;
    } else return `${word} is not an option.`;
  }
  for (const name of values.get("--only") ?? []) {
    const scenario = SCENARIOS.find((known) => known === name);
    if (scenario === undefined) return `There is no scenario ${name}: ${SCENARIOS.join(", ")}.`;
    only.push(scenario);
  }
  const [seconds, repetitions, scale] = NUMBERS.map(([name, otherwise]) =>
    Number(values.get(name)?.at(-1) ?? otherwise),
  );
  if (!isPositive(seconds) || !isPositive(repetitions) || !isPositive(scale))
    return "--seconds, --repetitions and --scale are positive.";
  return {
    peers,
    profile,
    only,
    targets: values.get("--target") ?? [],
    seconds,
    repetitions: Math.ceil(repetitions),
    scale,
    json: values.get("--json")?.at(-1),
    svg: values.get("--svg")?.at(-1),
  };
}

const NUMBERS = [
  ["--seconds", 2],
  ["--repetitions", 3],
  ["--scale", 1],
] as const;
const VALUED = new Set(["--only", "--target", "--json", "--svg", ...NUMBERS.map(([name]) => name)]);

function isPositive(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value > 0;
}
