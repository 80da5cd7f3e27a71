// scenario/bench.ts: what every scenario gets: options, a disk, the ledger, a voice. And the one way to measure cycles.

import { runJob } from "../driver/start.ts";
import type { Ledger } from "../ledger.ts";
import type { Options, ScenarioName } from "../options.ts";
import type { Scratch } from "../scratch.ts";
import type { StartedTarget, Target } from "../target/target.ts";

export interface Bench {
  readonly options: Options;
  readonly scratch: Scratch;
  readonly ledger: Ledger;
  /** What is measured beside each other, in this order. */
  readonly targets: readonly Target[];
  /** Servers that several scenarios share, started at their first use. */
  started(target: Target): Promise<StartedTarget>;
  /** Progress, for people. */
  say(line: string): void;
}

/** Of each of two: for the compiler, and at the load itself. A short one would punish the client with the most code. */
const WARM_UP_MS = 2_000;

export interface CyclesLoad {
  readonly scenario: ScenarioName;
  readonly target: string;
  /** As in "256 in flight". */
  readonly load: string;
  readonly connections: number;
  readonly inFlight: number;
}

/** One repetition: warm-up, measurement, and every number of it into the ledger. Answers the cycles per second. */
export async function measureCycles(bench: Bench, started: StartedTarget, load: CyclesLoad): Promise<number> {
  const serverCpuMsAt = { measuring: Number.NaN, measured: Number.NaN };
  const measureMs = bench.options.seconds * 1_000;
  const result = await runJob(
    {
      kind: "cycles",
      target: load.target,
      endpoint: started.endpoint,
      connections: load.connections,
      inFlight: load.inFlight,
      warmUpMs: WARM_UP_MS,
      measureMs,
    },
    {
      msMax: measureMs * 11 + 2 * WARM_UP_MS + 60_000,
      onPhase: (phase) => {
        serverCpuMsAt[phase] = started.server.usage()?.cpuMs ?? Number.NaN;
      },
    },
  );
  const serverCpuMs = serverCpuMsAt.measured - serverCpuMsAt.measuring;
  if (result.cycles === 0) throw new Error("no cycle was finished in ten times the window");
  const perSecond = (result.cycles * 1_000) / result.elapsedMs;
  const add = (metric: string, value: number): void =>
    bench.ledger.add({ scenario: load.scenario, target: load.target, load: load.load, metric }, value);
  add("cyclesPerSecond", perSecond);
  add("cycleP50Ms", result.cycle.p50Ms);
  add("cycleP99Ms", result.cycle.p99Ms);
  add("acquireP50Ms", result.acquire.p50Ms);
  add("acquireP99Ms", result.acquire.p99Ms);
  add("clientCpuMsPerCycle", result.clientCpuMs / result.cycles);
  if (Number.isFinite(serverCpuMs)) add("serverCpuMsPerCycle", serverCpuMs / result.cycles);
  return perSecond;
}
