// The past: spans out of entries, one moment of it, and its picture.
import { describe, expect, test } from "vitest";
import { ganttOf, ticksOf } from "./gantt.ts";
import { locksAt, momentOf, neighbour, SLIDER_STEPS, stepOf, withHeld } from "./moment.ts";
import { recordedAt } from "./recorded.ts";
import { type Span, spansOf } from "./spans.ts";

type Entry = Parameters<typeof spansOf>[0][number];
const entry = (agoMs: number, kind: string, session: string, token = "", reason = ""): Entry => ({
  agoMs,
  kind,
  name: "a",
  session,
  client: session,
  token,
  reason,
});
const story = (spans: readonly Span[]): readonly string[] =>
  spans.map(
    ({ kind, session, fromMs, toMs, end, isCut }) =>
      `${session} ${kind} ${fromMs}..${toMs} ${end ?? "lasts"}${isCut ? " cut" : ""}`,
  );

test("a wait ends with its grant, and a grant with its release", () => {
  const entries = [
    entry(900, "granted", "ana", "1"),
    entry(800, "queued", "bo"),
    entry(700, "released", "ana", "1"),
    entry(700, "granted", "bo", "2"),
  ];
  expect(story(spansOf(entries, 1_000))).toEqual([
    "ana hold -900..-700 released",
    "bo wait -800..-700 granted",
    "bo hold -700..0 lasts",
  ]);
});

test("what began before the log's memory begins with it", () => {
  const entries = [entry(500, "released", "ana", "1"), entry(400, "ended", "bo", "", "timeout")];
  expect(story(spansOf(entries, 1_000))).toEqual([
    "ana hold -1000..-500 released cut",
    "bo wait -1000..-400 ended cut",
  ]);
});

test("a second word about a token that is gone changes nothing", () => {
  const entries = [
    entry(900, "granted", "ana", "1"),
    entry(500, "warned", "ana", "1", "others wait"),
    entry(300, "preempted", "ana", "1", "not released in time"),
    entry(300, "forced", "ana", "1"),
    entry(200, "warned", "ana", "1"),
  ];
  const spans = spansOf(entries, 1_000);
  expect(story(spans)).toEqual(["ana hold -900..-300 preempted"]);
  expect(spans[0]?.reason).toBe("not released in time");
  expect(spans[0]?.marks).toEqual([{ atMs: -500, kind: "warned", reason: "others wait" }]);
});

test("a session that waits twice for one name has its waits ended in order", () => {
  const entries = [
    entry(900, "queued", "bo"),
    entry(800, "queued", "bo"),
    entry(700, "ended", "bo"),
    entry(600, "granted", "bo", "3"),
  ];
  expect(story(spansOf(entries, 1_000))).toEqual([
    "bo wait -900..-700 ended",
    "bo wait -800..-600 granted",
    "bo hold -600..0 lasts",
  ]);
});

test("a warning about a grant from before the log's memory is kept with it", () => {
  const spans = spansOf([entry(500, "warned", "ana", "1"), entry(400, "released", "ana", "1")], 1_000);
  expect(story(spans)).toEqual(["ana hold -1000..-400 released cut"]);
  expect(spans[0]?.marks).toHaveLength(1);
});

test("what is held now and never told of is added, what is told of is not added twice", () => {
  const spans = spansOf([entry(100, "granted", "ana", "1")], 1_000);
  const held = [
    { name: "a", session: "ana", client: "ana", token: "1", heldMs: 100 },
    { name: "b", session: "cy", client: "cy", token: "9", heldMs: 5_000 },
  ];
  expect(story(withHeld(spans, held))).toEqual(["cy hold -5000..0 lasts", "ana hold -100..0 lasts"]);
});

test("a moment of the past shows who held, who waited, and the pain of then", () => {
  const entries = [
    entry(900, "granted", "ana", "1"),
    entry(800, "queued", "bo"),
    entry(700, "queued", "cy"),
    entry(650, "warned", "ana", "1"),
    entry(500, "released", "ana", "1"),
    entry(500, "granted", "bo", "2"),
  ];
  const spans = spansOf(entries, 1_000);
  const at = (atMs: number): unknown =>
    locksAt(spans, atMs).map(({ holder, heldMs, waiting, waitedMs, painMs }) => [
      holder?.client,
      heldMs,
      waiting,
      waitedMs,
      painMs,
    ]);
  expect(at(-950)).toEqual([]);
  expect(at(-600)).toEqual([["ana", 300, 2, 200, 300]]);
  expect(at(-500)).toEqual([["bo", 0, 1, 200, 200]]);
  expect(locksAt(spans, -600)[0]?.holder?.risk).toEqual({ state: "warned" });
  expect(locksAt(spans, -700)[0]?.holder?.risk).toBeUndefined();
});

