// summary.ts: what befell a cluster, fault by fault: who took over, and how long nobody was answered. The rest is every run's
// (../summary.ts).
import type { ClusterFaultRecord } from "./aftermath.ts";
import type { ClusterTortureReport } from "./run.ts";

export function clusterLines({ faults, lack, skipped }: ClusterTortureReport): string {
  const without = skipped.map((line) => line.split(":")[0]).join(", ");
  const hosts =
    lack === undefined
      ? "hosts       each node and each member of etcd had one of its own"
      : `hosts       all on loopback (${lack}); skipped for that: ${without}`;
  return [hosts, ...faults.map(faultLine)].join("\n");
}

function faultLine({
  fault,
  target,
  start_ns,
  seen,
  happened,
  owners,
  pause_ns,
  pause_key,
}: ClusterFaultRecord): string {
  const at = `${(start_ns / 1e9).toFixed(1).padStart(6)} s`;
  const took = Object.entries(owners).map(([node, partitions]) => `${node} took ${partitions.length}`);
  const pause = pause_key === "" ? "" : `; ${Math.round(pause_ns / 1e6)} ms without an answer about ${pause_key}`;
  const what = happened ? seen : "did not happen";
  return `${at}  ${fault} ${target}: ${what}; ${took.join(", ") || "owners as before"}${pause}`;
}
