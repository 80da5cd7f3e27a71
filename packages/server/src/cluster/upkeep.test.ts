import { expect, test } from "vitest";
import { MemoryBulkStore } from "../bulk/memory.ts";
import { ManualClock } from "../shard/testing/world.ts";
import { Upkeep, type UpkeepOptions } from "./upkeep.ts";

const MIB = 1024 * 1024;

/** A node that leads nothing, so that only etcd's history is looked after. */
function scene(isCompacting: boolean) {
  const clock = new ManualClock();
  const log = {
    appendedBytes: 0,
    compactions: 0,
    truncate: async () => {},
    compactHistory: async () => {
      log.compactions += 1;
    },
  };
  const upkeep = new Upkeep({
    log: log as unknown as UpkeepOptions["log"],
    bulk: new MemoryBulkStore(),
    admission: { refresh: async () => undefined },
    clock,
    led: () => [],
    snapshotBytes: MIB,
    isCompacting: () => isCompacting,
    note: (line) => expect.unreachable(line),
  });
  return { clock, log, upkeep };
}

test("the node that plans has etcd forget its history now and then, the others do not", async () => {
  for (const isCompacting of [true, false]) {
    const { clock, log, upkeep } = scene(isCompacting);
    await clock.advance(60_000);
    expect(log.compactions).toBe(isCompacting ? 6 : 0);
    await upkeep.close();
  }
});

test("a node that appends much has etcd forget sooner, whoever plans", async () => {
  const { clock, log, upkeep } = scene(false);
  for (let second = 0; second < 10; second += 1) {
    log.appendedBytes += 20 * MIB;
    await clock.advance(1_000);
  }
  expect(log.compactions).toBeGreaterThanOrEqual(4);
  await clock.advance(60_000);
  expect(log.compactions).toBeLessThanOrEqual(5);
  await upkeep.close();
});

test("however much is appended, history is compacted once a second at most", async () => {
  const { clock, log, upkeep } = scene(true);
  for (let step = 0; step < 50; step += 1) {
    log.appendedBytes += 200 * MIB;
    await clock.advance(100);
  }
  expect(log.compactions).toBeLessThanOrEqual(5);
  expect(log.compactions).toBeGreaterThanOrEqual(3);
  await upkeep.close();
});
