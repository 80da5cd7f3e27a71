// storm.ts: inflicts faults on a scene until told to stop: one at a time in each lane, the lanes beside each other.
//   S1. Every kind that can be done here is done at least once before any is drawn by chance, time permitting.
//   S2. A server that does not come up again ends the storm: that is a failure of the run.
import { pause } from "../../proxy/clock.ts";
import { between, type Random } from "../../proxy/random.ts";
import { failingSync, fullDisk, lyingPowerCut, lyingSync, powerCut } from "./disk.ts";
import type { Fault, FaultContext, FaultRecord, Lane } from "./fault.ts";
import { halfClose, reset, storms } from "./network.ts";
import { forcedRelease } from "./operator.ts";
import { freeze, kill, killTwice, terminate } from "./process.ts";

/** All but those that are meant to break the promises. */
export const FAULTS: readonly Fault[] = [
  kill,
  killTwice,
  freeze,
  terminate,
  powerCut,
  failingSync,
  lyingSync,
  fullDisk,
  ...storms,
  reset,
  halfClose,
  forcedRelease,
];

const ALL: readonly Fault[] = [...FAULTS, lyingPowerCut];
const LANES: readonly Lane[] = ["process", "network", "operator"];
/** Calm between two faults of a lane: clients must get to work, or everything is `unknown`. */
const CALM_MS: Readonly<Record<Lane, readonly [least: number, most: number]>> = {
  process: [1_500, 4_000],
  network: [500, 2_000],
  operator: [300, 1_200],
};

/** @throws when a name is not known */
export function faultsNamed(names: readonly string[] | undefined): readonly Fault[] {
  if (names === undefined) return FAULTS;
  return names.map((name) => {
    const fault = ALL.find(({ kind }) => kind === name);
    if (fault === undefined)
      throw new Error(`no such fault: ${name}; there are ${ALL.map(({ kind }) => kind).join(", ")}`);
    return fault;
  });
}

export interface StormReport {
  readonly records: readonly FaultRecord[];
  /** Why the scene is beyond use; undefined when it is not. */
  readonly failure: string | undefined;
}

export async function storm(
  faults: readonly Fault[],
  context: FaultContext,
  signal: AbortSignal,
): Promise<StormReport> {
  const records: FaultRecord[] = [];
  const failures: string[] = [];
  const giveUp = new AbortController();
  const stop = AbortSignal.any([signal, giveUp.signal]);
  const lanes = LANES.map(async (lane) => {
    const own = faults.filter((fault) => fault.lane === lane);
    const due = shuffled(own, context.random); // S1
    while (own.length > 0 && !stop.aborted) {
      await pause(context.clock, between(context.random, ...CALM_MS[lane]), stop);
      if (stop.aborted) return;
      // What happens to a network that carries nothing proves nothing.
      if (lane !== "process" && context.scene.port === undefined) continue;
      const fault = due.shift() ?? drawn(own, context.random);
      try {
        records.push(await inflicted(fault, context));
      } catch (error) {
        failures.push(`${fault.kind}: ${error instanceof Error ? error.message : String(error)}`);
        giveUp.abort(); // S2
      }
    }
  });
  await Promise.all(lanes);
  return { records, failure: failures[0] };
}

async function inflicted(fault: Fault, context: FaultContext): Promise<FaultRecord> {
  const startNs = context.history.nowNs();
  const seen = await fault.inflict(context);
  return {
    fault: fault.kind,
    target: fault.lane === "network" ? "proxy" : "n1",
    start_ns: startNs,
    end_ns: context.history.nowNs(),
    happened: seen !== undefined,
    seen: seen ?? "",
  };
}

function drawn(faults: readonly Fault[], random: Random): Fault {
  let left = random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    left -= fault.weight;
    if (left <= 0) return fault;
  }
  throw new Error("there is no fault to draw");
}

function shuffled(faults: readonly Fault[], random: Random): Fault[] {
  return faults
    .map((fault) => ({ fault, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ fault }) => fault);
}
