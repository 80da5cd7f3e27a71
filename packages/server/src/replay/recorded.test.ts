import { describe, expect, test } from "vitest";
import { SHARED } from "../lock/mode.ts";
import type { Command } from "../partition/commands.ts";
import { Recorder } from "./recorded.ts";
import { Log } from "./testing/log.ts";

function recordedFrom(log: Log) {
  const recorder = new Recorder([]);
  for (const record of log.records) recorder.take(record);
  return recorder.result();
}

test("holds are told with their requests: granted at once, after a wait, and under the principal of who has no name", () => {
  const log = new Log();
  log
    .after(100)
    .acquire("ana", "a")
    .after(50)
    .acquire("nameless", "a")
    .after(250)
    .release("ana")
    .after(70)
    .release("nameless");
  expect(recordedFrom(log)).toMatchObject({
    rows: [
      { requestMs: 100, durationMs: 300, client: "ana", element: "a", isLost: false },
      { requestMs: 150, durationMs: 70, client: "shop", element: "a", isLost: false },
    ],
    ...{ lost: 0, stillHeld: 0, otherKinds: 0 },
  });
});

test("a session that closes has released, one that expires has not, and what is still held lasts to the end", () => {
  const log = new Log();
  const end = (sessionId: string, why: "closed" | "expired"): Command => ({
    kind: "end_session",
    sessionId,
    why,
    reason: "",
  });
  log.acquire("ana", "a").acquire("bo", "b").acquire("cy", "c");
  log.after(10).do(end("ana", "closed")).after(20).do(end("bo", "expired")).after(30).do({ kind: "tick" });
  const { rows, lost, stillHeld } = recordedFrom(log);
  expect(rows.map(({ client, durationMs, isLost }) => [client, durationMs, isLost])).toEqual([
    ["ana", 10, false],
    ["bo", 30, true],
    ["cy", 60, true],
  ]);
  expect([lost, stillHeld]).toEqual([1, 1]);
});

test("a hold that was pre-empted has not released", () => {
  const cause = { countdownMs: 100, enforce: true, score: 1, threshold: 1, parts: [], reason: "late", by: "ops" };
  const log = new Log().acquire("ana", "a").acquire("bo", "a");
  log.do({ kind: "warn", name: "a", token: 0n, wait: 0, cause }).after(100).do({ kind: "tick" }).after(5).release("bo");
  expect(recordedFrom(log).rows).toMatchObject([
    { client: "ana", durationMs: 100, isLost: true },
    { client: "bo", durationMs: 5, isLost: false },
  ]);
});

describe("answers to warnings", () => {
  /** ana holds from 0 and is warned at 100; bo waits. */
  const warned = (): Log => new Log().acquire("ana", "a").acquire("bo", "a").after(100).warn("a", 1_000);

  test("are those of the log: when it was acknowledged, for how much more time, and when it released", () => {
    const log = warned().after(20).acknowledge("ana", 500).after(30).acknowledge("ana", 0).after(50).release("ana");
    const recorded = recordedFrom(log.after(10).release("bo"));
    const acknowledgements = [
      { afterMs: 20, extensionMs: 500 },
      { afterMs: 50, extensionMs: 0 },
    ];
    expect(recorded.rows).toMatchObject([
      { client: "ana", durationMs: 200, answer: { acknowledgements, releasedMs: 100 } },
      { client: "bo", durationMs: 10 },
    ]);
    expect(recorded.rows[1]?.answer).toBeUndefined();
    expect([recorded.warned, recorded.acknowledged, recorded.extended, recorded.spanMs]).toEqual([1, 1, 1, 210]);
  });

  test("stand in for holds of the same client that were not warned, in turn, those that were silent among them", () => {
    const log = warned().after(20).acknowledge("ana").after(30).release("ana").after(10).release("bo");
    log.acquire("ana", "a").acquire("bo", "a").warn("a", 1_000).after(40).release("ana").release("bo");
    for (let hold = 0; hold < 3; hold += 1) log.acquire("ana", "b").after(5).release("ana");
    const answers = recordedFrom(log).rows.flatMap(({ client, answer }) =>
      client === "ana" ? [answer?.releasedMs] : [],
    );
    expect(answers).toEqual([50, undefined, 50, undefined, 50]);
  });

  test("of a holder that acknowledged and was forced all the same have no release", () => {
    const log = warned().after(20).acknowledge("ana").after(980).do({ kind: "tick" }).after(1).release("bo");
    expect(recordedFrom(log).rows[0]).toMatchObject({
      ...{ client: "ana", isLost: true },
      answer: { acknowledgements: [{ afterMs: 20, extensionMs: 0 }], releasedMs: undefined },
    });
  });

  test("are not made up for one that never released", () => {
    const log = warned().after(20).acknowledge("ana").release("ana").after(10).release("bo");
    log.acquire("ana", "b").after(60_000);
    expect(recordedFrom(log.do({ kind: "tick" })).rows.at(-1)).not.toHaveProperty("answer");
  });
});

test("shared grants are counted, and are no rows", () => {
  const log = new Log().acquire("ana", "a", SHARED).acquire("bo", "a").after(5).release("ana").after(7).release("bo");
  const { rows, otherKinds } = recordedFrom(log);
  expect([rows.map(({ client }) => client), otherKinds]).toEqual([["bo"], 1]);
});

test("what the log last said of policies is told by prefix", () => {
  const row = { set: new Map([["threshold", "0.7"]]), threshold: -1, by: "ops", reason: "try", wallMs: 0 };
  expect(recordedFrom(new Log().do({ kind: "set_policy", prefix: "a", row })).policies).toEqual(
    new Map([["a", row.set]]),
  );
});

describe("a log that begins after a snapshot", () => {
  const log = new Log().after(40).acquire("ana", "a");
  const snapshot = log.snapshot();
  const later = log.after(60).release("ana").records.slice(snapshot.sequence);

  test("goes on from it: what was held then was asked for when it was granted", () => {
    const recorder = new Recorder([snapshot]);
    for (const record of later) recorder.take(record);
    expect(recorder.result().rows).toMatchObject([{ client: "ana", durationMs: 60 }]);
    expect(recorder.missingPartitions).toBe(0);
  });

  test("is left out, and counted, when that is missing", () => {
    const recorder = new Recorder([]);
    for (const record of later) recorder.take(record);
    expect([recorder.result().rows, recorder.missingPartitions]).toEqual([[], 1]);
  });
});
