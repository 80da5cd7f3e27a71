// scenario/disk.ts: one bare durable write of 4 KiB, beside one acquire of Forelock with nothing else under way, and beside one of the bare
// durable loop: what two processes that wake each other cost at least.

import { runJob } from "../driver/start.ts";
import { duration } from "../table.ts";
import { bareDurable } from "../target/bare.ts";
import { forelock } from "../target/forelock.ts";
import { type Bench, measureCycles } from "./bench.ts";

export const DISK_WRITE = { scenario: "disk", target: "O_DSYNC write", load: "4 KiB" } as const;
export const DISK_FORELOCK = { scenario: "disk", target: "forelock", load: "1 in flight" } as const;

export async function runDiskScenario(bench: Bench): Promise<void> {
  const folder = bench.scratch.folder("disk");
  const measureMs = bench.options.seconds * 1_000;
  const beside = [forelock, bareDurable].filter((target) => bench.targets.includes(target));
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    const { write } = await runJob({ kind: "disk", folder, measureMs }, { msMax: measureMs + 60_000 });
    bench.ledger.add({ ...DISK_WRITE, metric: "writeP50Ms" }, write.p50Ms);
    bench.ledger.add({ ...DISK_WRITE, metric: "writeP99Ms" }, write.p99Ms);
    bench.say(
      `${repetition}/${bench.options.repetitions}  O_DSYNC write  p50 ${duration(write.p50Ms)}  p99 ${duration(write.p99Ms)}`,
    );
    for (const target of beside) {
      const load = { ...DISK_FORELOCK, target: target.name, connections: 1, inFlight: 1 };
      await measureCycles(bench, await bench.started(target), load);
    }
  }
}
