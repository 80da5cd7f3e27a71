import { expect, test } from "vitest";
import { realDefer } from "./real-time.ts";

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("all that was deferred in one turn runs in one go, before the promises that it settles go on", async () => {
  const story: string[] = [];
  realDefer(() => {
    story.push("a");
    void Promise.resolve().then(() => story.push("after a"));
    realDefer(() => story.push("deferred by a"));
  });
  realDefer(() => story.push("b"));
  expect(story).toEqual([]);
  await nextTurn();
  expect(story).toEqual(["a", "b", "after a"]);
  await nextTurn();
  expect(story).toEqual(["a", "b", "after a", "deferred by a"]);
});
