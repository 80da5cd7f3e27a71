// cluster.ts: the figures of a torture run of a whole cluster. Its pauses are those of one machine that has all the hosts: no goals.
import type { ClusterTortureReport } from "../torture/cluster/run.ts";
import { hasFailed } from "../torture/summary.ts";
import { type Figure, figure, judged, towards } from "./figure.ts";

export function cluster(report: ClusterTortureReport): readonly Figure[] {
  const { check, failures, problems, faults } = report;
  const happened = faults.filter((fault) => fault.happened);
  const kinds = new Set(happened.map(({ fault }) => fault));
  const pauseMs = (kind: string): number =>
    Math.max(0, ...happened.filter(({ fault }) => fault === kind).map(({ pause_ns }) => pause_ns / 1e6));
  return [
    towards(figure("cluster", "operations checked", check.operations, "operations"), ""),
    judged(figure("cluster", "violations", check.violations.length, "violations"), "0", check.violations.length === 0),
    judged(
      figure("cluster", "failures beside the history", failures.length + problems.length, "failures"),
      "0",
      !hasFailed(report),
    ),
    towards(figure("cluster", "fault kinds that happened", kinds.size, "kinds"), "each 200 times a release"),
    figure("cluster", "faults that happened", happened.length, "faults"),
    figure("cluster", "longest time without an answer, owner killed", pauseMs("kill_owner"), "ms"),
    figure("cluster", "longest time without an answer, leader of etcd changed", pauseMs("leader_change"), "ms"),
  ];
}
