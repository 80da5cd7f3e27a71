// What happens at the same moment in pre-emption: budgets under several requests of one turn, ends that fall into one tick, answers
// asked for again after the policy has changed.
import { Mode, OperationState, type Reply } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { type Client, settle, World } from "./testing/world.ts";

const setPolicy = (client: Client, set: Record<string, string>): Promise<Reply> =>
  client.submit({ $case: "setPolicy", value: { prefix: "", set, reason: "test" } });

const warnByHand = (client: Client, name: string, countdownMs: number): Promise<Reply> =>
  client.submit({ $case: "warn", value: { name, token: 0n, reason: "test", countdownMs } });

const stateOf = ({ body }: Reply): string => (body?.$case === "acknowledge" ? body.value.state : "no acknowledgement");

/** Under this forecast every holder whom somebody waits for is stuck for certain. */
const everybodyIsStuck = {
  quantiles: () => ({ p50Ms: 1, p90Ms: 2, p99Ms: 3, observations: 100, source: "pair" }),
  outlives: () => 0,
};

describe("budgets", () => {
  test("two extensions asked for in one turn get the one that is left", async () => {
    const world = await World.open();
    const [ana, bo] = [world.client(), world.client()];
    await setPolicy(ana, { policy: "enforce", extensionsMax: "1" });
    await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await warnByHand(bo, "a", 10_000);
    const { state } = world.node.shardOf("a");
    const warning = `w${state.partition}.${[...state.warnings.keys()][0]}`;
    const ask = (): Promise<Reply> =>
      ana.submit({ $case: "acknowledge", value: { warning, name: "a", extensionMs: 100, reason: "soon" } });
    const states = (await Promise.all([ask(), ask(), ask()])).map(stateOf);
    expect(states).toEqual(["extended", "refused", "refused"]);
  });

  test("a client with many contended grants is forced as often as it may, and only warned beyond", async () => {
    const world = await World.open({ isPredicting: true, forecasts: () => everybodyIsStuck });
    const [ana, bo] = [world.client(undefined, "worker"), world.client(undefined, "other")];
    const set = { policy: "enforce", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "0", countdownMs: "300" };
    await setPolicy(ana, { ...set, preemptionsPerHourMax: "2" });
    for (const name of ["a", "b", "c", "d", "e"]) {
      await ana.acquire(name);
      await bo.acquire(name);
    }
    for (let step = 0; step < 20; step += 1) {
      for (const client of [ana, bo]) client.beat();
      await world.clock.advance(200);
    }
    const lost = ana.notices.filter(({ body }) => body?.$case === "lost");
    expect(lost.length).toBe(2);
    const warned = new Set(
      ana.notices.flatMap(({ body }) =>
        body?.$case === "warning" ? [`${body.value.name} ${body.value.enforced}`] : [],
      ),
    );
    expect([...warned].filter((text) => text.endsWith("true")).length).toBe(2);
    expect([...warned].filter((text) => text.endsWith("false")).length).toBe(3);
  });
});

describe("ends that fall into one tick", () => {
  test("a shared grant is forced while its upgrade times out", async () => {
    const world = await World.open();
    const [ana, bo] = [world.client(), world.client()];
    await setPolicy(ana, { policy: "enforce" });
    const token = await ana.token(ana.acquire("a", { mode: Mode.SHARED }));
    await bo.acquire("a", { mode: Mode.SHARED });
    await warnByHand(bo, "a", 500);
    void ana.submit({ $case: "upgrade", value: { name: "a", token, waitMs: 500 } });
    await settle();
    await world.clock.advance(600);
    expect(world.node.stopCause).toBeUndefined();
    expect(world.node.shardOf("a").state.grants).toBe(0);
  });

  test("a warned wait times out when it would be passed over", async () => {
    const world = await World.open();
    const [ana, bo] = [world.client(), world.client()];
    await ana.token(ana.acquire("a"));
    await bo.acquire("a", { waitMs: 500 });
    const shard = world.node.shardOf("a");
    const [wait] = [...shard.state.waits.keys()];
    const risk = { score: 1, threshold: 0, parts: [], reason: "test", by: "" };
    const cause = { countdownMs: 500, enforce: true, ...risk };
    shard.submit(
      { kind: "warn", name: "", token: 0n, wait: wait ?? 0, cause },
      () => undefined,
      () => {},
    );
    await settle();
    expect(shard.state.warnings.size).toBe(1);
    await world.clock.advance(600);
    expect(world.node.stopCause).toBeUndefined();
    expect([shard.state.waits.size, shard.state.warnings.size]).toEqual([0, 0]);
  });
});

test("passing a wait over lets those in who stood behind its intents", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  await ana.token(ana.acquire("{t}/x", { mode: Mode.SHARED }));
  await bo.acquire("{t}/x");
  await cy.acquire("{t}", { mode: Mode.SHARED });
  const shard = world.node.shardOf("{t}");
  const [wait] = [...shard.state.waits.values()].filter(({ session }) => session.id === bo.opened.session.id);
  const risk = { score: 1, threshold: 0, parts: [], reason: "test", by: "" };
  shard.submit(
    { kind: "warn", name: "", token: 0n, wait: wait?.id ?? 0, cause: { countdownMs: 300, enforce: true, ...risk } },
    () => undefined,
    () => {},
  );
  await settle();
  await world.clock.advance(400);
  const granted = cy.notices.flatMap(({ body }) => (body?.$case === "operation" ? body.value.grants : []));
  expect(granted).toMatchObject([{ name: "{t}" }]);
});

test("a request that is asked again is told what it was told, whatever the policy says of its terms by now", async () => {
  const world = await World.open();
  const ana = world.client();
  const first = await ana.acquire("a", { preemptible: 1 });
  const { sequence } = ana;
  await setPolicy(world.client(), { never: "refuse" });
  const again = await ana.acquire("a", { preemptible: 1 }, { sequence });
  expect(first.body).toMatchObject({ value: { state: OperationState.GRANTED } });
  expect(again.body).toEqual(first.body);
  const other = await ana.acquire("b", { preemptible: 1 });
  expect(other.body).toMatchObject({ value: { code: "preemption_required" } });
});
