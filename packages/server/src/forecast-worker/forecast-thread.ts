// forecast-thread.ts: the thread that fits models (fitter.ts). Entry of a worker thread (forecast-worker.ts): takes jobs, answers
// with tables, ends when its port is closed.
import { parentPort, workerData } from "node:worker_threads";
import { FitSchedule, lstmChallenger, REFIT_RULES, ridgeChallenger, sarimaChallenger } from "@forelock/forecast";
import type { Timer } from "../clock.ts";
import { realClock } from "../real-time.ts";
import { Fitter } from "./fitter.ts";
import type { ForecastJob, ForecastTable, FromThread, ThreadOptions } from "./job.ts";

const { budgetRatio, keysMax, seed } = workerData as ThreadOptions; // What forecast-worker.ts starts the Worker with.
const post = (message: FromThread): void => parentPort?.postMessage(message);
const nowMs = (): number => realClock.monotonicMs();
const fitter = new Fitter({
  challengers: [ridgeChallenger, sarimaChallenger, lstmChallenger],
  schedule: new FitSchedule({ rules: REFIT_RULES, budgetRatio, keysMax }, nowMs()),
  seed,
  nowMs,
  say: (table: ForecastTable) => post({ kind: "table", table }),
});

let timer: Timer | undefined;
parentPort?.on("message", (job: ForecastJob) => {
  fitter.take(job);
  post({ kind: "taken" });
  if (timer === undefined) work();
});

function work(): void {
  const waitMs = fitter.step();
  timer = waitMs === undefined ? undefined : realClock.after(waitMs, work);
}
