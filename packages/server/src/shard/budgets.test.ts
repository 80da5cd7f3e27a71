// What was done to a client counts over a restart: forced releases of the last hour, and warnings that were wrong.
import type { Reply } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { type Client, World } from "./testing/world.ts";

const everybodyIsStuck = {
  quantiles: () => ({ p50Ms: 1, p90Ms: 2, p99Ms: 3, observations: 100, source: "pair" }),
  outlives: () => 0,
};

const SET = { policy: "enforce", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "0", countdownMs: "300" };

const setPolicy = (client: Client, set: Record<string, string>): Promise<Reply> =>
  client.submit({ $case: "setPolicy", value: { prefix: "", set: { ...SET, ...set }, reason: "test" } });

async function opened(set: Record<string, string>): Promise<{ world: World; ana: Client; bo: Client }> {
  const world = await World.open({ isPredicting: true, forecasts: () => everybodyIsStuck });
  const [ana, bo] = [world.client(undefined, "worker"), world.client(undefined, "other")];
  await setPolicy(ana, set);
  return { world, ana, bo };
}

async function pass(world: World, ms: number, ...alive: readonly Client[]): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 200) {
    for (const client of alive) client.beat();
    await world.clock.advance(200);
  }
}

/** Clients come back as new sessions, and under their own names. */
async function restarted(world: World): Promise<readonly [Client, Client]> {
  await world.node.drain();
  await world.restart();
  return [world.client(undefined, "worker"), world.client(undefined, "other")];
}

const lossesOf = (client: Client): number => client.notices.filter(({ body }) => body?.$case === "lost").length;
const warningsOf = (client: Client): readonly string[] =>
  client.notices.flatMap(({ body }) =>
    body?.$case === "warning" ? [`${body.value.name} ${body.value.enforced}`] : [],
  );

describe("over a restart", () => {
  test("a client that was forced as often as it may in an hour is only warned, until that hour is over", async () => {
    const { world, ana, bo } = await opened({ preemptionsPerHourMax: "2" });
    for (const name of ["a", "b"]) {
      await ana.acquire(name);
      await bo.acquire(name);
    }
    await pass(world, 2_000, ana, bo);
    expect(lossesOf(ana)).toBe(2);
    const [again, rival] = await restarted(world);
    await again.acquire("c");
    await rival.acquire("c");
    await pass(world, 2_000, again, rival);
    expect(lossesOf(again)).toBe(0);
    expect(new Set(warningsOf(again))).toEqual(new Set(["c false"]));
    const { ledger } = world.node.foresight;
    expect(ledger.forcedWithinHour("worker", world.clock.monotonicMs() + 3_590_000)).toBe(2);
    expect(ledger.forcedWithinHour("worker", world.clock.monotonicMs() + 3_600_000)).toBe(0);
  });

  test("the hour is that of the partition: time in which no server ran does not count", async () => {
    const { world, ana, bo } = await opened({ preemptionsPerHourMax: "1" });
    await ana.acquire("a");
    await bo.acquire("a");
    await pass(world, 2_000, ana, bo);
    await world.node.drain();
    await world.clock.advance(7_200_000);
    await world.restart();
    expect(world.node.foresight.ledger.forcedWithinHour("worker", world.clock.monotonicMs())).toBe(1);
  });

  test("whom a warning was wrong about is left alone for the cool-down", async () => {
    const { world, ana, bo } = await opened({ countdownMs: "5000", coolDownMs: "60000" });
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 1_000, ana, bo);
    expect(warningsOf(ana).length).toBeGreaterThan(0);
    await ana.release("a", token);
    const [again, rival] = await restarted(world);
    await world.clock.advance(40_000); // Until the sessions of before have expired.
    await again.acquire("a");
    await rival.acquire("a");
    await pass(world, 5_000, again, rival);
    expect(warningsOf(again)).toEqual([]);
    await pass(world, 60_000, again, rival);
    expect(warningsOf(again).length).toBeGreaterThan(0);
  });

  test("what was taken over twice counts once", async () => {
    const { world, ana, bo } = await opened({});
    await ana.acquire("a");
    await bo.acquire("a");
    await pass(world, 2_000, ana, bo);
    const { ledger } = world.node.foresight;
    const forced = ledger.forcedWithinHour("worker", world.clock.monotonicMs());
    for (const shard of world.node.shards) world.node.foresight.adopt(shard);
    expect([forced, ledger.forcedWithinHour("worker", world.clock.monotonicMs())]).toEqual([1, 1]);
  });
});
