// seed.ts: one seed of a cluster run with what was ordered for it.
import type { RunResult } from "../simulator/simulation.ts";
import { Trace } from "../simulator/trace.ts";
import { drawClusterProfile } from "./profile.ts";
import { simulateCluster } from "./simulation.ts";

export interface ClusterOrder {
  readonly seed: number;
  readonly steps: number;
  /** Kinds of fault that do not happen. */
  readonly without: ReadonlySet<string>;
  readonly print: ((line: string) => void) | undefined;
}

export async function runClusterSeed(
  order: ClusterOrder,
): Promise<{ readonly result: RunResult; readonly trace: Trace }> {
  const trace = new Trace(order.print);
  const result = await simulateCluster(drawClusterProfile(order.seed, order.steps, order.without), trace);
  return { result, trace };
}

export const commandOf = ({ seed, steps, without }: ClusterOrder): string =>
  `npm run sim -- --cluster --seed ${seed} --steps ${steps}${without.size === 0 ? "" : ` --without ${[...without].join()}`} --trace`;
