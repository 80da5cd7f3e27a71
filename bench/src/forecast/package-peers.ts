// package-peers.ts: forecasts of npm packages as peers. They run in a process of their own, because they are slow, print to the
// standard output and may take the process with them. Not here: the packages themselves (package-process.ts).
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Series } from "./series-file.ts";
import { originsOf, PointTally, scaleOf } from "./series-score.ts";

export const PACKAGES = ["arima", "augurs"] as const;
export type PackageName = (typeof PACKAGES)[number];

/** One forecast that is asked of the process. */
export interface Question {
  readonly package: PackageName;
  /** Oldest first, without gaps. */
  readonly history: readonly number[];
  readonly seasonSteps: number;
  readonly horizon: number;
}
export type Answer = { readonly points: readonly number[] } | { readonly failure: string };

export interface PackageScore {
  readonly name: PackageName;
  /** Mean over the series, at a few origins of each; `undefined`: not there, or no origin was answered. */
  readonly maseMean: number | undefined;
  readonly answered: number;
  readonly asked: number;
  readonly note: string | undefined;
}

/** Every so many of the 16 origins: a fit takes up to seconds. */
const ORIGIN_EVERY = 5;
const HISTORY_MAX = 1_500;
const ANSWER_MS_MAX = 20_000;

/** Asks one package for a few origins of each series. */
export async function scorePackage(name: PackageName, all: readonly Series[]): Promise<PackageScore> {
  using process = new PackageProcess();
  const scores: number[] = [];
  let asked = 0;
  let answered = 0;
  let note: string | undefined;
  for (const series of all) {
    const { values, seasonSteps, horizon } = series;
    const tally = new PointTally(scaleOf(values, Math.floor(values.length * 0.6), seasonSteps));
    let isScored = false;
    for (const origin of packageOrigins(series)) {
      const history = withoutGaps(values.subarray(Math.max(0, origin - HISTORY_MAX), origin));
      asked += 1;
      const answer = await process.ask({ package: name, history, seasonSteps, horizon });
      if ("failure" in answer) {
        note ??= answer.failure;
        if (answered === 0 && asked >= 3) return { name, maseMean: undefined, answered, asked, note };
        continue;
      }
      answered += 1;
      isScored = true;
      tally.add(values.subarray(origin, origin + horizon), answer.points);
    }
    if (isScored) scores.push(tally.mase());
  }
  const maseMean = scores.length === 0 ? undefined : scores.reduce((sum, score) => sum + score, 0) / scores.length;
  return { name, maseMean, answered, asked, note };
}

/** The few origins that packages are asked for. */
export function packageOrigins({ values, horizon }: Series): readonly number[] {
  return originsOf(values.length, horizon).filter((_, index) => index % ORIGIN_EVERY === 0);
}

function withoutGaps(values: Float64Array): readonly number[] {
  let last = values.find((value) => !Number.isNaN(value)) ?? 0;
  return Array.from(values, (value) => {
    last = Number.isNaN(value) ? last : value;
    return last;
  });
}

/** Owns the child; starts another when it died or did not answer in time. */
class PackageProcess {
  #child: ChildProcess | undefined;

  async ask(question: Question): Promise<Answer> {
    const child = this.#child ?? this.#start();
    return new Promise((resolve) => {
      const finish = (answer: Answer): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        child.on("error", () => undefined); // A child that cannot be killed or reached is given up.
        resolve(answer);
      };
      const fail = (failure: string): void => {
        this.#stop();
        finish({ failure });
      };
      const timer = setTimeout(() => fail(`no answer within ${ANSWER_MS_MAX / 1_000} s`), ANSWER_MS_MAX);
      child.once("message", (message) => finish(message as Answer)); // Its only message, as package-process.ts sends it.
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code, signal) => fail(`its process ended with ${code ?? signal}`));
      child.send(question);
    });
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #start(): ChildProcess {
    const path = fileURLToPath(new URL("./package-process.js", import.meta.url));
    this.#child = fork(path, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    return this.#child;
  }

  #stop(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }
}
