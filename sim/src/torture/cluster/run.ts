// run.ts: `npm run torture -- --cluster`: a run of a whole cluster.
import { ELEMENTS } from "../elements.ts";
import { faultsNamed } from "../faults/storm.ts";
import type { TortureOptions } from "../options.ts";
import { play, type RunTools, type TortureReport } from "../play.ts";
import { writeFaults } from "../run.ts";
import { aftermathOf, type ClusterFaultRecord } from "./aftermath.ts";
import { CLUSTER_FAULTS, CLUSTER_LANES } from "./faults/kinds.ts";
import { ClusterScene } from "./scene.ts";

export interface ClusterTortureReport extends TortureReport {
  readonly faults: readonly ClusterFaultRecord[];
  /** Why hosts had no network of their own; undefined: they had. */
  readonly lack: string | undefined;
}

/** Several take-overs in a row may give a session its whole ttl each. */
const FREE_WITHIN_MS = 30_000;
const HOT = ELEMENTS.filter((name) => !name.startsWith("cold"));

export async function runClusterTorture(options: TortureOptions, tools: RunTools): Promise<ClusterTortureReport> {
  const { seed, seconds, history, faults, loopback } = options;
  const wanted = faultsNamed(faults, CLUSTER_FAULTS, CLUSTER_FAULTS);
  const place = await ClusterScene.open({ ...tools, seed, loopback, logs: history });
  const { report, lines } = await play({
    ...tools,
    ...{ run: "torture cluster", nodes: place.nodes.length, history, seed, seconds },
    ...{ place, wanted, lanes: CLUSTER_LANES, tells: true },
    preemptedWithinS: Number.POSITIVE_INFINITY, // A cluster under faults may spare everybody; one server may not.
    freeWithinMs: FREE_WITHIN_MS,
  });
  const told = aftermathOf(report.faults, lines, place.owners.changes, HOT);
  writeFaults(history, told);
  return { ...report, faults: told, lack: place.lack };
}
