// driver/start.ts: runs a job in a client process of its own, which starts fresh, so that no measurement inherits another's heap.
//   D1. Every job has an end: past its time the process is ended and the run fails with a sentence.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FromClient, Job, JobResult } from "./job.ts";

const ENTRY = fileURLToPath(new URL("./main.js", import.meta.url));

export interface JobOptions {
  readonly nodeFlags?: readonly string[];
  readonly msMax: number;
  /** Called when the client's warm-up is over, and again when its measurement is. */
  readonly onPhase?: (phase: "measuring" | "measured") => void;
}

/** What a client answers to a job: the result of the job's own kind. */
type ResultOf<Asked extends Job> = Extract<JobResult, { readonly kind: Asked["kind"] }>;

export async function runJob<Asked extends Job>(job: Asked, options: JobOptions): Promise<ResultOf<Asked>> {
  const { result, end } = await startJob(job, options);
  await end();
  return result;
}

export interface StartedJob<Asked extends Job> {
  readonly result: ResultOf<Asked>;
  end(): Promise<void>;
}

/** Like runJob, but the client process lives on, with what it holds, until `end`. */
export async function startJob<Asked extends Job>(job: Asked, options: JobOptions): Promise<StartedJob<Asked>> {
  const child = fork(ENTRY, { execArgv: [...(options.nodeFlags ?? [])] });
  const killer = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", killer);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void ended.then(() => process.removeListener("exit", killer));
  const end = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    const hard = setTimeout(killer, 20_000);
    await ended;
    clearTimeout(hard);
  };
  try {
    const result = await answer(child, job, options);
    return { result: result as ResultOf<Asked>, end }; // A client answers with the kind that it was asked for.
  } catch (error) {
    await end();
    throw error;
  }
}

function answer(child: ChildProcess, job: Job, options: JobOptions): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`The client was not done within ${options.msMax} ms.`)),
      options.msMax,
    ); // D1
    const settle = (act: () => void): void => {
      clearTimeout(late);
      act();
    };
    child.once("error", (error) => settle(() => reject(error)));
    child.once("exit", (code) => settle(() => reject(new Error(`The client ended early with ${code}.`))));
    child.on("message", (message: FromClient) => {
      if (message.kind === "measuring" || message.kind === "measured") options.onPhase?.(message.kind);
      else if (message.kind === "done") settle(() => resolve(message.result));
      else settle(() => reject(new Error(message.message)));
    });
    child.send(job);
  });
}
