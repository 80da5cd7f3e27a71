// check.test.ts: each way to break the word is found in a small history; histories that only look odd are passed.
import { describe, expect, test } from "vitest";
import { checkHistory } from "./check.ts";
import type { HistoryLine } from "./record.ts";
import { acquire, append, beat, close, history, open, read, release, tell } from "./story.ts";
import { VIOLATIONS, type ViolationKind } from "./violation.ts";

const kindsOf = (lines: readonly HistoryLine[]): readonly string[] => [
  ...new Set(checkHistory(lines, { leaseSlackNs: 0 }).violations.map(({ kind }) => kind)),
];

const [a, b] = [open("a"), open("b")];
const shared = { mode: "shared" };
const rollback = { on_loss: "rollback" };
const permit = { mode: "permit", permits: 1, limit: 1 };

interface Case {
  readonly title: string;
  readonly lines: readonly HistoryLine[];
}

const SOUND: readonly Case[] = [
  {
    title: "a hand-over whose release and next grant overlap",
    lines: history(a, b, acquire("a", "x", 1, [2, 4]), acquire("b", "x", 2, [3, 12]), release("a", "x", 1, [10, 14])),
  },
  {
    title: "a grant after a lease that can have ended",
    lines: history(a, b, acquire("a", "x", 1, [2, 4]), acquire("b", "x", 2, [3, 1_001])),
  },
  {
    title: "a release without an answer may have taken effect at any later time",
    lines: history(a, b, acquire("a", "x", 1, [2, 4]), release("a", "x", 1, [5, null]), acquire("b", "x", 2, [6, 8])),
  },
  {
    title: "readers beside each other",
    lines: history(a, b, acquire("a", "x", 1, [2, 4], shared), acquire("b", "x", 2, [2, 5], shared)),
  },
  {
    title: "an answer that comes after the session was closed, to an acquire asked for before",
    lines: history(a, acquire("a", "x", 1, [2, 20]), close("a", [5, 10])),
  },
  {
    title: "a token that was taken by an acquire nobody heard of",
    lines: history(a, b, acquire("a", "x", 1, [2, null]), close("a", [3, 4]), acquire("b", "x", 7, [5, 6])),
  },
  {
    title: "an append without an answer that shows up late",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v1", 1, [4, null]),
      append("a", "f", "v2", 1, [5, 6], 0),
      read("r", "f", ["v2"], [7, 8]),
      read("r", "f", ["v2", "v1"], [9, 10]),
    ),
  },
  {
    title: "a retry that gets the first answer",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v1", 1, [4, null]),
      append("a", "f", "v1", 1, [6, 7], 0),
      read("r", "f", ["v1"], [5, 6]),
    ),
  },
  {
    title: "work of a lost grant is gone, and its index is used again",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3], rollback),
      append("a", "f", "v1", 1, [4, 5], 0),
      beat("b", [900, 901]),
      acquire("b", "f", 2, [6, 1_100]),
      append("b", "f", "v2", 2, [1_101, 1_102], 0),
      read("r", "f", ["v2"], [1_103, 1_104]),
    ),
  },
  {
    title: "a release without an answer may have committed, or come too late",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3], rollback),
      append("a", "f", "v1", 1, [4, 5], 0),
      release("a", "f", 1, [6, null]),
      acquire("b", "f", 2, [7, 8]),
      read("r", "f", ["v1"], [9, 10]),
    ),
  },
  {
    title: "a refusal after a lease that can have ended",
    lines: history(a, acquire("a", "x", 1, [2, 3]), release("a", "x", 1, [990, 1_001], false)),
  },
  {
    title: "a batch of which one line had no answer",
    lines: history(
      a,
      acquire("a", "x", 1, [2, 3], { batch: "m" }),
      tell("a", "acquire", "y", [2, null], { args: { owner: "a/2", session: "a@0", batch: "m" } }),
    ),
  },
];

