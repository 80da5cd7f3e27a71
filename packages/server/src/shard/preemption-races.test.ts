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

/** As the loop would submit it. */
async function warn(world: World, name: string, countdownMs: number, wait = 0): Promise<void> {
  const cause = { countdownMs, enforce: true, score: 1, threshold: 0, parts: [], reason: "test", by: "" };
  world.node.shardOf(name).submit(
    { kind: "warn", name, token: 0n, wait, cause },
    () => undefined,
    () => {},
  );
  await settle();
}

const told = (client: Client): readonly (string | undefined)[] => client.notices.map(({ body }) => body?.$case);

describe("nobody is forced for nobody's sake:", () => {
  test("when others only pass the same ancestor", async () => {
    const world = await World.open();
    const [ana, bo, cy] = [world.client(), world.client(), world.client()];
    await ana.acquire("{t}/x");
    await bo.acquire("{t}/y");
    await cy.acquire("{t}/y");
    await warn(world, "{t}/x", 500);
    await world.clock.advance(700);
    expect(told(ana)).not.toContain("failure");
  });

  test("when the only one who waits is the holder itself, for its upgrade", async () => {
    const world = await World.open({ isPredicting: true, forecasts: () => everybodyIsStuck });
    const [ana, bo] = [world.client(undefined, "ana"), world.client(undefined, "bo")];
    await setPolicy(ana, { policy: "enforce", threshold: "0.1", thresholdMin: "0", minimumHoldMs: "0" });
    const token = await ana.token(ana.acquire("a", { mode: Mode.SHARED }));
    await bo.acquire("a", { mode: Mode.SHARED });
    void ana.submit({ $case: "upgrade", value: { name: "a", token, waitMs: undefined } });
    await settle();
    await world.clock.advance(1_000);
    expect(told(ana)).not.toContain("warning");
    expect(told(bo)).toContain("warning");
  });

  test("when the last who waits gives up at the end of the countdown", async () => {
    const world = await World.open();
    const [ana, bo] = [world.client(), world.client()];
    await ana.acquire("a");
    await bo.acquire("a", { waitMs: 500 });
    await warn(world, "a", 500);
    await world.clock.advance(700);
    expect(told(ana)).not.toContain("failure");
  });
});

test("an extension of a warning that is yet to come, its name guessed, is refused", async () => {
  const world = await World.open();
  const [ana, bo] = [world.client(), world.client()];
  await setPolicy(ana, { policy: "enforce", extensionMsMax: "0" });
  await ana.acquire("a");
  const warning = `w${world.node.partitionOf("a")}.1`;
  void warnByHand(bo, "a", 300);
  const value = { warning, name: "a", extensionMs: 86_400_000, reason: "test" };
  expect(stateOf(await ana.submit({ $case: "acknowledge", value }))).toBe("refused");
  await world.clock.advance(400);
  expect(told(ana)).toContain("failure");
});

test("a countdown that begins anew at the moment at which it was to end before ends once", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  const token = await ana.token(ana.acquire("{t}/a"));
  await bo.acquire("{t}/a");
  await ana.acquire("{t}/b");
  await cy.acquire("{t}/b", { waitMs: 100 }); // Ends sooner, so that the first end stays among the deadlines, not looked at.
  const { state } = world.node.shardOf("{t}/a");
  const wait = [...state.waits.values()].find(({ session }) => session.id === bo.opened.session.id);
  await warn(world, "{t}/a", 500, wait?.id ?? 0);
  const value = { warning: `w${state.partition}.1`, name: "{t}/a", extensionMs: undefined, reason: "" };
  expect(stateOf(await bo.submit({ $case: "acknowledge", value }))).toBe("acknowledged");
  await ana.release("{t}/a", token);
  await settle();
  await world.clock.advance(700);
  expect(world.node.stopCause).toBeUndefined();
  expect(state.warnings.size).toBe(0);
});

test("two changes of one policy in one turn both hold", async () => {
  const world = await World.open();
  const ana = world.client();
  await Promise.all([setPolicy(ana, { policy: "off" }), setPolicy(ana, { countdownMs: "700" })]);
  expect(world.node.foresight.policies.of("a").policy).toMatchObject({ policy: "off", countdownMs: 700 });
});

test("who was passed over is told of its place as it moves up again", async () => {
  const world = await World.open();
  const [ana, bo, cy] = [world.client(), world.client(), world.client()];
  const token = await ana.token(ana.acquire("a"));
  await bo.acquire("a");
  await world.clock.advance(10);
  await cy.acquire("a");
  const [wait] = world.node.shardOf("a").state.waits.keys();
  await warn(world, "a", 300, wait ?? 0);
  await world.clock.advance(400);
  await ana.release("a", token);
  await settle();
  expect(told(cy)).toContain("operation");
  expect(bo.notices.flatMap(({ body }) => (body?.$case === "moved" ? [body.value.position] : []))).toEqual([2, 1]);
});
