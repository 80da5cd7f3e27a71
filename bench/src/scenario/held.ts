// scenario/held.ts: does a million held elements slow down the others, and what does each cost in memory?
//   H1. Resident memory is read after a pause, beside the same throughput run, so that both states carry the same garbage.

import type { Job } from "../driver/job.ts";
import { type StartedJob, startJob } from "../driver/start.ts";
import { pause } from "../server-process.ts";
import { count } from "../table.ts";
import { forelock, startForelock } from "../target/forelock.ts";
import type { StartedTarget } from "../target/target.ts";
import { type Bench, measureCycles } from "./bench.ts";

export const FEW_HELD = { scenario: "held", target: "forelock", load: "1,000 held" } as const;
export const MANY_HELD = { scenario: "held", target: "forelock", load: "1,000,000 held" } as const;
type HoldJob = Extract<Job, { kind: "hold" }>;
const FEW = 1_000;
const MANY = 1_000_000;
const IN_FLIGHT = 256;
const HOLDER_CONNECTIONS = 16;
const SETTLE_MS = 3_000;

export async function runHeldScenario(bench: Bench): Promise<void> {
  if (!bench.targets.includes(forelock)) return;
  const many = Math.round(MANY / bench.options.scale);
  const started = await startForelock({ folder: bench.scratch.folder("held") });
  try {
    const few = await hold(started, FEW);
    const fewBytes = await measure(bench, started, FEW_HELD);
    await few.end();
    const rest = await hold(started, many);
    bench.say(`${count(many)} elements acquired in ${count(rest.result.elapsedMs)} ms`);
    const manyBytes = await measure(bench, started, MANY_HELD);
    bench.ledger.add({ ...MANY_HELD, metric: "residentBytesPerElement" }, (manyBytes - fewBytes) / (many - FEW));
    bench.say(`${count((manyBytes - fewBytes) / (many - FEW))} bytes of resident memory each`);
    await rest.end();
  } finally {
    await started.server.kill();
  }
}

function hold({ endpoint }: StartedTarget, elements: number): Promise<StartedJob<HoldJob>> {
  const job: HoldJob = { kind: "hold", endpoint, elements, connections: HOLDER_CONNECTIONS };
  return startJob(job, { msMax: 600_000, nodeFlags: ["--max-old-space-size=8192"] });
}

async function measure(
  bench: Bench,
  started: StartedTarget,
  load: typeof FEW_HELD | typeof MANY_HELD,
): Promise<number> {
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    const perSecond = await measureCycles(bench, started, { ...load, connections: 1, inFlight: IN_FLIGHT });
    bench.say(`${repetition}/${bench.options.repetitions}  ${load.load}  ${count(perSecond)} cycles/s`);
  }
  await pause(SETTLE_MS); // H1
  const bytes = started.server.usage()?.residentBytes ?? Number.NaN;
  bench.ledger.add({ ...load, metric: "residentBytes" }, bytes);
  return bytes;
}
