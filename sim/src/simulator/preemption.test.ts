// Pre-emption under every fault, honest and lying forecasts: nothing that it promises is broken, and it really happens.
import { expect, test } from "vitest";
import { compareThroughput, LOSS_RATIO_MAX } from "./adverse-load.ts";
import { runSeed } from "./seed.ts";
import { Situations } from "./situations.ts";

const STEPS = 130;

async function runSeeds(seeds: readonly number[], isAdverse: boolean): Promise<Situations> {
  const situations = new Situations();
  for (const seed of seeds) {
    const { result } = await runSeed({
      seed,
      steps: STEPS,
      without: new Set(),
      situations,
      print: undefined,
      isAdverse,
    });
    const command = `npm run sim -- --seed ${seed} --steps ${STEPS}${isAdverse ? " --adversary" : ""}`;
    expect(result.violation?.message, command).toBeUndefined();
  }
  return situations;
}

const countOf = ({ counts }: Situations, begin: string): number =>
  [...counts].reduce((sum, [situation, count]) => sum + (situation.startsWith(begin) ? count : 0), 0);

test("warnings, countdowns, forced ends and calls keep their promises under every fault", async () => {
  const situations = await runSeeds([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false);
  for (const begin of ["warned grant", "warned wait", "preempted", "warning_acknowledged", "countdown restarted"]) {
    expect(countOf(situations, begin), begin).toBeGreaterThan(0);
  }
});

test("forecasts that lie break no promise", async () => {
  expect(countOf(await runSeeds([31, 32, 33, 34], true), "warned")).toBeGreaterThan(0);
});

test("forecasts that lie cost well-behaved clients next to nothing", async () => {
  const { enforce, lossRatio } = await compareThroughput([1]);
  expect(enforce.warnings).toBeGreaterThan(100);
  expect(lossRatio).toBeLessThanOrEqual(LOSS_RATIO_MAX);
});
