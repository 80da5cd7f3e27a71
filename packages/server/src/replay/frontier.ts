// frontier.ts: how forelock compares with the fixed timeouts, chosen with hindsight. Not here: the drawing (plot.ts).
import type { PolicyResult } from "./tally.ts";

const isFixed = ({ name }: PolicyResult): boolean => name.startsWith("fixed-");

/** Fixed timeouts that no other one beats in both p99 wait and false pre-emptions; shortest p99 wait first. */
export function frontierOf(policies: readonly PolicyResult[]): readonly PolicyResult[] {
  const sorted = policies
    .filter(isFixed)
    .sort((a, b) => a.waitMsP99 - b.waitMsP99 || a.falsePreemptions - b.falsePreemptions);
  const frontier: PolicyResult[] = [];
  let fewest = Number.POSITIVE_INFINITY;
  for (const policy of sorted) {
    if (policy.falsePreemptions >= fewest) continue;
    fewest = policy.falsePreemptions;
    frontier.push(policy);
  }
  return frontier;
}

/** The fixed timeout with the fewest false pre-emptions among those whose p99 wait is no longer; of equals the one that forces least. */
export function bestAtEqualWait(policies: readonly PolicyResult[], waitMsP99: number): PolicyResult | undefined {
  const fitting = policies.filter((policy) => isFixed(policy) && policy.waitMsP99 <= waitMsP99);
  fitting.sort((a, b) => a.falsePreemptions - b.falsePreemptions || a.healthyForced - b.healthyForced);
  return fitting[0];
}
