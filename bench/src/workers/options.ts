// options.ts: the command line of `bench workers`. Pure.

export interface WorkersOptions {
  readonly workers: number;
  readonly seconds: number;
  readonly repetitions: number;
  readonly json: string | undefined;
}

export const WORKERS_USAGE = `Usage: npm run bench -- workers [options]

  One server that does everything in one thread beside one with several workers, under the same uniform load in turns: cycles a second, and
  the processor time of each thread. The goal: workers' times within 20 % of each other.

  --workers N        workers of the second server (default 2)
  --seconds S        of each measurement (default 4)
  --repetitions N    of each measurement, in turns (default 3)
  --json FILE        the machine and every number`;

const DEFAULTS = { "--workers": 2, "--seconds": 4, "--repetitions": 3 } as const;

/** A sentence for people when the arguments are not understood. */
export function parseWorkersOptions(words: readonly string[]): WorkersOptions | string {
  const counts: Record<string, number> = { ...DEFAULTS };
  let json: string | undefined;
  for (let index = 0; index < words.length; index += 2) {
    const word = words[index] ?? "";
    const value = words[index + 1];
    if (word !== "--json" && !(word in DEFAULTS)) return `${word} is not an option.`;
    if (value === undefined) return `${word} needs a value.`;
    if (word === "--json") json = value;
    else if (/^[1-9]\d{0,3}$/.test(value)) counts[word] = Number(value);
    else return `${word} is "${value}"; it takes a whole number from 1 to 9999.`;
  }
  const { "--workers": workers = 2, "--seconds": seconds = 4, "--repetitions": repetitions = 3 } = counts;
  if (workers < 2 || workers > 64) return `--workers is ${workers}; it takes 2 to 64.`;
  return { workers, seconds, repetitions, json };
}
