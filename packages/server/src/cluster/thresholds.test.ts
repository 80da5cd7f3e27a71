// The threshold controller, where the policies are led, reads what all nodes have seen.
import { expect, test } from "vitest";
import { ClusterWorld } from "./testing/cluster-world.ts";

const TARGET = { policy: "observe", waitMsTarget: "1000", thresholdMin: "0.5" };

/** Of node a, which leads partition 0, after the controller has looked. */
async function thresholdAt(world: ClusterWorld): Promise<string> {
  const { foresight } = world.member("a").node;
  const before = foresight.policies.row("")?.reason;
  foresight.control();
  await world.until(() => foresight.policies.row("")?.reason !== before);
  return foresight.policies.row("")?.reason ?? "";
}

test("waits at other nodes move a threshold; a node that cannot be reached is left out, and the move says so", async () => {
  await using world = await ClusterWorld.open();
  const { foresight } = world.member("a").node;
  await world.until(foresight.setPolicy("", TARGET, { by: "operator", reason: "a test" }));
  const before = foresight.policies.of("x").threshold;
  for (const id of ["b", "c"])
    for (let time = 0; time < 30; time += 1) world.member(id).node.foresight.profiles.waited("x", 3_000);
  expect(await thresholdAt(world)).toBe("The p99 of waits is 3000 ms; the target is 1000 ms.");
  expect(foresight.policies.of("x").threshold).toBeLessThan(before);

  world.cut("c");
  for (let time = 0; time < 30; time += 1) world.member("b").node.foresight.profiles.waited("x", 4_000);
  expect(await thresholdAt(world)).toBe(
    "The p99 of waits is 4000 ms; the target is 1000 ms. Without the figures of c.",
  );
  expect(world.member("a").node.counters()["threshold_nodes_missing"]).toBe(1);
});
