// The simulator itself: one seed gives one run, what it looks for is found, and what it is told to leave out stays out.
import { createState, type PartitionState } from "forelock/internal";
import { expect, test } from "vitest";
import { audit } from "./audit.ts";
import { dump } from "./dump.ts";
import { FAULTS } from "./profile.ts";
import { runSeed, type SeedRun } from "./seed.ts";
import { Situations } from "./situations.ts";
import { Process, SimulatedTime } from "./time.ts";
import { Violation } from "./violation.ts";

function run(seed: number, steps: number): Promise<SeedRun> {
  return runSeed({ seed, steps, without: new Set(), situations: new Situations(), print: undefined });
}

test("one seed gives one run, byte for byte", async () => {
  for (const seed of [3, 14, 159]) {
    const [first, second] = [await run(seed, 120), await run(seed, 120)];
    expect(second.trace.hash).toBe(first.trace.hash);
    expect(second.trace.count).toBe(first.trace.count);
    expect(second.result.events).toBe(first.result.events);
  }
});

test("another seed gives another run", async () => {
  expect((await run(1, 40)).trace.hash).not.toBe((await run(2, 40)).trace.hash);
});

test("the service keeps its promises under the first seeds", async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const { result } = await run(seed, 150);
    expect(result.violation?.message, `npm run sim -- --seed ${seed} --steps 150`).toBeUndefined();
  }
});

test("the audit finds a count that its grants do not make", () => {
  const state: PartitionState = createState(0);
  audit(state);
  state.grants = 1;
  expect(() => audit(state)).toThrow(Violation);
});

test("two states with the same rows have the same text, whatever order they came in", () => {
  const [left, right] = [createState(0), createState(0)];
  left.tombstones.set("a", 1).set("b", 2);
  right.tombstones.set("b", 2).set("a", 1);
  expect(dump(left)).toBe(dump(right));
  right.tombstones.set("a", 3);
  expect(dump(left)).not.toBe(dump(right));
});

test("events of a paused process wait in their order, and those of a dead one are lost", async () => {
  const time = new SimulatedTime();
  const [paused, dead, other] = [new Process("paused"), new Process("dead"), new Process("other")];
  const story: string[] = [];
  time.after(paused, 10, () => story.push(`first at ${time.nowMs}`));
  time.after(paused, 20, () => story.push(`second at ${time.nowMs}`));
  time.after(dead, 15, () => story.push("never"));
  time.after(other, 30, () => story.push(`other at ${time.nowMs}`));
  paused.pausedUntilMs = 50;
  dead.isAlive = false;
  await time.runUntil(100, () => {});
  expect(story).toEqual(["other at 30", "first at 50", "second at 50"]);
});

test("every kind of fault can be left out", async () => {
  const quiet = { seed: 5, steps: 60, without: new Set(FAULTS), situations: new Situations(), print: undefined };
  const { result } = await runSeed(quiet);
  expect(result.violation?.message).toBeUndefined();
  expect([...result.counts.keys()].filter((name) => name.startsWith("fault"))).toEqual([]);
});