describe("what the log recorded of a holder", () => {
  const risk = { score: 0.97, threshold: 0.9, policy: "enforce", state: "warned", countdownMs: 100, reason: "late" };
  const spans = spansOf(
    [
      entry(900, "granted", "ana", "1"),
      { ...entry(600, "warned", "ana", "1", "late"), risk },
      entry(550, "acknowledged", "ana", "1"),
      entry(520, "extended", "ana", "1"),
    ],
    1_000,
  );
  const at = (atMs: number) => spans[0] && recordedAt(spans[0], atMs);

  test("is nothing before its warning", () => {
    expect(at(-601)).toBeUndefined();
    expect(locksAt(spans, -601)[0]?.recorded).toBeUndefined();
  });

  test("is the score of its last warning, and what was left of the countdown at that moment", () => {
    expect(at(-570)).toEqual({ state: "warned", risk, sinceMs: 30, leftMs: 70 });
    expect(at(-540)).toMatchObject({ state: "acknowledged", leftMs: 40 });
    expect(locksAt(spans, -570)[0]).toMatchObject({ recorded: { sinceMs: 30 }, holder: { risk: { score: 0.97 } } });
  });

  test("tells no countdown once it was extended, by how much the log of entries does not say, nor without force", () => {
    expect(at(-500)).toMatchObject({ state: "extended", leftMs: undefined });
    const warned = spansOf([{ ...entry(600, "warned", "ana", "1"), risk: { ...risk, countdownMs: -1 } }], 1_000);
    expect(warned[0] && recordedAt(warned[0], -590)?.leftMs).toBeUndefined();
  });

  test("has no score where the server did not tell one", () => {
    const [span] = spansOf([entry(600, "warned", "ana", "1", "late")], 1_000);
    expect(span && recordedAt(span, -590)).toEqual({
      state: "warned",
      risk: undefined,
      sinceMs: 10,
      leftMs: undefined,
    });
  });
});

test("the slider reaches both ends, and every step leads back to itself", () => {
  expect([momentOf(SLIDER_STEPS, 5_000), momentOf(0, 5_000)]).toEqual([0, -5_000]);
  for (let step = 0; step <= SLIDER_STEPS; step += 50)
    expect(stepOf(momentOf(step, 86_400_000), 86_400_000)).toBe(step);
  expect(stepOf(0, 0)).toBe(SLIDER_STEPS);
});

test("events are stepped through one by one, and the last step is now", () => {
  const times = [-300, -200, -200, -100];
  expect([neighbour(times, 0, -1), neighbour(times, -100, -1), neighbour(times, -300, -1)]).toEqual([-100, -200, -300]);
  expect([neighbour(times, -300, 1), neighbour(times, -200, 1), neighbour(times, -100, 1)]).toEqual([-200, -100, 0]);
});

test("bars are cut at the window, lanes go to those who were busy last", () => {
  const entries = [
    entry(900, "granted", "ana", "1"),
    entry(500, "released", "ana", "1"),
    entry(400, "granted", "bo", "2"),
  ];
  const { lanes, left } = ganttOf(spansOf(entries, 1_000), -700, 0);
  expect(left).toBe(0);
  expect(lanes.map(({ label }) => label)).toEqual(["bo", "ana"]);
  expect(lanes[1]?.bars[0]).toMatchObject({ from: 0, to: 2 / 7 });
  const crowd = Array.from({ length: 40 }, (_, index) => entry(900 - index, "granted", `s${index}`, String(index + 1)));
  expect(ganttOf(spansOf(crowd, 1_000), -1_000, 0)).toMatchObject({ left: 16 });
});

test.each([
  [-1_500, 0],
  [-60_000, 0],
  [-3_600_000, -60_000],
  [-40 * 86_400_000, 0],
])("the axis from %d to %d has a few round ticks inside", (fromMs, toMs) => {
  const ticks = ticksOf(fromMs, toMs);
  expect(ticks.length).toBeGreaterThanOrEqual(1);
  expect(ticks.length).toBeLessThanOrEqual(8);
  expect(ticks.every((tick) => tick >= fromMs && tick <= toMs && Math.abs(tick % 1_000) === 0)).toBe(true);
});
