// The simulated cluster: one seed gives one run, and the service keeps its promises under the first seeds.
import { expect, test } from "vitest";
import { runClusterSeed } from "./seed.ts";

const STEPS = 90;
const run = (seed: number, steps: number) => runClusterSeed({ seed, steps, without: new Set(), print: undefined });

test("one seed gives one run of a cluster, byte for byte", async () => {
  const [first, second] = [await run(3, 20), await run(3, 20)];
  expect(second.result.violation?.message).toBe(first.result.violation?.message);
  expect(second.trace.hash).toBe(first.trace.hash);
  expect(second.trace.count).toBe(first.trace.count);
  expect(second.result.events).toBe(first.result.events);
});

test.each([2, 6, 9, 20, 100])("a cluster keeps its promises under seed %i", async (seed) => {
  const { result } = await run(seed, STEPS);
  expect(result.violation?.message, `npm run sim -- --cluster --seed ${seed} --steps ${STEPS}`).toBeUndefined();
  // What is never met is never judged.
  for (const name of ["marks compared", "carried between nodes", "acknowledgement judged", "epochs"])
    expect(result.counts.get(name) ?? 0, name).toBeGreaterThan(0);
});
