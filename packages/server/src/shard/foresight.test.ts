// What the loop does with contended grants: it warns, counts down, forces; and what it tells holders, waiters and operators.
import type { Notice, Reply } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { type Client, World, type WorldOptions } from "./testing/world.ts";

const ENFORCE = { policy: "enforce", countdownMs: "2000", minimumHoldMs: "100" };

/** Seconds in which everybody who lives beats. */
async function pass(world: World, seconds: number, ...alive: readonly Client[]): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    for (const client of alive) client.beat();
    await world.clock.advance(1_000);
  }
}

/** A history of holds of 50 ms of `worker` on `a`. */
async function learned(options: WorldOptions = {}): Promise<{ world: World; ana: Client; bo: Client }> {
  const world = await World.open({ isPredicting: true, limits: { unansweredMax: 10_000 }, ...options });
  const ana = world.client(undefined, "worker");
  const bo = world.client(undefined, "other");
  for (let hold = 0; hold < 200; hold += 1) {
    const token = await ana.token(ana.acquire("a"));
    await world.clock.advance(50);
    await ana.release("a", token);
  }
  return { world, ana, bo };
}

const setPolicy = (client: Client, prefix: string, set: Record<string, string>): Promise<Reply> =>
  client.submit({ $case: "setPolicy", value: { prefix, set, reason: "test" } });

const bodies = <Case extends NonNullable<Notice["body"]>["$case"]>(client: Client, kind: Case) =>
  client.notices.flatMap(({ body }) => (body?.$case === kind ? [body.value as never] : [])) as readonly Extract<
    NonNullable<Notice["body"]>,
    { $case: Case }
  >["value"][];

describe("a holder that holds far longer than it ever did, while someone waits", () => {
  test("is warned, again and again until it acknowledges, then fenced and forced, and the next one is granted", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", ENFORCE);
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 4, ana, bo);
    const [warning, ...copies] = bodies(ana, "warning");
    expect(warning).toMatchObject({ name: "a", token, enforced: true, countdownMs: 2_000, sequence: ana.sequence });
    expect(warning?.risk).toMatchObject({ policy: "enforce", state: "warned" });
    expect(warning?.risk?.parts.map(({ name }) => name)).toEqual(["hold", "suspicion", "harm", "contention", "load"]);
    expect(warning?.reason).toContain("stuck with a probability of");
    expect(copies.length).toBeGreaterThan(0);
    expect(copies.every((copy) => copy.warning === warning?.warning && copy.countdownMs < 2_000)).toBe(true);
    await pass(world, 4, ana, bo);
    expect(bodies(ana, "failure")).toMatchObject([{ warning: warning?.warning, token, name: "a", undone: 0 }]);
    expect(bodies(ana, "lost")).toMatchObject([{ why: "preempted", token }]);
    const order = ana.notices.map(({ body }) => body?.$case);
    expect(order.indexOf("failure")).toBeLessThan(order.indexOf("lost"));
    expect(bodies(bo, "operation")).toMatchObject([{ grants: [{ name: "a" }] }]);
    const late = await ana.release("a", token);
    expect(late.body).toMatchObject({ value: { code: "stale_token" } });
  });

  test("is only noted under observe, which is the standard; whether it would have been right is judged at its end", async () => {
    const { world, ana, bo } = await learned();
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 30, ana, bo);
    expect(bodies(ana, "warning")).toEqual([]);
    await ana.release("a", token);
    const { body } = await ana.submit({ $case: "getPrediction", value: { limit: 0 } });
    if (body?.$case !== "getPrediction") throw new Error("expected a prediction");
    expect(body.value.totals).toMatchObject({ observed: 1, observedRight: 1, warnings: 0, forced: 0 });
    expect(body.value.totals?.observedSavedMs).toBeGreaterThan(10_000);
    expect(body.value.decisions).toMatchObject([{ kind: "observed", name: "a", outcome: "right", client: "worker" }]);
    expect(body.value.calibrations.length).toBeGreaterThan(2);
  });

  test("is warned and not forced under warn", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "a", { ...ENFORCE, policy: "warn" });
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 20, ana, bo);
    expect(bodies(ana, "warning")[0]).toMatchObject({ enforced: false });
    expect((await ana.release("a", token)).body?.$case).toBe("release");
  });

  test("is left alone while nobody waits, under off, and when it asked for a grant that is never pre-empted", async () => {
    for (const [set, acquire, waits] of [
      [ENFORCE, {}, false],
      [{ ...ENFORCE, policy: "off" }, {}, true],
      [ENFORCE, { preemptible: 1 }, true],
    ] as const) {
      const { world, ana, bo } = await learned();
      await setPolicy(ana, "", set);
      const token = await ana.token(ana.acquire("a", acquire));
      if (waits) await bo.acquire("a");
      await pass(world, 20, ana, bo);
      expect(bodies(ana, "failure")).toEqual([]);
      expect((await ana.release("a", token)).body?.$case).toBe("release");
    }
  });

  test("keeps its countdown over a restart, in full, and is warned anew", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", { ...ENFORCE, countdownMs: "10000" });
    await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 8, ana, bo);
    expect(bodies(ana, "warning").length).toBeGreaterThan(0);
    await world.node.drain();
    await world.restart();
    ana.notices.length = 0;
    ana.resume();
    bo.resume();
    await pass(world, 8, ana, bo);
    expect(bodies(ana, "warning")[0]?.countdownMs).toBeGreaterThan(8_000);
    expect(bodies(ana, "failure")).toEqual([]);
    await pass(world, 4, ana, bo);
    expect(bodies(ana, "failure").length).toBe(1);
  });
});

