// Which lines of a history tell of pre-emption, and when it can have happened.
import { expect, test } from "vitest";
import { checkHistory } from "../history/check.ts";
import { readHistory } from "../history/read.ts";
import { encodeOperation } from "../history/write.ts";
import { shortestCountdownNs } from "./preempted.ts";

const MS = 1e6;

/** ana holds token 1 and is pre-empted; bo is granted token 2 at `atMs`. */
function story(atMs: number, withLine: boolean): string {
  const session = (name: string) => ({ process: name, op: "session_open", key: `${name}@0`, args: { ttl_ms: 60_000 } });
  const acquire = (name: string, token: number, callNs: number, returnNs: number) => ({
    ...{ process: name, op: "acquire", key: "strict-0", args: { owner: name, session: `${name}@0` } },
    ...{ result: { granted: true, token }, call_ns: callNs, return_ns: returnNs, status: "ok" },
  });
  const opened = { result: {}, call_ns: 0, return_ns: MS, status: "ok" };
  const preempt = {
    ...{ process: "service", op: "preempt", key: "strict-0", args: { token: 1 }, result: {}, status: "ok" },
    ...{ call_ns: 2 * MS + shortestCountdownNs, return_ns: 2_000 * MS },
  };
  const lines = [
    ...[
      { ...session("ana"), ...opened },
      { ...session("bo"), ...opened },
    ],
    ...[acquire("ana", 1, 2 * MS, 3 * MS), acquire("bo", 2, 4 * MS, atMs * MS)],
    ...(withLine ? [preempt] : []),
  ];
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

const kinds = (text: string): readonly string[] =>
  checkHistory(readHistory(text).lines).violations.map(({ kind }) => kind);

test("a grant after a pre-emption is no double grant; one before its countdown can have ended is", () => {
  expect(kinds(story(1_500, true))).toEqual([]);
  expect(kinds(story(1_500, false))).toContain("double_grant");
  expect(kinds(story(100, true))).toContain("double_grant");
});

test("its line goes through the history's own form", () => {
  const [line] = readHistory(story(1_500, true)).lines.filter(({ op }) => op === "preempt");
  if (line === undefined) throw new Error("expected the line");
  expect(readHistory(encodeOperation(line)).problems).toEqual([]);
});
