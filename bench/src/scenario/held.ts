// scenario/held.ts: does a million held elements slow down the others, and what does each cost in memory?
//   H1. Resident memory is read after a pause, before and after the elements are acquired, with no other load between.

import type { Job } from "../driver/job.ts";
import { type StartedJob, startJob } from "../driver/start.ts";
import { pause } from "../server-process.ts";
import { count } from "../table.ts";
import { forelock, startForelock } from "../target/forelock.ts";
import type { StartedTarget } from "../target/target.ts";
import { type Bench, measureCycles } from "./bench.ts";

const FEW_HELD = { scenario: "held", target: "forelock", load: "1,000 held" } as const;
const manyHeld = (elements: number) => ({ ...FEW_HELD, load: `${count(elements)} held` });
type HoldJob = Extract<Job, { kind: "hold" }>;
const FEW = 1_000;
const MANY = 1_000_000;
const IN_FLIGHT = 256;
const HOLDER_CONNECTIONS = 16;
const SETTLE_MS = 3_000;

/** Two servers, one with few and one with many, measured in turns: a slow minute of the machine hurts both. */
export async function runHeldScenario(bench: Bench): Promise<void> {
  if (!bench.targets.includes(forelock)) return;
  const elements = Math.round(MANY / bench.options.scale);
  const manyLoad = manyHeld(elements); // As many as there are: a scaled run is not judged as a whole one.
  const few = await startForelock({ folder: bench.scratch.folder("few-held") });
  const many = await startForelock({ folder: bench.scratch.folder("many-held") });
  try {
    const holders = [await hold(few, FEW), await hold(many, FEW)];
    const bytesBefore = await settledBytes(many);
    const rest = await hold(many, elements, "more");
    bench.say(`${count(elements)} elements acquired in ${count(rest.result.elapsedMs)} ms`);
    const bytesEach = ((await settledBytes(many)) - bytesBefore) / elements;
    bench.ledger.add({ ...manyLoad, metric: "residentBytesPerElement" }, bytesEach);
    bench.say(`${count(bytesEach)} bytes of resident memory each`);
    for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
      for (const [started, load] of [
        [few, FEW_HELD],
        [many, manyLoad],
      ] as const) {
        const perSecond = await measureCycles(bench, started, { ...load, connections: 1, inFlight: IN_FLIGHT });
        bench.say(`${repetition}/${bench.options.repetitions}  ${load.load}  ${count(perSecond)} cycles/s`);
      }
    }
    for (const holder of [...holders, rest]) await holder.end();
  } finally {
    await few.server.kill();
    await many.server.kill();
  }
}

function hold({ endpoint }: StartedTarget, elements: number, prefix = "few"): Promise<StartedJob<HoldJob>> {
  const job: HoldJob = { kind: "hold", endpoint, prefix, elements, connections: HOLDER_CONNECTIONS };
  return startJob(job, { msMax: 600_000, nodeFlags: ["--max-old-space-size=8192"] });
}

/** H1 */
async function settledBytes({ server }: StartedTarget): Promise<number> {
  await pause(SETTLE_MS);
  return server.usage()?.residentBytes ?? Number.NaN;
}
