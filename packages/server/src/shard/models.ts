// models.ts: what needs time to learn: how many requests an element gets by hour and day, and models that are fitted in the
// background for the busiest series and for the holds of the busiest pairs. Not here: the thread (forecast-worker/), the models and
// how they earn their say (the forecast package).
//   M1. Without the thread everything works: there are no challengers, that is all.
import { emptySeriesForecast, SeriesForecaster } from "@forelock/forecast";
import type { ForecastJob, ForecastTable } from "../forecast-worker/job.ts";
import type { Ledger } from "../preempt/ledger.ts";
import type { Profiles } from "./profiles.ts";

/** The thread that fits models. Neither call waits or throws. */
export interface ModelWorker {
  submit(job: ForecastJob): unknown;
  /** @returns a function that ends it */
  onTable(listen: (table: ForecastTable) => void): () => void;
}

export const STEP_MS = 300_000;
const SEASON_STEPS = 288;
const WEEK_STEPS = 2_016;
/** Elements whose arrivals are a series: the busiest of each step. */
const KEYS_MAX = 128;
const FITTED_MAX = 16;
const TABLE_STEPS = 48;
const DURATION_STEPS = 16;
/** The series of the node's own load. */
const LOAD_KEY = "\u0000load";
const HORIZON_STEPS = 12;

export class Models {
  readonly #profiles: Profiles;
  readonly #ledger: Ledger;
  readonly #worker: ModelWorker | undefined;
  readonly #series = new SeriesForecaster({
    stepMs: STEP_MS,
    seasonSteps: SEASON_STEPS,
    weekSteps: WEEK_STEPS,
    historySteps: 4_096,
    keysMax: KEYS_MAX + 1,
  });
  readonly #scratch = emptySeriesForecast(HORIZON_STEPS);
  readonly #withdraw: () => void;
  #steps = 0;

  constructor(profiles: Profiles, ledger: Ledger, worker: ModelWorker | undefined) {
    this.#profiles = profiles;
    this.#ledger = ledger;
    this.#worker = worker;
    this.#withdraw = worker?.onTable((table) => this.#take(table)) ?? ((): void => {});
  }

  close(): void {
    this.#withdraw();
  }

  /** A step is over. @param wallMs for the hour of the day; a clock that jumped only blurs the seasons */
  step(wallMs: number, loadRatio: number): void {
    this.#steps += 1;
    const t = Math.floor(wallMs / STEP_MS) * STEP_MS;
    for (const { name, requests } of this.#profiles.takeRequests(KEYS_MAX)) this.#observe(name, t, requests);
    this.#observe(LOAD_KEY, t, loadRatio);
    for (const event of this.#series.takeEvents()) {
      if (event.kind !== "promoted") continue;
      const what = event.key === LOAD_KEY ? "the load of the node" : `the requests for ${event.key}`;
      this.#ledger.remark({
        ...{ kind: "promoted", wallMs, name: event.key === LOAD_KEY ? "" : event.key, client: "", threshold: -1 },
        reason: `${event.model} (error ${event.score.toPrecision(3)}) took over from ${event.otherModel} (${event.otherScore.toPrecision(3)}) for ${what}.`,
      });
    }
    this.#submit();
  }

  /** Requests expected for the element in the next `ms`; 0 where too little is known. */
  expectedRequests(name: string, ms: number): number {
    const found = this.#series.forecast(name, HORIZON_STEPS, this.#scratch);
    if (found === undefined || !(ms > 0)) return 0;
    let expected = 0;
    let leftMs = Math.min(ms, HORIZON_STEPS * STEP_MS);
    for (let step = 0; step < found.steps && leftMs > 0; step += 1) {
      expected += Math.max(0, found.p50[step] ?? 0) * Math.min(1, leftMs / STEP_MS);
      leftMs -= STEP_MS;
    }
    return expected;
  }

  #observe(key: string, t: number, value: number): void {
    const newest = this.#series.newest(key);
    if (newest !== undefined && newest >= t) return; // The wall clock went back: what is there stays.
    this.#series.observe(key, t, value);
  }

  #submit(): void {
    if (this.#worker === undefined) return;
    for (const key of this.#series.busiest(FITTED_MAX)) {
      const origin = this.#series.newest(key);
      if (origin === undefined) continue;
      this.#worker.submit({
        kind: "series",
        key,
        values: this.#series.history(key),
        origin,
        observations: this.#steps,
        seasonSteps: SEASON_STEPS,
        weekSteps: WEEK_STEPS,
        steps: TABLE_STEPS,
      });
    }
    for (const { client, element, logs, end } of this.#profiles.holds.busiest(FITTED_MAX)) {
      const key = `\u0000${client}\n${element}`;
      this.#worker.submit({
        kind: "durations",
        key,
        client,
        element,
        values: logs,
        observations: end,
        steps: DURATION_STEPS,
      });
    }
  }

  #take(table: ForecastTable): void {
    if (table.kind === "durations") this.#profiles.holds.challenge(table.client, table.element, table.table);
    else this.#series.offer(table.key, table.model, table.origin, table.points);
  }
}
