// seed.ts: one seed run with what was ordered for it, and everything that is needed to run it again.
import { drawProfile, type Fault, strict } from "./profile.ts";
import { type RunResult, simulate } from "./simulation.ts";
import type { Situations } from "./situations.ts";
import { Trace } from "./trace.ts";

export interface SeedOrder {
  readonly seed: number;
  readonly steps: number;
  readonly without: ReadonlySet<Fault>;
  readonly situations: Situations;
  readonly print: ((line: string) => void) | undefined;
  /** True: forecasts are as bad as they can be, whatever the seed says. */
  readonly isAdverse?: boolean;
  /** True: as much pre-emption as there can be (profile.ts). */
  readonly isStrict?: boolean;
}

export interface SeedRun {
  readonly order: SeedOrder;
  readonly result: RunResult;
  readonly trace: Trace;
}

export async function runSeed(order: SeedOrder): Promise<SeedRun> {
  const trace = new Trace(order.print);
  const drawn = drawProfile(order.seed, order.steps, order.without);
  const chosen = order.isStrict === true ? strict(drawn) : drawn;
  const profile = order.isAdverse === true ? { ...chosen, isAdverse: true } : chosen;
  const result = await simulate(profile, trace, order.situations);
  return { order, result, trace };
}
