// ratios.ts: cycles of acquire and release with 256 under way from one client process: of Forelock through one of its nodes, and of two
// locks on the same etcd members. They take turns within a repetition, so that a slow minute of the machine hurts all of them.

import { runJob } from "../driver/start.ts";
import { median } from "../statistics.ts";
import { count, duration } from "../table.ts";
import { etcd3 } from "../target/etcd3.ts";
import { forelock } from "../target/forelock.ts";
import { SHARED_LEASE } from "../target/shared-lease.ts";
import type { Fleet } from "./fleet.ts";
import type { ClusterRun, CyclesFound, Found } from "./run.ts";

export const IN_FLIGHT = 256;
const WARM_UP_MS = 2_000;

export async function measureRatios(run: ClusterRun, fleet: Fleet): Promise<NonNullable<Found["ratios"]>> {
  const { repetitions, seconds } = run.options;
  const targets = [
    { target: forelock.name, endpoint: fleet.nodes[0]!.endpoint }, // There are two or more.
    { target: etcd3.name, endpoint: fleet.members.endpoints },
    { target: SHARED_LEASE, endpoint: fleet.members.endpoints },
  ];
  const found = new Map<string, Cycles[]>(targets.map(({ target }) => [target, []]));
  for (let repetition = 1; repetition <= repetitions; repetition += 1) {
    for (const { target, endpoint } of targets) {
      const cycles = await measure(fleet, target, endpoint, seconds * 1_000);
      found.get(target)!.push(cycles); // Of the same list.
      const { perSecond, p50Ms, cpuMsPerCycle } = cycles;
      run.say(
        `${repetition}/${repetitions}  ${target}  ${count(perSecond)} cycles/s, p50 ${duration(p50Ms)}, ${duration(cpuMsPerCycle)} of CPU each`,
      );
    }
  }
  const of = (target: string): CyclesFound => summary(found.get(target) ?? []);
  return { forelock: of(forelock.name), etcd3: of(etcd3.name), "shared-lease": of(SHARED_LEASE) };
}

interface Cycles {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerCycle: number;
}

async function measure(fleet: Fleet, target: string, endpoint: string, measureMs: number): Promise<Cycles> {
  const cpuMs = { measuring: Number.NaN, measured: Number.NaN };
  const result = await runJob(
    { kind: "cycles", target, endpoint, connections: 1, inFlight: IN_FLIGHT, warmUpMs: WARM_UP_MS, measureMs },
    {
      msMax: measureMs * 11 + WARM_UP_MS + 60_000,
      onPhase: (phase) => {
        cpuMs[phase] = fleet.cpuMs("nodes") + fleet.cpuMs("members");
      },
    },
  );
  if (result.cycles === 0) throw new Error(`${target} finished no cycle in ten times the window.`);
  return {
    perSecond: (result.cycles * 1_000) / result.elapsedMs,
    p50Ms: result.cycle.p50Ms,
    p99Ms: result.cycle.p99Ms,
    cpuMsPerCycle: (cpuMs.measured - cpuMs.measuring + result.clientCpuMs) / result.cycles,
  };
}

function summary(repetitions: readonly Cycles[]): CyclesFound {
  return {
    perSecond: repetitions.map(({ perSecond }) => perSecond),
    p50Ms: median(repetitions.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(repetitions.map(({ p99Ms }) => p99Ms)),
    cpuMsPerCycle: median(repetitions.map(({ cpuMsPerCycle }) => cpuMsPerCycle)),
  };
}
