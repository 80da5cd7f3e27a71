// forecast-worker.test.ts: the real thread, and threads that fail: the server must not notice. Needs a build, like every worker.
import { afterEach, expect, test } from "vitest";
import { realClock } from "../real-time.ts";
import { ManualClock } from "../shard/testing/world.ts";
import { ForecastWorker, type ForecastWorkerOptions, JOBS_MAX } from "./forecast-worker.ts";
import type { ForecastJob, ForecastTable } from "./job.ts";

const opened: ForecastWorker[] = [];
afterEach(async () => {
  for (const worker of opened.splice(0)) await worker.close();
});

function open(options: Partial<ForecastWorkerOptions> = {}): {
  readonly worker: ForecastWorker;
  readonly notes: string[];
} {
  const notes: string[] = [];
  const note = (line: string): void => void notes.push(line);
  const worker = new ForecastWorker({ clock: realClock, note, budgetRatio: 1, keysMax: 8, seed: 1, ...options });
  opened.push(worker);
  worker.start();
  return { worker, notes };
}

/** A thread that runs `code` with its port as `port`. */
const threadOf = (code: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort as port } from "node:worker_threads"; ${code}`)}`,
  );

const job = (key: string, length = 200): ForecastJob => ({
  kind: "series",
  key,
  values: Float64Array.from({ length }, (_, t) => 100 + 20 * Math.sin((2 * Math.PI * t) / 24) + ((t * 7919) % 13) / 10),
  origin: 42,
  observations: length,
  seasonSteps: 24,
  weekSteps: 168,
  steps: 24,
});

function tablesOf(worker: ForecastWorker, count: number): Promise<readonly ForecastTable[]> {
  const tables: ForecastTable[] = [];
  return new Promise((resolve) => {
    worker.onTable((table) => {
      if (tables.push(table) === count) resolve(tables);
    });
  });
}

test("the built thread answers a job with finite tables of ridge, SARIMA and LSTM", async () => {
  const failed = deferred();
  const { worker } = open({ note: (line, { cause }) => failed.reject(new Error(`${line}: ${String(cause)}`)) });
  const answered = Promise.race([tablesOf(worker, 3), failed.promise]);
  const submitted = job("cpu");
  expect(worker.submit(submitted)).toBe("queued");
  const tables = await answered;
  expect(tables.map(({ model }) => model)).toEqual(["ridge", "sarima", "lstm"]);
  for (const table of tables) {
    if (table.kind !== "series") throw new Error("the job was of a series");
    expect(table).toMatchObject({ key: "cpu", origin: 42, observations: 200 });
    expect(table.points.length).toBe(24);
    expect(table.points.every((value) => value > 50 && value < 150)).toBe(true);
  }
  expect(submitted.values.length).toBe(200); // The caller's values are still his.
  expect(worker.gauges()).toMatchObject({ state: "running", tables: 3, jobsWaiting: 0 });
});

test("a newer job takes the place of the one of its key that waits, and beyond the limit jobs are refused", () => {
  const { worker } = open({ entry: threadOf("port.on('message', () => {})"), clock: new ManualClock() }); // Takes nothing.
  expect(worker.submit(job("on its way"))).toBe("queued");
  for (let i = 0; i < JOBS_MAX; i++) expect(worker.submit(job(`key ${i}`, 2))).toBe("queued");
  expect(worker.submit(job("one more"))).toBe("full");
  expect(worker.submit(job("key 3"))).toBe("replaced");
  expect(worker.gauges()).toMatchObject({ jobsWaiting: JOBS_MAX, jobsRefused: 1 });
});

test("a thread that dies is started again after a rest that grows, and stays off in the end", async () => {
  const clock = new ManualClock();
  const { worker, notes } = open({ clock, entry: threadOf("throw new Error('broken')") });
  for (let failure = 1; failure <= 10; failure++) {
    await until(() => worker.gauges().state === "resting");
    expect(worker.submit(job("cpu"))).toBe("queued"); // The last one went down with the thread that it was sent to.
    await clock.advance(Math.min(60_000, 1_000 * 2 ** (failure - 1)) - 1);
    expect(worker.gauges().restarts).toBe(failure - 1);
    await clock.advance(1);
    expect(worker.gauges().restarts).toBe(failure);
  }
  await until(() => worker.gauges().state === "off");
  expect(worker.submit(job("cpu"))).toBe("off");
  expect(notes.at(-1)).toBe("forecast thread stays off");
});

test("a thread that takes no job for a minute is replaced", async () => {
  const clock = new ManualClock();
  const { worker } = open({ clock, entry: threadOf("port.on('message', () => { for (;;); })") });
  worker.submit(job("cpu"));
  await clock.advance(60_000);
  await until(() => worker.gauges().state === "resting");
  expect(worker.gauges().tables).toBe(0);
});

test("a thread without memory ends alone", async () => {
  const { worker, notes } = open({
    clock: new ManualClock(),
    heapMbMax: 16,
    entry: threadOf(
      "port.on('message', () => { const kept = []; for (;;) kept.push(new Array(1e6).fill(0).map((_, i) => i + 0.5)); })",
    ),
  });
  worker.submit(job("cpu"));
  await until(() => worker.gauges().state === "resting");
  expect(notes).toEqual(["forecast thread failed"]);
});

test("after close there are no tables and no thread", async () => {
  const { worker } = open();
  let tables = 0;
  worker.onTable(() => {
    tables += 1;
  });
  worker.submit(job("cpu"));
  await worker.close();
  expect(worker.submit(job("cpu"))).toBe("off");
  worker.start();
  expect(worker.gauges().state).toBe("off");
  expect(tables).toBe(0);
});

test("a table of no points is refused", () => {
  const { worker } = open({ clock: new ManualClock() });
  expect(() => worker.submit({ ...job("cpu"), steps: 0 } as ForecastJob)).toThrow(RangeError);
});

function deferred(): { readonly promise: Promise<never>; readonly reject: (cause: Error) => void } {
  let reject: (cause: Error) => void = () => {};
  const promise = new Promise<never>((_, refuse) => {
    reject = refuse;
  });
  return { promise, reject };
}

/** Threads end when they end: looks again in each turn. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
