// Who is refused for a waiting cycle, and above all who is not: each of these looked like one once. Cycles proper, over several
// partitions, are in node.test.ts.
import { Mode } from "@forelock/protocol";
import { expect, test } from "vitest";
import { type Client, describe, settle, World } from "./testing/world.ts";

const SHARED = { mode: Mode.SHARED };

/** Ends of waits once the search has looked often enough. */
async function outcomes(world: World, clients: readonly Client[]): Promise<readonly (string | undefined)[]> {
  await world.clock.advance(1_000);
  return clients.map((client) => client.ended());
}

test("two who hold and wait below one ancestor do not wait for each other", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  await ana.acquire("{t}/a");
  await bo.acquire("{t}/b");
  await cy.acquire("{t}/c");
  expect(describe(await bo.acquire("{t}/a"))).toBe("queued 1");
  expect(describe(await ana.acquire("{t}/c"))).toBe("queued 1");
  expect(await outcomes(world, [ana, bo])).toEqual([undefined, undefined]);
});

test("a reader does not wait for the readers it would join", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  const [mine, ours, other] = ["{t}mine", "{t}ours", "{t}other"] as const;
  await ana.acquire(mine);
  await bo.acquire(ours, SHARED);
  await cy.acquire(other);
  await ana.submit({
    $case: "acquireAll",
    value: {
      elements: [ours, other].map((name) => ({ name, mode: Mode.SHARED, permits: 0, take: 0 })),
      waitMs: undefined,
      onLoss: 0,
      actor: "",
    },
  });
  await bo.acquire(mine);
  // Ana waits for cy alone: bo's shared grant is no obstacle to hers.
  expect(await outcomes(world, [ana, bo])).toEqual([undefined, undefined]);
});

test("whoever waits for a permit waits for none of its holders in particular", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  const pool = { mode: Mode.PERMIT, permits: 2, take: 1 };
  await ana.acquire("x");
  await bo.acquire("pool", pool);
  await cy.acquire("pool", pool);
  await ana.acquire("pool", pool);
  await bo.acquire("x");
  expect(await outcomes(world, [ana, bo])).toEqual([undefined, undefined]); // Cy may give one back.
  await cy.acquire("x");
  expect((await outcomes(world, [ana, bo, cy])).filter((end) => end === "ended deadlock")).toHaveLength(1); // Now nobody can.
});

test("a cycle through a waiter that holds nothing is found", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  await ana.acquire("a", SHARED);
  await cy.acquire("b");
  await bo.acquire("a"); // Holds nothing, and stands before cy.
  await cy.acquire("a", SHARED);
  await ana.acquire("b");
  expect((await outcomes(world, [ana, bo, cy])).filter((end) => end === "ended deadlock")).toHaveLength(1);
});

test("a hundred cycles at once are broken, a bounded number at each look", async () => {
  const world = await World.open({ limits: { sessionsMax: 1_000, locksMax: 1_000, unansweredMax: 1_000 } });
  const pairs = Array.from({ length: 100 }, (_, index) => {
    return { left: world.client(), right: world.client(), names: [`l${index}`, `r${index}`] as const };
  });
  await Promise.all(pairs.flatMap(({ left, right, names: [l, r] }) => [left.acquire(l), right.acquire(r)]));
  await Promise.all(pairs.flatMap(({ left, right, names: [l, r] }) => [left.acquire(r), right.acquire(l)]));
  await world.clock.advance(1_000);
  await settle();
  const ended = pairs.map(
    ({ left, right }) => [left.ended(), right.ended()].filter((end) => end === "ended deadlock").length,
  );
  expect(ended).toEqual(pairs.map(() => 1));
});
