import { expect, onTestFinished, test } from "vitest";
import type { WorkerStart } from "./messages.ts";
import { Workers } from "./workers.ts";

/** Nothing of it is read by the threads here. */
const START = {} as Omit<WorkerStart, "channels" | "worker" | "workers">;

/** Two threads of a program. */
function workersOf(program: string): { readonly workers: Workers; readonly lines: string[] } {
  const lines: string[] = [];
  const entry = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const workers = new Workers({ starts: [START, START], entry, log: (line) => lines.push(line) });
  onTestFinished(() => workers.close().catch(() => {}));
  return { workers, lines };
}

const OPENED = `
  import { parentPort, workerData } from "node:worker_threads";
  parentPort.postMessage({ kind: "opened", tails: new Map([[workerData.worker, { epoch: 7, sequence: 1 }]]), lastEpoch: 7 });
`;

test("each worker says what it found, and each question gets its own answer", async () => {
  const { workers } = workersOf(`${OPENED}
    parentPort.on("message", ({ id, question }) => {
      if (question.kind === "give") parentPort.postMessage({ kind: "failed", id, error: { code: "not_owner", message: "no" } });
      else setTimeout(() => parentPort.postMessage({ kind: "answer", id, value: workerData.worker }), 2 - workerData.worker);
    });`);
  const opened = await workers.opened();
  expect(opened.map(({ tails }) => [...tails.keys()])).toEqual([[0], [1]]);
  expect(await workers.askAll({ kind: "sample" })).toEqual([0, 1]);
  await expect(workers.hosts[1]?.give(3)).rejects.toMatchObject({ code: "not_owner" });
});

test("a worker that cannot open its stream says why", async () => {
  const { workers } = workersOf(`
    import { parentPort } from "node:worker_threads";
    parentPort.postMessage({ kind: "refused", error: { code: "log_damaged", message: "block 7", details: { offset: 7 } } });
    parentPort.on("message", () => {});`);
  await expect(workers.opened()).rejects.toMatchObject({ code: "log_damaged", details: { offset: 7 } });
});

test("a worker that ends fails what it was asked, and the server with it", async () => {
  const { workers } = workersOf(`${OPENED}
    parentPort.on("message", () => { throw new Error("broken"); });`);
  await workers.opened();
  await expect(workers.ask(1, { kind: "sample" })).rejects.toThrow("broken");
  await expect(workers.failed).rejects.toThrow("Worker 1 Error: broken");
  await expect(workers.ask(1, { kind: "sample" })).rejects.toThrow("broken");
});

test("a policy that one worker tells is told to the others, and lines of the log come out", async () => {
  const { workers, lines } = workersOf(`${OPENED}
    parentPort.on("message", ({ id, told, question }) => {
      if (told !== undefined) parentPort.postMessage({ kind: "log", line: "worker " + workerData.worker + " hears " + told.kind });
      else parentPort.postMessage({ kind: "answer", id });
    });
    if (workerData.worker === 0) parentPort.postMessage({ kind: "policies", rows: { policies: new Map() } });`);
  await workers.opened();
  await expect.poll(() => lines).toEqual(["worker 1 hears policies"]);
});