describe("an acknowledgement", () => {
  async function warned(): Promise<{ world: World; ana: Client; bo: Client; token: bigint; warning: string }> {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", ENFORCE);
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 1, ana, bo);
    return { world, ana, bo, token, warning: bodies(ana, "warning")[0]?.warning ?? "" };
  }
  const acknowledge = (client: Client, warning: string, extensionMs?: number): Promise<Reply> =>
    client.submit({ $case: "acknowledge", value: { warning, name: "a", extensionMs, reason: "almost there" } });

  test("ends the copies, and a release in time is no forced one", async () => {
    const { world, ana, bo, token, warning } = await warned();
    const before = bodies(ana, "warning").length;
    expect((await acknowledge(ana, warning)).body).toMatchObject({ value: { state: "acknowledged" } });
    await world.clock.advance(900);
    expect(bodies(ana, "warning").length).toBe(before);
    await ana.release("a", token);
    await pass(world, 5, ana, bo);
    expect(bodies(ana, "failure")).toEqual([]);
    const { body } = await ana.submit({ $case: "getPrediction", value: { limit: 0 } });
    expect(body).toMatchObject({ value: { totals: { warnings: 1, released: 1, wrong: 0, forced: 0 } } });
  });

  test("that comes after the release is accepted, and says that it is over", async () => {
    const { world, ana, bo, warning } = await warned();
    await pass(world, 5, ana, bo);
    expect((await acknowledge(ana, warning)).body).toMatchObject({ value: { state: "over", countdownMs: -1 } });
  });

  test("may ask for more time, which the forecast refuses to who is probably stuck", async () => {
    const { ana, warning } = await warned();
    const { body } = await acknowledge(ana, warning, 1_000);
    if (body?.$case !== "acknowledge") throw new Error("expected an acknowledgement");
    expect(["extended", "refused"]).toContain(body.value.state);
    const tooLong = await acknowledge(ana, warning, 86_000_000);
    expect(tooLong.body).toMatchObject({
      value: { state: "refused", reason: "extensionMs = 86000000; allowed 1 to 60000 here." },
    });
  });

  test("of a warning of another name is refused", async () => {
    const { ana } = await warned();
    expect((await acknowledge(ana, "nonsense")).body).toMatchObject({ value: { code: "bad_argument" } });
  });
});

