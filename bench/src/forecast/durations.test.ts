// durations.test.ts: the back-test of durations knows no future, and reads what it says it reads.
import { expect, test } from "vitest";
import { durationLines, runDurations } from "./durations.ts";
import { eventsOf, makeWork, parseWork } from "./durations-file.ts";
import { peers } from "./durations-peers.ts";
import { Tally } from "./durations-score.ts";

test("lines of seconds become work in milliseconds, in order of start", () => {
  const work = parseWork("a.csv", "start_ts,client,element,duration\n20,c1,e0,1.5\n10,c0,e0,0\n");
  expect(work).toEqual([
    { startMs: 10_000, client: "c0", element: "e0", durationMs: 0 },
    { startMs: 20_000, client: "c1", element: "e0", durationMs: 1_500 },
  ]);
});

test.each(["10,c0,e0", "x,c0,e0,1", "10,c0,e0,-1", "10,c0,e0,1,2"])("the line %s is refused by its number", (line) => {
  expect(() => parseWork("a.csv", `start_ts,client,element,duration\n${line}\n`)).toThrow(/^a.csv, line 2: /);
});

test("what ends at the moment of a start is known by then, and nothing ends before it began", () => {
  const work = parseWork("a.csv", "start_ts,client,element,duration\n0,a,e,10\n10,b,e,0\n10,c,e,5\n");
  expect(eventsOf(work).map(({ kind, index }) => `${kind} ${index}`)).toEqual([
    "start 0",
    "end 0",
    "start 1",
    "end 1",
    "start 2",
    "end 2",
  ]);
});

test("made-up work is the same for the same seed", () => {
  expect(makeWork(3)).toEqual(makeWork(3));
  expect(makeWork(3).work).not.toEqual(makeWork(4).work);
});

test("the pinball loss is that of the definition", () => {
  const tally = new Tally();
  tally.add(Math.E * 1_000, [1_000, 1_000, 1_000]);
  expect(tally.score().pinball).toBeCloseTo((0.5 + 0.9 + 0.99) / 3, 10);
  tally.add(1_000, [Math.E * 1_000, Math.E * 1_000, Math.E * 1_000]);
  expect(tally.score()).toMatchObject({ coverage50: 0.5, coverage90: 0.5, coverage99: 0.5, scored: 2 });
  expect(tally.score().pinball).toBeCloseTo((0.5 + (0.9 + 0.1) / 2 + (0.99 + 0.01) / 2) / 3, 10);
});

test("peers speak before they have seen anything, and then from what they saw", () => {
  for (const peer of peers()) {
    const [p50, p90, p99] = peer.forecast("ana", "e");
    expect(0 < p50 && p50 < p90 && p90 < p99, peer.name).toBe(true);
    for (let round = 0; round < 200; round += 1) peer.learn("ana", "e", 50);
    expect(peer.forecast("ana", "e")[0], peer.name).toBeCloseTo(50, 0);
  }
});

test("on made-up work the hierarchy beats every peer, and is honest", async () => {
  const options = { folder: undefined, seed: 2, challengers: false, speedCalls: 1_000, say: () => undefined };
  const report = await runDurations(options);
  const [file] = report.files;
  expect(file?.peers).toHaveLength(3);
  for (const peer of file?.peers ?? []) expect(file?.pinball, peer.name).toBeLessThan(peer.pinball);
  expect(Math.abs(file!.coverage50 - 0.5)).toBeLessThan(0.02); // There is one file.
  expect(Math.abs(file!.coverage90 - 0.9)).toBeLessThan(0.02);
  expect(report.speed.bytesPerPair).toBeLessThanOrEqual(640);
  expect(durationLines(report).join("\n")).toMatch(/hierarchy of forgetting histograms/);
});
