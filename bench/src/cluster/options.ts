// options.ts: the command line of `bench cluster`. Pure.

export const CLUSTER_PARTS = ["ratios", "moves", "deaths", "growth"] as const;
export type ClusterPart = (typeof CLUSTER_PARTS)[number];

export interface ClusterOptions {
  /** Empty: all. */
  readonly only: readonly ClusterPart[];
  readonly nodes: number;
  /** Of each measurement of cycles, after its warm-up. */
  readonly seconds: number;
  readonly repetitions: number;
  readonly moves: number;
  readonly deaths: number;
  readonly appendMb: number;
  /** "-": the object alone goes to the standard output. */
  readonly json: string | undefined;
}

/** What the goal of etcd's file is stated for. */
export const FULL_APPEND_MB = 2_048;
const STANDARD_OUTPUT = "-";

export const CLUSTER_USAGE = `Usage: npm run bench -- cluster [options]

  npm run bench -- cluster                        everything in its short form, about 7 minutes
  npm run bench -- cluster --full                 with ${FULL_APPEND_MB} MB appended
  npm run bench -- cluster --only moves --moves 200

  --only NAME        ${CLUSTER_PARTS.join(", ")}; may be repeated
  --nodes N          nodes beside three etcd members, 2 or more (default 3)
  --seconds S        of each measurement of cycles (default 5)
  --repetitions N    of each measurement of cycles, interleaved (default 5)
  --moves N          planned moves of a partition (default 100)
  --deaths N         owners killed (default 8)
  --append-mb N      appended while etcd's file is watched (default 384)
  --full             the same as --append-mb ${FULL_APPEND_MB}
  --json [FILE]      one object; without FILE it alone goes to the standard output`;

const NUMBERS = {
  "--nodes": 3,
  "--seconds": 5,
  "--repetitions": 5,
  "--moves": 100,
  "--deaths": 8,
  "--append-mb": 384,
} as const;
type NumberName = keyof typeof NUMBERS;

/** A sentence for people when the arguments are not understood. */
export function parseClusterOptions(words: readonly string[]): ClusterOptions | string {
  const values = new Map<string, string>();
  const only: ClusterPart[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!; // In range.
    const next = words[index + 1];
    const hasValue = next !== undefined && !next.startsWith("--");
    if (word === "--full") values.set("--append-mb", String(FULL_APPEND_MB));
    else if (word === "--json" && !hasValue) values.set(word, STANDARD_OUTPUT);
    else if (word in NUMBERS || word === "--json" || word === "--only") {
      if (!hasValue) return `${word} needs a value.`;
      const part = CLUSTER_PARTS.find((known) => known === next);
      if (word !== "--only") values.set(word, next);
      else if (part === undefined) return `There is no part ${next}: ${CLUSTER_PARTS.join(", ")}.`;
      else only.push(part);
      index += 1;
    } else return `${word} is not an option.`;
  }
  const number = (name: NumberName): number => Number(values.get(name) ?? NUMBERS[name]);
  const wrong = (Object.keys(NUMBERS) as NumberName[]).find((name) => !(number(name) > 0 && number(name) < 1e6));
  if (wrong !== undefined) return `${wrong} is positive.`;
  if (number("--nodes") < 2) return "--nodes is 2 or more: with one there is nobody to move to.";
  return {
    only,
    nodes: Math.ceil(number("--nodes")),
    seconds: number("--seconds"),
    repetitions: Math.ceil(number("--repetitions")),
    moves: Math.ceil(number("--moves")),
    deaths: Math.ceil(number("--deaths")),
    appendMb: number("--append-mb"),
    json: values.get("--json"),
  };
}
