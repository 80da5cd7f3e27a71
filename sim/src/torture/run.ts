// run.ts: a torture run of one server: which faults, on which scene. Not here: how a run goes (play.ts).
import { writeFileSync } from "node:fs";
import type { FaultRecord } from "./faults/fault.ts";
import { ALL_FAULTS, FAULTS, LANES } from "./faults/kinds.ts";
import { faultsNamed } from "./faults/storm.ts";
import type { TortureOptions } from "./options.ts";
import { play, type RunTools, type TortureReport } from "./play.ts";
import { Scene } from "./scene.ts";

const FREE_WITHIN_MS = 20_000;
/** Shorter runs may see none: a few clients hang every eight seconds. */
const PREEMPTED_WITHIN_S = 20;

export async function runTorture(
  { seed, seconds, history, faults }: Pick<TortureOptions, "seed" | "seconds" | "history" | "faults">,
  tools: RunTools,
): Promise<TortureReport> {
  const wanted = faultsNamed(faults, FAULTS, ALL_FAULTS);
  const kinds = wanted.map(({ kind }) => kind);
  const place = await Scene.open({
    ...tools,
    seed,
    wantsImage: kinds.some((kind) => ["power_cut", "full_disk", "lying_power_cut"].includes(kind)),
    wantsShim: kinds.some((kind) => ["failing_sync", "lying_sync", "full_disk", "lying_power_cut"].includes(kind)),
  });
  const { report } = await play({
    ...tools,
    ...{ run: "torture", nodes: 1, history, seed, seconds, place, wanted, lanes: LANES, tells: false },
    preemptedWithinS: PREEMPTED_WITHIN_S,
    freeWithinMs: FREE_WITHIN_MS,
  });
  writeFaults(history, report.faults);
  return report;
}

/** The side file. */
export function writeFaults(history: string, faults: readonly FaultRecord[]): void {
  writeFileSync(`${history}.faults.jsonl`, faults.map((record) => `${JSON.stringify(record)}\n`).join(""));
}