const PLANTED: readonly (Case & { readonly kind: ViolationKind })[] = [
  {
    kind: "double_grant",
    title: "two certain holders",
    lines: history(a, b, acquire("a", "x", 1, [2, 4]), acquire("b", "x", 2, [3, 8]), release("a", "x", 1, [9, 10])),
  },
  {
    kind: "double_grant",
    title: "overlap that only the order of tokens shows",
    lines: history(a, b, acquire("a", "x", 1, [2, 40]), acquire("b", "x", 2, [3, 8]), release("b", "x", 2, [9, 10])),
  },
  {
    kind: "double_grant",
    title: "a writer beside a reader",
    lines: history(a, b, acquire("a", "x", 1, [2, 4], shared), acquire("b", "x", 2, [3, 8])),
  },
  {
    kind: "double_grant",
    title: "an element below one that is held, in a tree",
    lines: history(
      a,
      b,
      acquire("a", "{t}/p", 1, [2, 4], { tree: true }),
      acquire("b", "{t}/p/q", 2, [3, 8], { tree: true }),
    ),
  },
  {
    kind: "permits_exceeded",
    title: "two of one permit",
    lines: history(a, b, acquire("a", "x", 1, [2, 4], permit), acquire("b", "x", 2, [3, 8], permit)),
  },
  {
    kind: "half_batch",
    title: "one element granted, one refused",
    lines: history(
      a,
      acquire("a", "x", 1, [2, 3], { batch: "m" }),
      tell("a", "acquire", "y", [2, 3], {
        args: { owner: "a/2", batch: "m" },
        result: { granted: false, reason: "busy" },
      }),
    ),
  },
  {
    kind: "token_repeated",
    title: "one token twice",
    lines: history(a, b, acquire("a", "x", 1, [2, 3]), release("a", "x", 1, [4, 5]), acquire("b", "x", 1, [6, 7])),
  },
  {
    kind: "token_fell",
    title: "a lower token later",
    lines: history(a, b, acquire("a", "x", 9, [2, 3]), release("a", "x", 9, [4, 5]), acquire("b", "x", 8, [6, 7])),
  },
  {
    kind: "grant_to_dead_session",
    title: "asked for after the close",
    lines: history(a, close("a", [2, 3]), acquire("a", "x", 1, [4, 5])),
  },
  {
    kind: "grant_to_dead_session",
    title: "asked for before the close, but granted after a grant that came later",
    lines: history(
      a,
      b,
      acquire("a", "x", 2, [2, 30]),
      close("a", [3, 4]),
      acquire("b", "x", 1, [5, 6]),
      release("b", "x", 1, [7, 8]),
    ),
  },
  {
    kind: "holder_robbed",
    title: "a release refused while the lease ran",
    lines: history(a, acquire("a", "x", 1, [2, 3]), release("a", "x", 1, [4, 5], false)),
  },
  {
    kind: "holder_robbed",
    title: "an append refused while the lease ran",
    lines: history(a, acquire("a", "f", 1, [2, 3]), append("a", "f", "v1", 1, [4, 5])),
  },
  {
    kind: "holder_wrong",
    title: "a released grant shown as the holder",
    lines: history(
      a,
      acquire("a", "x", 1, [2, 3]),
      release("a", "x", 1, [4, 5]),
      tell("r", "holder", "x", [6, 7], { result: { held: true, token: 1 } }),
    ),
  },
  {
    kind: "session_robbed",
    title: "told dead before the ttl",
    lines: history(a, beat("a", [500, 501]), beat("a", [1_400, 1_401], false)),
  },
  {
    kind: "stale_release",
    title: "an old token frees a newer grant",
    lines: history(
      a,
      b,
      acquire("a", "x", 1, [2, 3]),
      tell("b", "preempt", "x", [4, 5], { args: { token: 1 } }),
      acquire("b", "x", 2, [6, 7]),
      release("a", "x", 1, [8, 9]),
    ),
  },
  {
    kind: "two_answers",
    title: "an append that got two indexes",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v", 1, [4, 5], 0),
      append("a", "f", "v", 1, [6, 7], 1),
    ),
  },
  {
    kind: "append_lost",
    title: "acknowledged and missing",
    lines: history(a, acquire("a", "f", 1, [2, 3]), append("a", "f", "v", 1, [4, 5], 0), read("r", "f", [], [6, 7])),
  },
  {
    kind: "append_lost",
    title: "seen without an answer, then missing",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v", 1, [4, null]),
      read("r", "f", ["v"], [6, 7]),
      read("r", "f", [], [8, 9]),
    ),
  },
  {
    kind: "append_doubled",
    title: "a retry that appended again",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v", 1, [4, 5], 0),
      read("r", "f", ["v", "v"], [6, 7]),
    ),
  },
  {
    kind: "append_reordered",
    title: "real time turned round",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      tell("a", "append", "f", [4, 5], { args: { value: "v1", token: 1 }, result: { offset: 0 } }),
      tell("a", "append", "f", [6, 7], { args: { value: "v2", token: 1 }, result: { offset: 2 } }),
      read("r", "f", ["v2", "v1"], [8, 9]),
    ),
  },
  {
    kind: "append_reordered",
    title: "one index for two entries",
    lines: history(
      a,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v1", 1, [4, 5], 0),
      append("a", "f", "v2", 1, [6, 7], 0),
    ),
  },
  {
    kind: "append_unfenced",
    title: "accepted after a newer grant",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3]),
      acquire("b", "f", 2, [4, 1_200]),
      append("a", "f", "v", 1, [1_201, 1_202], 0),
    ),
  },
  {
    kind: "append_unfenced",
    title: "accepted after the release",
    lines: history(a, acquire("a", "f", 1, [2, 3]), release("a", "f", 1, [4, 5]), append("a", "f", "v", 1, [6, 7], 0)),
  },
  {
    kind: "append_unfenced",
    title: "no answer, but it stands behind an entry of a newer token",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3]),
      append("a", "f", "v1", 1, [4, null]),
      acquire("b", "f", 2, [5, 1_200]),
      append("b", "f", "v2", 2, [1_201, 1_202], 0),
      read("r", "f", ["v2", "v1"], [1_203, 1_204]),
    ),
  },
  { kind: "append_invented", title: "never appended", lines: history(read("r", "f", ["ghost"], [6, 7])) },
  {
    kind: "append_invented",
    title: "refused, and there",
    lines: history(a, append("a", "f", "v", 1, [4, 5]), read("r", "f", ["v"], [6, 7])),
  },
  {
    kind: "read_from_future",
    title: "seen before it was asked for",
    lines: history(a, acquire("a", "f", 1, [2, 3]), read("r", "f", ["v"], [4, 5]), append("a", "f", "v", 1, [6, 7], 0)),
  },
  {
    kind: "undone_work_visible",
    title: "work of a forced grant after the next grant",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3], rollback),
      append("a", "f", "v", 1, [4, 5], 0),
      tell("o", "preempt", "f", [6, 7], { args: { token: 1 } }),
      acquire("b", "f", 2, [5, 8]),
      read("r", "f", ["v"], [9, 10]),
    ),
  },
  {
    kind: "half_undone",
    title: "one of two appends stayed",
    lines: history(
      a,
      b,
      acquire("a", "f", 1, [2, 3], rollback),
      append("a", "f", "v1", 1, [4, 5], 0),
      append("a", "f", "v2", 1, [6, 7], 1),
      release("a", "f", 1, [8, null]),
      acquire("b", "f", 2, [9, 10]),
      read("r", "f", ["v1"], [11, 12]),
    ),
  },
];

describe("sound histories are passed", () => {
  test.each(SOUND)("$title", ({ lines }) => {
    expect(checkHistory(lines, { leaseSlackNs: 0 }).violations).toEqual([]);
  });
});

describe("planted violations are found", () => {
  test.each(PLANTED)("$kind: $title", ({ kind, lines }) => {
    expect(kindsOf(lines)).toContain(kind);
  });

  test("every kind of violation has a history that shows it", () => {
    const planted = new Set(PLANTED.map(({ kind }) => kind));
    expect(Object.keys(VIOLATIONS).filter((kind) => !planted.has(kind as ViolationKind))).toEqual([]);
  });
});
