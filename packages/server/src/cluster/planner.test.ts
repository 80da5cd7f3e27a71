import { expect, test } from "vitest";
import { Fleet } from "./testing/fleet.ts";

const PARTITIONS = 32;

test("a drain moves what the node owns and nothing else, however late the others hear of the wish", async () => {
  const fleet = new Fleet(PARTITIONS);
  for (const id of ["a", "b", "c"]) await fleet.join(id);
  for (let rest = 0; rest < 3; rest += 1) await fleet.settle();
  const given = (): number =>
    [...fleet.nodes.values()].reduce((sum, { cluster }) => sum + cluster.ownership.timeline.counts.gave, 0);
  const [before, owned] = [given(), fleet.get("c").node.led.length];
  let seed = 3;
  fleet.late = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return 50 + (seed % 400);
  };
  await fleet.passing(fleet.get("a").cluster.planner.drain("c", true));
  for (let rest = 0; rest < 6; rest += 1) await fleet.settle();
  expect(given() - before).toBe(owned);
  expect(fleet.counts()).toEqual({ a: PARTITIONS / 2, b: PARTITIONS / 2, c: 0 });
});
