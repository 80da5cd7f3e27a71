import { expect, test } from "vitest";
import type { Caller } from "../shard/service.ts";
import { ManualClock } from "../shard/testing/world.ts";
import type { Host } from "./host.ts";
import type { Sample } from "./messages.ts";
import { Mover } from "./mover.ts";
import { WorkerOwners } from "./owners.ts";
import { Steward } from "./steward.ts";

const OPERATOR: Caller = { principal: "ana", may: () => true, remoteAddress: "127.0.0.1" };
const PARTITIONS = 6;

/** Two workers whose partitions cost what the test says, each second. */
class Scene {
  readonly clock = new ManualClock();
  readonly owners = new WorkerOwners(2, PARTITIONS, undefined);
  readonly notes: string[] = [];
  /** By partition. */
  costs = new Array<number>(PARTITIONS).fill(0);
  readonly #cpuMs = [0, 0];
  readonly #events = new Array<number>(PARTITIONS).fill(0);
  readonly mover = new Mover({
    hosts: [HOST, HOST],
    holder: (partition) => this.owners.holder(partition),
    moved: (partition, worker) => this.owners.set(partition, worker),
  });
  readonly steward = new Steward({
    ...{ workers: 2, owners: this.owners, mover: this.mover, epoch: 4, clock: this.clock, cpuMs: () => 7_000 },
    sample: async () => this.#sample(),
    version: "test",
    address: () => "127.0.0.1:7420",
    note: (line) => this.notes.push(line),
  });

  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) await this.clock.advance(1_000);
  }

  change(action: string, node: string, partition?: number) {
    const value = { action, node, partition, reason: "a test" };
    return this.steward.carryOut(OPERATOR, { $case: "changeCluster", value });
  }

  #sample(): readonly Sample[] {
    for (const [partition, cost] of this.costs.entries()) {
      const worker = this.owners.holder(partition) ?? 0;
      this.#cpuMs[worker] = (this.#cpuMs[worker] ?? 0) + cost;
      this.#events[partition] = (this.#events[partition] ?? 0) + cost;
    }
    return [0, 1].map((worker) => ({
      cpuMs: this.#cpuMs[worker] ?? 0,
      counters: { sessions: 2, up: 1 },
      events: [...this.#events.entries()].filter(([partition]) => this.owners.holder(partition) === worker),
      unavailable: undefined,
    }));
  }
}

const HOST: Host = {
  give: async (partition) => ({ partition, epoch: 4, sequence: 1, state: new Uint8Array(1) }),
  take: async () => {},
  keep: async () => {},
  gave: async () => {},
  lose: async () => {},
};

test("a worker with nothing gets its share before the port opens", async () => {
  const scene = new Scene();
  scene.owners.setAll([0, 0, 0, 0, 0, 0]);
  await scene.steward.even();
  expect(scene.owners.holders().filter((worker) => worker === 1).length).toBe(3);
});

test("under a load that is not even partitions move until the workers' times are", async () => {
  const scene = new Scene();
  scene.owners.setAll([0, 0, 0, 1, 1, 1]);
  scene.costs = [300, 200, 300, 40, 40, 40];
  await scene.steward.start();
  await scene.pass(30);
  const timeOf = (worker: number): number =>
    scene.costs.reduce((sum, cost, partition) => sum + (scene.owners.holder(partition) === worker ? cost : 0), 0);
  expect(Math.max(timeOf(0), timeOf(1)) / Math.min(timeOf(0), timeOf(1))).toBeLessThanOrEqual(1.2);
  const settled = [...scene.owners.holders()];
  await scene.pass(30);
  expect(scene.owners.holders()).toEqual(settled);
  await scene.steward.close();
});

test("what an operator has moved stays, until a rebalance", async () => {
  const scene = new Scene();
  scene.owners.setAll([0, 0, 0, 1, 1, 1]);
  scene.costs = [400, 300, 300, 10, 10, 10];
  for (const partition of [0, 1, 2]) await scene.change("move", "worker-0", partition);
  await scene.steward.start();
  await scene.pass(20);
  expect(scene.owners.holders()).toEqual([0, 0, 0, 1, 1, 1]);
  await scene.change("rebalance", "");
  await scene.pass(20);
  expect(scene.owners.holders()).not.toEqual([0, 0, 0, 1, 1, 1]);
  expect(scene.notes).toContain("workers changed");
  await scene.steward.close();
});

test("a move to a worker or of a partition that is not there is refused with what there is", async () => {
  const scene = new Scene();
  scene.owners.setAll([0, 0, 0, 1, 1, 1]);
  await expect(scene.change("move", "worker-2", 0)).rejects.toThrow("there are worker-0 to worker-1");
  await expect(scene.change("move", "worker-1", 6)).rejects.toThrow("partition: 6; allowed 0 to 5");
  await expect(scene.change("drain", "worker-1")).rejects.toMatchObject({ code: "not_supported" });
});

test("the report names each worker as a node, and what moved; figures are sums, and the time of each thread", async () => {
  const scene = new Scene();
  scene.owners.setAll([0, 0, 0, 1, 1, undefined]);
  await scene.change("move", "worker-1", 2);
  await scene.steward.start();
  const body = await scene.steward.carryOut(OPERATOR, { $case: "getCluster", value: { movesMax: 1 } });
  const report = body?.$case === "getCluster" ? body.value : undefined;
  expect(report?.nodes.map(({ id, owned }) => [id, owned])).toEqual([
    ["worker-0", 2],
    ["worker-1", 3],
  ]);
  expect(report?.partitions.map(({ owner }) => owner)).toEqual([
    ...["worker-0", "worker-0", "worker-1", "worker-1", "worker-1", ""],
  ]);
  expect(report?.partitions[2]).toMatchObject({ pinned: "worker-1", epoch: 5 });
  expect(report?.partitions[3]).toMatchObject({ pinned: "", epoch: 4 });
  expect(report?.moves.map(({ partition, node, other }) => [partition, node, other])).toEqual([
    [2, "worker-0", "worker-1"],
  ]);
  expect(scene.steward.counters()).toMatchObject({
    ...{ sessions: 4, up: 1, workers: 2, front_cpu_seconds_total: 7, partition_moves_total: 1 },
    worker_0_cpu_seconds_total: 0,
  });
  await scene.steward.close();
});
