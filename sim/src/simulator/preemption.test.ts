// Pre-emption under every fault, honest and lying forecasts: nothing that it promises is broken, and it really happens.
import { expect, test } from "vitest";
import { compareThroughput, LOSS_RATIO_MAX } from "./adverse-load.ts";
import type { Fault } from "./profile.ts";
import { runSeed } from "./seed.ts";
import { Situations } from "./situations.ts";

const STEPS = 130;

async function runSeeds(seeds: readonly number[], kind: "isStrict" | "isAdverse"): Promise<Situations> {
  const situations = new Situations();
  for (const seed of seeds) {
    const order = { seed, steps: STEPS, without: new Set<Fault>(), situations, print: undefined };
    const { result } = await runSeed({ ...order, [kind]: true });
    const option = kind === "isStrict" ? "--strict" : "--adversary";
    expect(result.violation?.message, `npm run sim -- --seed ${seed} --steps ${STEPS} ${option}`).toBeUndefined();
  }
  return situations;
}

const countOf = ({ counts }: Situations, begin: string): number =>
  [...counts].reduce((sum, [situation, count]) => sum + (situation.startsWith(begin) ? count : 0), 0);

test("warnings, countdowns, forced ends and calls keep their promises under every fault", async () => {
  const situations = await runSeeds([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "isStrict");
  const expected = ["warned grant", "warned wait", "preempted exclusive, effects", "compensation owed, preempted"];
  for (const begin of [...expected, "warning_acknowledged", "warning_over passed_over", "countdown restarted"]) {
    expect(countOf(situations, begin), begin).toBeGreaterThan(0);
  }
});

test("forecasts that lie break no promise", async () => {
  expect(countOf(await runSeeds([31, 32, 33, 34], "isAdverse"), "warned")).toBeGreaterThan(0);
});

test("forecasts that lie cost well-behaved clients next to nothing", async () => {
  const { enforce, lossRatio } = await compareThroughput([1]);
  expect(enforce.warnings).toBeGreaterThan(100);
  expect(lossRatio).toBeLessThanOrEqual(LOSS_RATIO_MAX);
});
