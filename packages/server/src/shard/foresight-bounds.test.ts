// How much one look does, who comes first in the next one, and that nothing is kept of what is over.
import { Mode, type Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { type Client, settle, World } from "./testing/world.ts";

const LIMITS = { unansweredMax: 100_000, locksMax: 100_000 };
const CAUSE = { countdownMs: 500, enforce: true, score: 1, threshold: 0, parts: [], reason: "test", by: "" };
const everybodyIsStuck = {
  quantiles: () => ({ p50Ms: 1, p90Ms: 2, p99Ms: 3, observations: 100, source: "pair" }),
  outlives: () => 0,
};
const nothingIsKnown = { quantiles: () => undefined, outlives: () => 0 };

const setPolicy = (client: Client, set: Record<string, string>): Promise<Reply> =>
  client.submit({ $case: "setPolicy", value: { prefix: "", set, reason: "test" } });

async function contend(holder: Client, waiter: Client, elements: number): Promise<void> {
  const asked: Promise<Reply>[] = [];
  for (let index = 0; index < elements; index += 1)
    asked.push(holder.acquire(`n${index}`), waiter.acquire(`n${index}`));
  await Promise.all(asked);
}

test("of more elements than one look has time for, each is looked at in its turn", async () => {
  const options = { isPredicting: true, partitions: 1, limits: LIMITS, forecasts: () => nothingIsKnown };
  const world = await World.open(options);
  const [ana, bo] = [world.client(), world.client()];
  await setPolicy(ana, { minimumHoldMs: "0" });
  await contend(ana, bo, 1_000);
  const looked = new Set<string>();
  const { foresight } = world.node;
  const assess = foresight.assess.bind(foresight);
  foresight.assess = (state, grant, policy, threshold) => {
    looked.add(grant.element.name);
    return assess(state, grant, policy, threshold);
  };
  for (let look = 0; look < 5; look += 1) await world.clock.advance(200);
  expect(looked.size).toBe(1_000);
});

test("the budget of a client with thousands of warnings is counted once a look", async () => {
  const options = { isPredicting: true, partitions: 1, limits: LIMITS, forecasts: () => everybodyIsStuck };
  const world = await World.open(options);
  const [ana, bo] = [world.client(undefined, "ana"), world.client(undefined, "bo")];
  await setPolicy(ana, { policy: "enforce", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "0" });
  await contend(ana, bo, 500);
  const [shard] = world.node.shards;
  for (let index = 0; index < 500; index += 1)
    shard?.submit(
      { kind: "warn", name: `n${index}`, token: 0n, wait: 0, cause: { ...CAUSE, countdownMs: 3_600_000 } },
      () => undefined,
      () => {},
    );
  for (let turn = 0; turn < 10; turn += 1) await settle();
  expect(shard?.state.warnings.size).toBe(500);
  let reads = 0;
  const phaseOf = (phase: string): string => {
    reads += 1;
    return phase;
  };
  for (const warning of shard?.state.warnings.values() ?? []) {
    const { phase } = warning;
    Object.defineProperty(warning, "phase", { get: () => phaseOf(phase) });
  }
  world.node.foresight.look();
  expect(reads).toBeLessThan(5_000);
});

test("waits speak for the threshold once, not again and again when the load is gone", async () => {
  const world = await World.open({ isPredicting: true });
  const ana = world.client();
  await setPolicy(ana, { waitMsTarget: "10" });
  const { profiles, policies } = world.node.foresight;
  const before = policies.of("a").threshold;
  for (let wait = 0; wait < 100; wait += 1) profiles.waited("a", 5_000);
  for (let step = 0; step < 10; step += 1) {
    ana.beat();
    await world.clock.advance(10_000);
  }
  expect(before - policies.of("a").threshold).toBeCloseTo(0.02, 5);
});

test("a kind of work is learned from holds that others waited for, too", async () => {
  const world = await World.open({ isPredicting: true });
  const { profiles } = world.node.foresight;
  for (const client of ["old", "new"]) profiles.declare(client, "batch");
  const [ana, bo] = [world.client(undefined, "old"), world.client(undefined, "bo")];
  for (let round = 0; round < 20; round += 1) {
    const token = await ana.token(ana.acquire("b"));
    await bo.acquire("b");
    for (let second = 0; second < 9; second += 1) {
      for (const client of [ana, bo]) client.beat();
      await world.clock.advance(1_000);
    }
    await ana.release("b", token);
    await settle();
    const { body } = bo.notices.findLast((notice) => notice.body?.$case === "operation") ?? {};
    const granted = body?.$case === "operation" ? body.value.grants[0]?.token : undefined;
    await bo.release("b", granted ?? 0n);
  }
  expect(profiles.quantiles("new", "c", 0, world.clock.monotonicMs())?.p50Ms).toBeGreaterThan(5_000);
});

test("warnings of waits that end without a grant are not remembered as open", async () => {
  const world = await World.open({ isPredicting: true });
  const [ana, bo] = [world.client(), world.client()];
  await ana.acquire("a");
  const shard = world.node.shardOf("a");
  await bo.acquire("a");
  const [wait] = [...shard.state.waits.values()];
  shard.submit(
    { kind: "warn", name: "", token: 0n, wait: wait?.id ?? 0, cause: CAUSE },
    () => undefined,
    () => {},
  );
  await settle();
  const { ledger } = world.node.foresight;
  const key = `${shard.partition}/w${wait?.id}`;
  expect(ledger.openDecision(key)).toBeDefined();
  await bo.submit({ $case: "cancel", value: { reference: "", sequence: bo.sequence } });
  await world.clock.advance(10_000);
  expect(ledger.openDecision(key)).toBeUndefined();
});

test("a warning by hand is sent again after a restart, also where nothing is predicted", async () => {
  const world = await World.open();
  const [ana, bo] = [world.client(), world.client()];
  await setPolicy(ana, { policy: "enforce" });
  await ana.acquire("a");
  await bo.submit({ $case: "warn", value: { name: "a", token: 0n, reason: "test", countdownMs: 10_000 } });
  await world.node.drain();
  await world.restart();
  ana.notices.length = 0;
  ana.resume();
  await world.clock.advance(2_000);
  expect(ana.notices.map(({ body }) => body?.$case)).toContain("warning");
});

test("a part of a batch is as old as its token, however long it was kept for the others", async () => {
  const world = await World.open({ isPredicting: true, forecasts: () => everybodyIsStuck });
  const [ana, bo, cy] = [world.client(undefined, "ana"), world.client(undefined, "bo"), world.client(undefined, "cy")];
  const everybody = [ana, bo, cy];
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      for (const client of everybody) client.beat();
      await world.clock.advance(1_000);
    }
  };
  await setPolicy(ana, { policy: "enforce", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "10000" });
  const last = world.nameBeside(["n0"]);
  const token = await ana.token(ana.acquire(last));
  void bo.acquireAll(["n0", last]);
  await settle();
  await cy.acquire("n0");
  await pass(9);
  await ana.release(last, token);
  await pass(9);
  expect(bo.notices.map(({ body }) => body?.$case)).not.toContain("warning");
  await pass(3);
  expect(bo.notices.map(({ body }) => body?.$case)).toContain("warning");
});

