// replay.ts: one workload under every policy: none, a sweep of fixed timeouts, and forelock. Not here: reading workloads and printing
// results (cli/replay.ts).
import type { Policy } from "../preempt/policy.ts";
import type { EtaCoverage } from "./etas.ts";
import { ForelockPreemptor } from "./forelock.ts";
import { fixedTimeout, noPreemption, timeoutsUpTo } from "./policies.ts";
import { type Conditions, simulate } from "./simulation.ts";
import type { PolicyResult } from "./tally.ts";
import type { Workload } from "./workload.ts";

export interface ReplayPlan extends Conditions {
  /** What holds for an element; the same object for those whose threshold is one. The countdown of the fixed timeouts is that of the empty name. */
  readonly policyOf: (element: string) => Policy;
}

export interface Replayed {
  /** none, fixed timeouts ascending, forelock. */
  readonly policies: readonly PolicyResult[];
  readonly eta: EtaCoverage;
  /** Of forelock's thresholds, by its controller. */
  readonly moves: ForelockPreemptor["moves"];
}

/** @yields after each policy, so that progress can be told and a signal heard */
export function* replay(
  workload: Workload,
  { policyOf, ...conditions }: ReplayPlan,
): Generator<PolicyResult, Replayed> {
  const policies: PolicyResult[] = [];
  const longestMs = workload.rows.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0);
  const { countdownMs } = policyOf("");
  const forelock = new ForelockPreemptor(policyOf);
  const preemptors = [
    noPreemption(),
    ...timeoutsUpTo(longestMs).map((timeoutMs) => fixedTimeout(timeoutMs, countdownMs)),
    forelock,
  ];
  for (const preemptor of preemptors) {
    const result = simulate(workload, preemptor, conditions);
    policies.push(result);
    yield result;
  }
  return { policies, eta: forelock.eta, moves: forelock.moves };
}