describe("an operator", () => {
  test("warns by hand, with a reason that is audited", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", ENFORCE);
    await ana.acquire("a");
    const { body } = await bo.submit({
      $case: "warn",
      value: { name: "a", token: 0n, reason: "deploy", countdownMs: 500 },
    });
    expect(body).toMatchObject({ value: { warnings: [expect.stringMatching(/^w\d+\.1$/)] } });
    expect(world.notes).toContain("warned");
    await world.clock.advance(1_000);
    expect(bodies(ana, "failure")).toMatchObject([{ name: "a" }]);
  });

  test("sets policies by prefix, which hold after a restart; what is out of range is refused by name", async () => {
    const { world, ana } = await learned();
    await setPolicy(ana, "shop", { policy: "warn", threshold: "0.7" });
    await setPolicy(ana, "shop/carts", { countdownMs: "500" });
    await world.restart();
    ana.resume();
    const { body } = await ana.submit({ $case: "listPolicies", value: {} });
    if (body?.$case !== "listPolicies") throw new Error("expected policies");
    expect(body.value.policies.map(({ prefix }) => prefix)).toEqual(["", "shop", "shop/carts"]);
    expect(body.value.policies[2]).toMatchObject({
      set: { countdownMs: "500" },
      effective: { policy: "warn", threshold: "0.7", countdownMs: "500" },
      changedBy: "local",
      reason: "test",
    });
    for (const [set, message] of [
      [{ threshold: "7" }, 'set.threshold: "7"; allowed 0 to 1.'],
      [{ treshold: "0.7" }, 'set: there is no field "treshold"; allowed: policy,'],
      [{ weights: "hold:1/luck:2" }, 'set.weights: "hold:1/luck:2"; allowed hold:0 to 100/'],
      [{ thresholdMin: "0.99" }, "set.thresholdMin: 0.99; allowed 0 to thresholdMax"],
    ] as const) {
      const refused = await setPolicy(ana, "", set);
      expect(refused.body).toMatchObject({
        value: { code: "bad_argument", message: expect.stringContaining(message) },
      });
    }
    await setPolicy(ana, "shop", { policy: "", threshold: "" });
    const after = await ana.submit({ $case: "listPolicies", value: {} });
    expect(after.body).toMatchObject({ value: { policies: [{ prefix: "" }, { prefix: "shop/carts" }] } });
  });

  test("may forbid grants that are not pre-empted, and calls to unknown places", async () => {
    const { ana } = await learned();
    await setPolicy(ana, "a", { never: "refuse" });
    expect((await ana.acquire("a", { preemptible: 1 })).body).toMatchObject({ value: { code: "preemption_required" } });
    const compensation = { url: "https://evil.example/", argument: "", blocks: false };
    expect((await ana.acquire("b", { compensation })).body).toMatchObject({ value: { code: "compensation_refused" } });
  });

  test("reads why in sentences, and what was seen of an element", async () => {
    const { world, ana, bo } = await learned();
    await ana.acquire("a");
    await bo.acquire("a");
    await pass(world, 3, ana, bo);
    const { body } = await bo.submit({ $case: "why", value: { name: "a" } });
    if (body?.$case !== "why") throw new Error("expected why");
    expect(body.value.holders[0]?.forecast).toMatchObject({ source: "pair" });
    expect(body.value.holders[0]?.risk).toMatchObject({ policy: "observe", state: "held" });
    expect(body.value.next.join(" ")).toMatch(
      /worker is expected to release within .* Its risk score is 0\.\d\d \(hold /,
    );
    const profile = await bo.submit({ $case: "getProfile", value: { name: "a" } });
    if (profile.body?.$case !== "getProfile") throw new Error("expected a profile");
    const { hold, clients } = profile.body.value;
    expect(clients).toMatchObject([{ client: "worker", holds: 200 }]);
    expect(hold?.counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(50);
    expect(hold?.p50Ms).toBeGreaterThan(30);
    expect(hold?.p50Ms).toBeLessThan(80);
  });
});

describe("who waits", () => {
  test("is told when it will be its turn, again when that changes, and can ask; the truth is held against it", async () => {
    const { world, ana, bo } = await learned();
    const cy = world.client(undefined, "third");
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    const queued = await cy.acquire("a");
    await pass(world, 2, ana, bo, cy);
    const etas = bodies(bo, "moved").flatMap(({ eta, sequence }) => (eta === undefined ? [] : [{ eta, sequence }]));
    expect(etas[0]?.sequence).toBe(bo.sequence);
    expect(etas[0]?.eta.p90Ms).toBeGreaterThanOrEqual(etas[0]?.eta.p50Ms ?? Number.NaN);
    expect(bodies(cy, "moved").some(({ eta }) => eta !== undefined)).toBe(true);
    if (queued.body?.$case !== "acquire") throw new Error("expected a place in the queue");
    const { reference } = queued.body.value;
    const asked = { $case: "getOperation", value: { reference, requestId: "", name: "", waitMs: 0 } } as const;
    const { body } = await cy.submit(asked);
    expect(body?.$case === "acquire" && (body.value.eta?.p50Ms ?? -1)).toBeGreaterThan(0);
    await ana.release("a", token);
    await world.clock.advance(10);
    const eta = world.node.foresight.profiles.calibrations().find((row) => row.of === "eta");
    expect(eta?.observations).toBe(1);
  });
});

test("what its like have done speaks for a client that has no history yet", async () => {
  const { world } = await learned();
  const { node } = world;
  const caller = { principal: "local", may: () => true, remoteAddress: "test" };
  const hold = async (client: string, application: string, ms: number): Promise<void> => {
    const opened = node.openSession(caller, { ttlMs: undefined, client, application });
    expect(node.directory.get(opened.session.id)?.application).toBe(application);
    node.foresight.profiles.holds.observe(client, "b", ms);
  };
  const { profiles } = node.foresight;
  profiles.declare("old batch", "batch");
  profiles.declare("new batch", "batch");
  const ana = world.client(undefined, "old batch");
  for (let round = 0; round < 20; round += 1) {
    const token = await ana.token(ana.acquire("b"));
    await world.clock.advance(9_000);
    ana.beat();
    await ana.release("b", token);
  }
  await hold("quick", "", 40);
  const unknown = profiles.quantiles("nobody", "c", 0, world.clock.monotonicMs())?.p50Ms ?? 0;
  const batch = profiles.quantiles("new batch", "c", 0, world.clock.monotonicMs())?.p50Ms ?? 0;
  expect(batch).toBeGreaterThan(5_000);
  expect(unknown).toBeLessThan(batch);
  expect(profiles.outlives("new batch", "c", 0, 5_000, world.clock.monotonicMs())).toBeGreaterThan(
    profiles.outlives("nobody", "c", 0, 5_000, world.clock.monotonicMs()),
  );
});

test("what was learned goes through bytes, and damaged bytes are refused whole", async () => {
  const { world } = await learned();
  const { profiles } = world.node.foresight;
  const bytes = profiles.save();
  const other = await World.open({ isPredicting: true });
  const restored = other.node.foresight.profiles;
  restored.restore(bytes);
  expect(restored.quantiles("worker", "a", 0, 0)).toEqual(profiles.quantiles("worker", "a", 0, 0));
  expect(restored.counts("a")?.grants).toBe(profiles.counts("a")?.grants);
  for (const broken of [bytes.subarray(0, 20), bytes.subarray(0, bytes.length - 9), new Uint8Array(0)]) {
    const fresh = (await World.open({ isPredicting: true })).node.foresight.profiles;
    expect(() => fresh.restore(broken)).toThrow();
    expect(fresh.counts("a")).toBeUndefined();
  }
});

describe("forecasts that are wrong, extreme, missing or no numbers", () => {
  const adversaries: Readonly<Record<string, NonNullable<WorldOptions["forecasts"]>>> = {
    throw: () => ({
      quantiles: () => {
        throw new Error("no model");
      },
      outlives: () => {
        throw new Error("no model");
      },
    }),
    "are NaN": () => ({
      quantiles: () => ({ p50Ms: Number.NaN, p90Ms: Number.NaN, p99Ms: Number.NaN, observations: 1, source: "pair" }),
      outlives: () => Number.NaN,
    }),
    "are infinite": () => ({
      quantiles: () => ({ p50Ms: 1, p90Ms: 1, p99Ms: Number.POSITIVE_INFINITY, observations: 1, source: "pair" }),
      outlives: () => Number.POSITIVE_INFINITY,
    }),
    "are missing": () => ({ quantiles: () => undefined, outlives: () => 1 }),
  };
  test.each(Object.keys(adversaries))("and %s: nobody is warned for their sake", async (kind) => {
    const forecasts = adversaries[kind];
    const { world, ana, bo } = await learned(forecasts === undefined ? {} : { forecasts });
    await setPolicy(ana, "", ENFORCE);
    const token = await ana.token(ana.acquire("a"));
    await bo.acquire("a");
    await pass(world, 20, ana, bo);
    expect(bodies(ana, "warning")).toEqual([]);
    expect((await ana.release("a", token)).body?.$case).toBe("release");
  });
});