test("what became of a warning is known also when the grant was upgraded meanwhile", async () => {
  const world = await World.open({ isPredicting: true, forecasts: () => everybodyIsStuck });
  const [ana, bo] = [world.client(undefined, "ana"), world.client(undefined, "bo")];
  const set = { policy: "warn", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "0", countdownMs: "60000" };
  await setPolicy(ana, set);
  const token = await ana.token(ana.acquire("a", { mode: Mode.SHARED }));
  await bo.acquire("a");
  await world.clock.advance(400);
  const upgraded = ana.submit({ $case: "upgrade", value: { name: "a", token, waitMs: undefined } });
  await ana.release("a", await ana.token(upgraded));
  expect(world.node.foresight.ledger.totals).toMatchObject({ warnings: 1, wrong: 1 });
});

test("there are as many prefixes with policies as fit one answer, and each can still be changed", async () => {
  const world = await World.open({ limits: LIMITS });
  const ana = world.client();
  const set = (prefix: string): Promise<Reply> =>
    ana.submit({ $case: "setPolicy", value: { prefix, set: { policy: "warn" }, reason: "test" } });
  for (let index = 0; index < 499; index += 1) await set(`n${index}`);
  expect((await set("one more")).body).toMatchObject({ value: { code: "overloaded" } });
  expect((await set("n7")).body?.$case).toBe("setPolicy");
  expect((await set("")).body?.$case).toBe("setPolicy");
});

test("who set the policy for everything, and why, is told only to those who may read everything", async () => {
  const world = await World.open();
  const [ana, bo] = [
    world.client(),
    world.client({ principal: "bo", may: (_, name) => name !== "", remoteAddress: "test" }),
  ];
  await setPolicy(ana, { policy: "warn" });
  const told = async (client: Client): Promise<unknown> =>
    (await client.submit({ $case: "listPolicies", value: {} })).body?.value;
  expect(await told(ana)).toMatchObject({ policies: [{ changedBy: "local", reason: "test" }] });
  expect(await told(bo)).toMatchObject({ policies: [{ set: { policy: "warn" }, changedBy: "", reason: "" }] });
});
