// run.ts: `npm run sim -- --cluster`: runs seeds of whole clusters, one after the other. For one that fails: what broke, the last lines
// of its trace, and the command that repeats it.
import { CLUSTER_FAULTS } from "./profile.ts";
import { type ClusterOrder, commandOf, runClusterSeed } from "./seed.ts";

const LAST_LINES = 40;

export interface ClusterRuns {
  readonly first: number;
  readonly seeds: number;
  readonly steps: number;
  readonly without: readonly string[];
  readonly isTraced: boolean;
  /** Goes on after a failure. */
  readonly isKept: boolean;
}

/** @returns how many seeds failed */
export async function runClusters({ first, seeds, steps, without, isTraced, isKept }: ClusterRuns): Promise<number> {
  for (const fault of without)
    if (!(CLUSTER_FAULTS as readonly string[]).includes(fault))
      throw new Error(`--without ${fault}: there are ${CLUSTER_FAULTS.join(", ")}`);
  const print = isTraced ? (line: string): void => console.log(line) : undefined;
  const totals = new Map<string, number>();
  let [failed, done, simulatedMs, events] = [0, 0, 0, 0];
  for (let seed = first; seed < first + seeds; seed += 1) {
    const order: ClusterOrder = { seed, steps, without: new Set(without), print };
    const { result, trace } = await runClusterSeed(order);
    done += 1;
    simulatedMs += result.simulatedMs;
    events += result.events;
    for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
    if (result.violation === undefined) {
      if (seeds === 1) console.log(`seed ${seed} hash ${trace.hash} (${trace.count} lines)`);
      continue;
    }
    failed += 1;
    console.log(`seed ${seed} at step ${result.step}: ${result.violation.message}`);
    if (!isTraced && !isKept) console.log(trace.last(LAST_LINES).join("\n"));
    console.log(`Repeat it: ${commandOf(order)}`);
    if (!isKept) break;
  }
  for (const [name, count] of [...totals].sort()) console.log(`${String(count).padStart(10)}  ${name}`);
  const hours = (simulatedMs / 3_600_000).toFixed(2);
  console.log(`${done} clusters, ${failed} failed; ${hours} simulated hours, ${events} events`);
  return failed;
}
