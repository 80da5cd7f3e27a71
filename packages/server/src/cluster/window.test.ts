import { expect, test } from "vitest";
import { ManualClock, settle } from "../shard/testing/world.ts";
import type { EpochRecord } from "./shared-log.ts";
import { WINDOW_MS, Window } from "./window.ts";

/** Reads that take `slow.ms` each. */
async function scene(saw: (window: Window) => void = () => {}) {
  const clock = new ManualClock();
  const slow = { ms: 1 };
  const read = (): Promise<ReadonlyMap<number, EpochRecord>> =>
    new Promise((resolve) => {
      clock.after(slow.ms, () => resolve(new Map()));
    });
  const window: Window = new Window({ clock, read, saw: () => saw(window) });
  const starting = window.start();
  await clock.advance(1);
  await starting;
  /** Reads that take too long: what they show is no longer known when they come. */
  const shut = async (): Promise<void> => {
    slow.ms = WINDOW_MS * 3;
    await clock.advance(WINDOW_MS * 2);
    expect(window.isOpen).toBe(false);
  };
  const open = async (): Promise<void> => {
    slow.ms = 1;
    await clock.advance(WINDOW_MS * 4);
    expect(window.isOpen).toBe(true);
  };
  return { window, shut, open };
}

test("it starts on a slow etcd, and is bound to its own time only from then on", async () => {
  const clock = new ManualClock();
  const deadlines: (number | undefined)[] = [];
  const read = (deadlineMs: number | undefined): Promise<ReadonlyMap<number, EpochRecord>> => {
    deadlines.push(deadlineMs);
    return new Promise((resolve) => void clock.after(WINDOW_MS * 2, () => resolve(new Map())));
  };
  const window = new Window({ clock, read, saw: () => {} });
  const starting = window.start();
  await clock.advance(WINDOW_MS * 3);
  await starting;
  expect(window.isOpen).toBe(false);
  expect(new Set(deadlines)).toEqual(new Set([undefined, WINDOW_MS]));
  window.close();
});

test("nothing waits while the window is open", async () => {
  const { window } = await scene();
  expect(window.holds("ana", () => expect.unreachable())).toBe(false);
});

test("what finds the window closed leaves when it opens, the newest of each key, once", async () => {
  const { window, shut, open } = await scene();
  await shut();
  const left: string[] = [];
  for (const [key, word] of [
    ["ana", "first"],
    ["bo", "other"],
    ["ana", "second"],
  ] as const)
    expect(window.holds(key, () => left.push(word))).toBe(true);
  await settle();
  expect(left).toEqual([]);
  await open();
  expect(left.toSorted()).toEqual(["other", "second"]);
});

test("a read that took longer than the window lets nothing leave", async () => {
  const { window, shut } = await scene();
  await shut();
  let hasLeft = false;
  window.holds("ana", () => {
    hasLeft = true;
  });
  await shut();
  await shut();
  expect(hasLeft).toBe(false);
});

test("what waits is forgotten when the read that opens the window shows that a partition is another's", async () => {
  let isLost = false;
  const { window, shut, open } = await scene((one) => {
    if (isLost) one.forget();
  });
  await shut();
  window.holds("ana", () => expect.unreachable());
  isLost = true;
  await open();
});

test("a closed window lets nothing leave and keeps nothing", async () => {
  const { window, shut } = await scene();
  await shut();
  window.holds("ana", () => expect.unreachable());
  window.close();
  expect(window.holds("bo", () => expect.unreachable())).toBe(true);
});
