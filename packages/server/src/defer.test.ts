// Turns run together, in order, and a slice at a time.
import { expect, test } from "vitest";
import { slicedDefer } from "./defer.ts";

/** A loop that is turned by hand, with a clock that only what runs moves. */
function scene() {
  const asked: (() => void)[] = [];
  const story: string[] = [];
  const clock = { nowMs: 0 };
  const defer = slicedDefer(
    (run) => asked.push(run),
    () => clock.nowMs,
  );
  return {
    story,
    clock,
    defer,
    asked,
    work: (name: string, ms: number) =>
      defer(() => {
        story.push(name);
        clock.nowMs += ms;
      }),
    turn: (): boolean => {
      const run = asked.shift();
      run?.();
      story.push("|");
      return run !== undefined;
    },
  };
}

test("all that was deferred in one turn runs in one go, before the promises that it settles go on", async () => {
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
  const defer = slicedDefer(
    (run) => setImmediate(run),
    () => 0,
  );
  const story: string[] = [];
  defer(() => {
    story.push("a");
    void Promise.resolve().then(() => story.push("after a"));
    defer(() => story.push("deferred by a"));
  });
  defer(() => story.push("b"));
  expect(story).toEqual([]);
  await nextTurn();
  expect(story).toEqual(["a", "b", "after a"]);
  await nextTurn();
  expect(story).toEqual(["a", "b", "after a", "deferred by a"]);
});

test("what was asked for in one turn of the loop is asked for once", () => {
  const { work, turn, story, asked } = scene();
  for (const name of ["a", "b", "c"]) work(name, 0.1);
  expect(asked).toHaveLength(1);
  turn();
  expect([story.join(""), asked.length]).toEqual(["abc|", 0]);
});

test("what does not fit a slice runs in the next one, before what was asked for meanwhile", () => {
  const { work, turn, story, asked } = scene();
  for (let index = 0; index < 40; index += 1) work("a", 0.05);
  turn();
  work("e", 0.05);
  while (asked.length > 0) turn();
  expect(story.join("")).toBe(`${"a".repeat(20)}|${"a".repeat(20)}|e|`);
});

test("sixteen run in one slice, however long they take", () => {
  const { work, turn, story } = scene();
  for (let index = 0; index < 40; index += 1) work("a", 30);
  turn();
  expect(story.join("")).toBe(`${"a".repeat(16)}|`);
});

test("a slice is the longer, the longer the pauses between slices are, up to a limit", () => {
  const { work, turn, story, clock, asked } = scene();
  const slices: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    for (let index = 0; index < 400; index += 1) work("x", 0.125);
    while (asked.length > 0) {
      story.length = 0;
      turn();
      slices.push(story.length - 1);
      clock.nowMs += round < 30 ? 4 : 50; // The write.
    }
  }
  expect([slices[0], Math.max(...slices.slice(100, 300)), Math.max(...slices)]).toEqual([16, 32, 128]);
});

test("a slow pause is forgotten, also while its long slices leave nothing to cut", () => {
  const { work, turn, story, clock, asked } = scene();
  const rounds: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    for (let index = 0; index < 64; index += 1) work("x", 0.1);
    rounds.push(0);
    while (asked.length > 0) {
      rounds[round] = (rounds[round] ?? 0) + 1;
      turn();
      clock.nowMs += round === 0 ? 500 : 1; // The first write is a slow one.
    }
  }
  expect(story.filter((name) => name === "x")).toHaveLength(60 * 64);
  expect(rounds.slice(1, 5)).toEqual([1, 1, 1, 1]);
  expect(Math.min(...rounds.slice(50))).toBeGreaterThan(1);
});

test("when one fails the others run all the same, each once", () => {
  const { work, turn, story, defer, asked } = scene();
  work("a", 0);
  defer(() => {
    throw new Error("a bug");
  });
  work("b", 0);
  expect(turn).toThrow("a bug");
  while (asked.length > 0) turn();
  expect(story.join("")).toBe("ab|");
});
