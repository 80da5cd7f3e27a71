// profile.ts: what one seed of a cluster is like. Drawn once, at the start.
import type { NodeLimits } from "forelock/internal";
import { between, choose, forkRandom } from "../proxy/random.ts";

export const CLUSTER_FAULTS = [
  /** One node is cut from etcd: its requests, the answers, only what writes, or all by chance. */
  "etcd_way",
  /** Etcd refuses everybody. */
  "etcd_refuses",
  /** What watches bring is late, doubled, lost, or ends. */
  "watch",
  /** A node is cut from another, or from both, one way or both ways. */
  "peer_cut",
  "pause",
  "crash",
  /** Given away in order, and started again. */
  "leave",
  "drain",
  "pin",
  "drift",
  "client_cut",
  "client_loss",
  "client_delay",
  "client_pause",
  "client_death",
] as const;
export type ClusterFault = (typeof CLUSTER_FAULTS)[number];

export interface ClusterProfile {
  readonly seed: number;
  readonly steps: number;
  readonly nodes: number;
  readonly clients: number;
  readonly partitions: number;
  readonly snapshotBytes: number;
  /** Chance that a step is a fault, in [0, 1]. */
  readonly faultRatio: number;
  readonly faults: ReadonlySet<ClusterFault>;
  readonly paceMs: number;
  readonly limits: NodeLimits;
}

/** In [0, 1]: each way from 1; so two clocks differ by twice that. */
export const DRIFT_RATIO = 0.01;

export function drawClusterProfile(seed: number, steps: number, without: ReadonlySet<string>): ClusterProfile {
  const random = forkRandom(seed, "cluster");
  const limits: NodeLimits = {
    waitersMax: choose(random, [8, 30]),
    locksMax: choose(random, [12, 40]),
    sessionsMax: 200,
    tombstonesMax: 1_000,
    unansweredMax: choose(random, [30, 100]),
    keptMax: choose(random, [20, 100]),
    priorityStepMs: 500,
    fileBytesMax: choose(random, [2_000, 20_000]),
    filesMax: 20,
    fileCreate: "append",
    effectsMax: 50,
    dueMax: choose(random, [1, 100]),
    grantsPerTurnMax: choose(random, [1, 2, 100]),
    sessionTtlMs: 10_000,
    sessionTtlMsMax: 20_000,
    keepMs: 25_000,
    keepMsMax: 30_000,
    awaitsMax: choose(random, [2, 100]),
    deadlockCheckMs: 300,
    frameBytesMax: 1_048_576,
    frameOperationsMax: 1_000,
    requestsInFlightMax: 1_000,
  };
  return {
    seed,
    steps,
    nodes: 3,
    clients: between(random, 3, 7),
    partitions: between(random, 3, 6),
    snapshotBytes: choose(random, [2, 16, 1_000]) * 1_024,
    faultRatio: choose(random, [0.03, 0.08, 0.15]),
    faults: new Set(CLUSTER_FAULTS.filter((fault) => random() < 0.8 && !without.has(fault))),
    paceMs: choose(random, [20, 60, 150]),
    limits,
  };
}
