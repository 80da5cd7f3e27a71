// kinds.ts: the faults of a cluster, and the lanes they are in.
import type { Lane } from "../../faults/fault.ts";
import { forcedRelease } from "../../faults/operator.ts";
import type { ClusterScene } from "../scene.ts";
import type { ClusterFault } from "./aim.ts";
import { compaction, killMember, leaderChange, pauseMember, quota } from "./etcd.ts";
import { cutMember, cutOneWay, cutTwoWays, gateStorms, loss, unplug } from "./network.ts";
import { killOwner, killStandby, leave, pauseOwner, pauseOwnerLong, pauseStandby } from "./nodes.ts";
import { move } from "./operator.ts";

export const CLUSTER_FAULTS: readonly ClusterFault[] = [
  killOwner,
  killStandby,
  pauseOwner,
  pauseOwnerLong,
  pauseStandby,
  leave,
  killMember,
  pauseMember,
  leaderChange,
  quota,
  compaction,
  cutTwoWays,
  cutOneWay,
  cutMember,
  unplug,
  loss,
  ...gateStorms,
  move,
  forcedRelease(({ scene }) => scene.way),
];

const always = (): boolean => true;

export const CLUSTER_LANES: readonly Lane<ClusterScene>[] = [
  { name: "nodes", calmMs: [1_500, 3_500], target: "a node", isReady: always },
  { name: "etcd", calmMs: [1_500, 3_500], target: "etcd", isReady: always },
  { name: "network", calmMs: [800, 2_500], target: "a node", isReady: always },
  { name: "operator", calmMs: [500, 2_000], target: "a node", isReady: always },
];
