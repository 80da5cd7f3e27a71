import { expect, test } from "vitest";
import type { ForecastJob, ForecastTable } from "../forecast-worker/job.ts";
import { Ledger } from "../preempt/ledger.ts";
import { Models, type ModelWorker, STEP_MS } from "./models.ts";
import { Profiles } from "./profiles.ts";
import { World } from "./testing/world.ts";

class FakeWorker implements ModelWorker {
  readonly jobs: ForecastJob[] = [];
  listen: ((table: ForecastTable) => void) | undefined;

  submit(job: ForecastJob): void {
    this.jobs.push(job);
  }

  onTable(listen: (table: ForecastTable) => void): () => void {
    this.listen = listen;
    return () => {
      this.listen = undefined;
    };
  }
}

async function busyWorld(): Promise<World> {
  const world = await World.open({ isPredicting: true, limits: { unansweredMax: 10_000 } });
  const ana = world.client(undefined, "worker");
  for (let round = 0; round < 40; round += 1) {
    const token = await ana.token(ana.acquire("busy"));
    await ana.release("busy", token);
  }
  const token = await ana.token(ana.acquire("quiet"));
  await ana.release("quiet", token);
  return world;
}

test("requests are counted by step, the busiest elements first, and forecast from then on", async () => {
  const { node } = await busyWorld();
  const { profiles } = node.foresight;
  expect(profiles.takeRequests(10)).toEqual([
    { name: "busy", requests: 40 },
    { name: "quiet", requests: 1 },
  ]);
  expect(profiles.takeRequests(10)).toEqual([]);
  const worker = new FakeWorker();
  const models = new Models(profiles, new Ledger(), worker);
  for (let step = 1; step <= 30; step += 1) {
    for (let request = 0; request < 10; request += 1) (profiles.counts("busy") ?? fail()).requests += 1;
    models.step(step * STEP_MS, 0.5);
  }
  const expected = models.expectedRequests("busy", STEP_MS);
  expect(expected).toBeGreaterThan(5);
  expect(expected).toBeLessThan(15);
  expect(models.expectedRequests("busy", STEP_MS / 2)).toBeCloseTo(expected / 2, 5);
  expect([models.expectedRequests("nobody asked", STEP_MS), models.expectedRequests("busy", Number.NaN)]).toEqual([
    0, 0,
  ]);
  const job = worker.jobs.findLast((one) => one.kind === "series" && one.key === "busy");
  expect(job).toMatchObject({ origin: 30 * STEP_MS, seasonSteps: 288, weekSteps: 2_016 });
  expect(worker.jobs.some((one) => one.kind === "durations" && one.client === "worker" && one.element === "busy")).toBe(
    true,
  );
  worker.listen?.({
    kind: "series",
    key: "busy",
    model: "ridge",
    origin: 30 * STEP_MS,
    observations: 30,
    points: new Float64Array(12).fill(10),
  });
  worker.listen?.({
    kind: "series",
    key: "gone",
    model: "ridge",
    origin: 0,
    observations: 30,
    points: new Float64Array(12),
  });
  models.close();
  expect(worker.listen).toBeUndefined();
});

test("a wall clock that goes back changes nothing that is known", async () => {
  const { node } = await busyWorld();
  const models = new Models(node.foresight.profiles, new Ledger(), undefined);
  for (const step of [5, 6, 2, 7]) models.step(step * STEP_MS, 0);
  expect(models.expectedRequests("busy", STEP_MS)).toBeGreaterThanOrEqual(0);
});

test("too many requests with terms of their own are refused", async () => {
  const world = await World.open({
    isPredicting: true,
    partitions: 1,
    limits: { unansweredMax: 20_000, locksMax: 20_000 },
  });
  const ana = world.client();
  const asked = Array.from({ length: 10_000 }, (_, index) => ana.acquire(`n${index}`, { preemptible: 1 }));
  await Promise.all(asked);
  expect((await ana.acquire("one more", { preemptible: 1 })).body).toMatchObject({ value: { code: "overloaded" } });
  expect((await ana.acquire("plain")).body?.$case).toBe("acquire");
});

test("a pair that was used longest ago makes room", () => {
  const profiles = new Profiles(new Ledger());
  for (let pair = 0; pair < 20_100; pair += 1)
    profiles.holds.observe(`c${pair % 4_000}`, `e${Math.floor(pair / 4_000)}-${pair}`, 10);
  expect(profiles.holds.gauges.pairs).toBe(20_000);
});

test("decisions beyond a thousand or two are forgotten, the oldest first", () => {
  const ledger = new Ledger();
  for (let index = 0; index < 2_500; index += 1) {
    ledger.note({
      ...{ key: String(index), kind: "policy", wallMs: index, atMs: index, name: "a", token: 0n, client: "op" },
      ...{ risk: undefined, threshold: 0, countdownMs: 0, waiters: 0, reason: "" },
    });
  }
  const kept = ledger.decisions(5_000);
  expect(kept.length).toBeGreaterThanOrEqual(1_000);
  expect(kept.length).toBeLessThanOrEqual(2_000);
  expect(kept[0]?.wallMs).toBe(2_499);
});

function fail(): never {
  throw new Error("nothing is known of it");
}
