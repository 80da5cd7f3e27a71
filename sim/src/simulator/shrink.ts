// shrink.ts: a smaller run that breaks the same promise: without the kinds of fault that it does not need, then with as few steps as
// it takes. Every draw of chance belongs to one part of the run, so that leaving a fault out moves little else.
import { FAULTS, type Fault } from "./profile.ts";
import { runSeed, type SeedOrder, type SeedRun } from "./seed.ts";
import { Situations } from "./situations.ts";

/** @returns the smallest that was found; `failed` itself when nothing smaller fails alike */
export async function shrink(failed: SeedRun): Promise<SeedRun> {
  const rule = failed.result.violation?.rule;
  const quiet: SeedOrder = { ...failed.order, situations: new Situations(), print: undefined };
  let smallest = failed;
  const attempt = async (change: Partial<SeedOrder>): Promise<boolean> => {
    const run = await runSeed({ ...quiet, steps: smallest.order.steps, without: smallest.order.without, ...change });
    if (run.result.violation?.rule !== rule) return false;
    smallest = run;
    return true;
  };
  await attempt({ steps: Math.max(1, failed.result.step) });
  for (const fault of FAULTS) {
    const without: ReadonlySet<Fault> = new Set([...smallest.order.without, fault]);
    if (await attempt({ without })) await attempt({ steps: Math.max(1, smallest.result.step) });
  }
  // What breaks at the end of a run may need fewer steps than were made.
  let least = 1;
  let most = smallest.order.steps;
  while (least < most) {
    const middle = (least + most) >>> 1;
    if (await attempt({ steps: middle })) most = Math.min(middle, smallest.result.step);
    else least = middle + 1;
  }
  return smallest;
}
