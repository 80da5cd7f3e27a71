// profile.ts: what one seed is like: how many clients, how hostile the world, how small the limits. Drawn once, at the start.
import type { NodeLimits } from "forelock/internal";
import { between, choose, forkRandom } from "../proxy/random.ts";
import type { PreemptionBounds } from "./preemption.ts";

export const FAULTS = [
  "cut",
  "loss",
  "delay",
  "client_pause",
  "client_death",
  "client_skew",
  "crash",
  "power",
  "pause",
  "slow_disk",
  "disk_error",
  "snapshot",
  "wall_clock",
  "folder_error",
  "client_hang",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Profile {
  readonly seed: number;
  readonly steps: number;
  readonly clients: number;
  readonly partitions: number;
  readonly segmentBytes: number;
  readonly snapshotBytes: number;
  /** Chance that a step is a fault, in [0, 1]. */
  readonly faultRatio: number;
  readonly faults: ReadonlySet<Fault>;
  readonly paceMs: number;
  readonly limits: NodeLimits;
  /** The same in every policy that is set. */
  readonly bounds: PreemptionBounds;
  /** Whether forecasts are as bad as they can be (adversary.ts). */
  readonly isAdverse: boolean;
  /** Whether every policy that is set enforces, and everybody who is waited for is accused. */
  readonly isStrict: boolean;
}

const ADVERSE_RATIO = 0.35;

export function drawProfile(seed: number, steps: number, without: ReadonlySet<Fault>): Profile {
  const random = forkRandom(seed, "profile");
  const foresight = forkRandom(seed, "foresight");
  const limits: NodeLimits = {
    waitersMax: choose(random, [3, 8, 30]),
    locksMax: choose(random, [6, 12, 40]),
    sessionsMax: choose(random, [12, 60, 200]),
    tombstonesMax: 1_000,
    unansweredMax: choose(random, [8, 30, 100]),
    keptMax: choose(random, [4, 20, 100]),
    priorityStepMs: 500,
    fileBytesMax: choose(random, [400, 20_000]),
    filesMax: choose(random, [2, 20]),
    fileCreate: random() < 0.8 ? "append" : "listed",
    effectsMax: choose(random, [3, 50]),
    dueMax: choose(random, [1, 100]),
    grantsPerTurnMax: choose(random, [1, 2, 100]),
    sessionTtlMs: 4_000,
    sessionTtlMsMax: 10_000,
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
    clients: between(random, 2, 9),
    partitions: between(random, 1, 4),
    segmentBytes: choose(random, [16, 32, 64]) * 1_024,
    snapshotBytes: choose(random, [24, 100, 1_000]) * 1_024,
    faultRatio: choose(random, [0, 0.01, 0.03, 0.08]),
    faults: new Set(FAULTS.filter((fault) => random() < 0.75 && !without.has(fault))),
    paceMs: choose(random, [2, 20, 60]),
    limits,
    bounds: {
      // No less than where nothing is set, which holds for warnings by hand there.
      extensionsMax: choose(foresight, [2, 3]),
      extensionMsMax: 3_000,
      preemptionsPerHourMax: choose(foresight, [0, 1, 2, 1_000, 1_000]),
      coolDownMs: choose(foresight, [0, 0, 1_500, 60_000]),
    },
    isAdverse: foresight() < ADVERSE_RATIO,
    isStrict: false,
  };
}

/** The same run with as much pre-emption as there can be: few rules refuse it, clients hang and servers crash often. */
export function strict(profile: Profile): Profile {
  const { limits, bounds, clients, seed } = profile;
  const room = { waitersMax: 30, locksMax: 40, sessionsMax: 200, unansweredMax: 100, keptMax: 100, effectsMax: 50 };
  const faults: readonly Fault[] = ["client_hang", "crash", "power", "snapshot", "cut", "delay", "pause"];
  return {
    ...profile,
    limits: { ...limits, ...room },
    bounds: { ...bounds, preemptionsPerHourMax: 1_000, coolDownMs: 0 },
    faults: new Set(faults),
    ...{ faultRatio: 0.08, isAdverse: seed % 2 === 0, isStrict: true, clients: Math.max(6, clients) },
  };
}
