// options.ts: the command line of the torture run.
import { parseArgs } from "node:util";

export interface TortureOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Where the history goes; the faults go beside it, as `<history>.faults.jsonl`. */
  readonly history: string;
  /** Undefined: all that can be done here. */
  readonly faults: readonly string[] | undefined;
  /** Three nodes on three members of etcd, instead of one server. */
  readonly cluster: boolean;
  /** A cluster without hosts of their own, also where there could be. */
  readonly loopback: boolean;
}

export const USAGE = `Usage: npm run torture -- [--seconds 60] [--seed 1] [--history FILE] [--faults kill,power_cut,...]
       npm run torture -- --cluster [--loopback] [--seconds 60] [--seed 1] [--history FILE] [--faults kill_owner,quota,...]

Runs a real server under real clients and real faults, writes the history of all operations, and checks it.
With --cluster: three nodes on three members of etcd, each on a host of its own (network namespaces, which need root, ip and nft; else
all on loopback, where some faults are skipped). Runs for --seconds, and until every kind of fault has had its turn.
Exits 1 when a promise was broken, 2 when it was called wrongly.

Examples:
  npm run torture -- --seconds 60 --seed 7 --history torture.jsonl
  npm run torture -- --seconds 20 --seed 7 --faults kill,lost_answers
  npm run torture -- --cluster --seconds 60 --seed 7
`;

const SECONDS_MAX = 86_400;

/** @param newFolder makes a place for a history that was given none @throws when a flag is unknown or out of range */
export function parseOptions(args: readonly string[], newFolder: () => string): TortureOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      history: { type: "string" },
      faults: { type: "string" },
      cluster: { type: "boolean", default: false },
      loopback: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    seconds: wholeNumber("--seconds", values.seconds, 1, SECONDS_MAX),
    seed: wholeNumber("--seed", values.seed, 0, 2 ** 32 - 1),
    history: values.history ?? `${newFolder()}/torture-${values.seed}.jsonl`,
    faults: values.faults?.split(",").filter((name) => name !== ""),
    cluster: values.cluster,
    loopback: values.loopback,
  };
}

/** The command that does the same again. */
export function commandOf({ seconds, seed, history, faults, cluster, loopback }: TortureOptions): string {
  const list = faults === undefined ? "" : ` --faults ${faults.join(",")}`;
  const what = `${cluster ? " --cluster" : ""}${loopback ? " --loopback" : ""}`;
  return `npm run torture --${what} --seconds ${seconds} --seed ${seed} --history ${history}${list}`;
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`${flag}: ${text}; allowed ${least} to ${most}`);
  }
  return value;
}
