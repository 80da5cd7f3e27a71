import { expect, test } from "vitest";
import { type Load, nextMove } from "./balance.ts";

const LIMITS = { ratioMax: 1.2, cpuMsMin: 100 };

const load = (cpuMs: number, events: Readonly<Record<number, number>>): Load => ({
  cpuMs,
  events: new Map(Object.entries(events).map(([partition, count]) => [Number(partition), count])),
});

test("the partition moves whose share of the busiest worker's time is nearest to half of the gap", () => {
  const loads = [load(1_000, { 0: 70, 1: 20, 2: 10 }), load(600, { 3: 50 })];
  expect(nextMove(loads, LIMITS)).toEqual({ partition: 1, from: 0, to: 1 });
});

test("workers within the ratio are left alone, and so are idle ones", () => {
  expect(nextMove([load(1_000, { 0: 5, 1: 5 }), load(900, { 2: 5 })], LIMITS)).toBeUndefined();
  expect(nextMove([load(90, { 0: 5, 1: 5 }), load(1, { 2: 5 })], LIMITS)).toBeUndefined();
});

test("a single hot partition stays where it is: elsewhere it would be as hot", () => {
  expect(nextMove([load(1_000, { 0: 100 }), load(100, { 1: 1 })], LIMITS)).toBeUndefined();
});

test("moves one after another bring any load of small partitions within the ratio, and then end", () => {
  const at = Array.from({ length: 32 }, (_, partition) => (partition < 26 ? 0 : partition % 3));
  const weight = (partition: number): number => 10 + (partition % 5);
  const loads = (): Load[] =>
    [0, 1, 2].map((worker) => {
      const own = [...at.keys()].filter((partition) => at[partition] === worker);
      const events = new Map(own.map((partition) => [partition, weight(partition)]));
      return { cpuMs: 10 * own.reduce((sum, partition) => sum + weight(partition), 0), events };
    });
  let moves = 0;
  for (let move = nextMove(loads(), LIMITS); move !== undefined; move = nextMove(loads(), LIMITS)) {
    at[move.partition] = move.to;
    moves += 1;
    expect(moves).toBeLessThan(32);
  }
  const times = loads().map(({ cpuMs }) => cpuMs);
  expect(Math.max(...times) / Math.min(...times)).toBeLessThanOrEqual(1.2);
});
