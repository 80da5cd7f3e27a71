import { expect, test } from "vitest";
import type { HistoryLine } from "../../history/record.ts";
import { aftermathOf } from "./aftermath.ts";

const MS = 1e6;
const fault = { fault: "kill_owner", target: "n1", start_ns: 1_000 * MS, end_ns: 2_000 * MS, happened: true, seen: "" };
const answer = (key: string, atMs: number, line: number): HistoryLine => ({
  ...{ process: "c", op: "acquire", key, args: {}, result: {}, callNs: 0, returnNs: atMs * MS },
  ...{ status: "ok", req: undefined, line },
});
const change = (partition: number, to: string, atMs: number) => ({
  ...{ atNs: atMs * MS, partition, epoch: 2, from: "n1", to },
});

test("who took over is told by partition, and later changes are another's", () => {
  const changes = [change(1, "n2", 1_500), change(2, "n3", 3_000), change(3, "n3", 9_000), change(4, "n2", 500)];
  const [told] = aftermathOf([fault], [], changes, []);
  expect(told?.owners).toEqual({ n2: [1], n3: [2] });
});

test("the pause is the longest whole gap between two answers about one element that the fault touches", () => {
  const lines = [
    ...[100, 900, 3_400, 3_500, 9_000].map((atMs, line) => answer("hot", atMs, line)),
    ...[950, 1_050, 2_050, 8_000].map((atMs, line) => answer("other", atMs, line + 10)),
  ];
  const [told] = aftermathOf([fault], lines, [], ["hot", "other"]);
  expect([told?.pause_key, told?.pause_ns]).toEqual(["hot", 2_500 * MS]);
});
