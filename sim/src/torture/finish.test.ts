import { expect, test } from "vitest";
import { checkHistory } from "../history/check.ts";
import { acquire, append, beat, history, open, read, release, type Telling } from "../history/story.ts";
import { rollbackLines } from "./finish.ts";

const rollback = { on_loss: "rollback" };
const lost = [
  open("a"),
  open("b"),
  acquire("a", "f", 1, [2, 3], rollback),
  append("a", "f", "v1", 1, [4, 5], 0),
  beat("b", [900, 901]),
  acquire("b", "f", 2, [6, 1_100]),
];

const linesFor = (...lines: readonly Telling[]) =>
  rollbackLines(history(...lines)).map(({ key, args, callNs, returnNs }) => ({
    key,
    ...args,
    fromMs: callNs / 1e6,
    toMs: (returnNs ?? 0) / 1e6,
  }));

test("work of a grant that was lost is said to be undone between its earliest end and the next grant", () => {
  expect(linesFor(...lost, read("r", "f", [], [1_200, 1_201]))).toEqual([
    { key: "f", token: "1", to_index: 0, fromMs: 1_000, toMs: 1_100 },
  ]);
});

test("what was committed, or kept by choice, is not", () => {
  const committed = [...lost.slice(0, 4), release("a", "f", 1, [6, 7]), read("r", "f", ["v1"], [8, 9])];
  expect(linesFor(...committed)).toEqual([]);
  const kept = [
    open("a"),
    acquire("a", "f", 1, [2, 3]),
    append("a", "f", "v1", 1, [4, 5], 0),
    read("r", "f", ["v1"], [8, 9]),
  ];
  expect(linesFor(...kept)).toEqual([]);
});

test("a release without an answer is settled by what the last read shows", () => {
  const open = [...lost.slice(0, 4), release("a", "f", 1, [6, null]), acquire("b", "f", 2, [7, 8])];
  expect(linesFor(...open, read("r", "f", ["v1"], [9, 10]))).toEqual([]);
  expect(linesFor(...open, read("r", "f", [], [9, 10]))).toMatchObject([{ token: "1", to_index: 0 }]);
});

test("work that had to be undone and is still there stays a violation with the line", () => {
  const broken = history(...lost, read("r", "f", ["v1"], [1_200, 1_201]));
  const added = rollbackLines(broken).map((line, index) => ({ ...line, line: broken.length + index + 1 }));
  expect(added).toHaveLength(1);
  const kinds = checkHistory([...broken, ...added]).violations.map(({ kind }) => kind);
  expect(kinds).toContain("undone_work_visible");
});
