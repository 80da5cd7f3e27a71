import { describe, expect, test } from "vitest";
import { parseDurations } from "./durations-file.ts";

const HEADER = "start_ts,client,element,duration";

test("columns are found by name, and other ones are skipped", () => {
  const rows = parseDurations("element,note,duration,client,start_ts\r\ne0,x,1.5,c0,10\r\n\r\n", "f.csv");
  expect(rows).toEqual([{ requestMs: 10_000, durationMs: 1_500, client: "c0", element: "e0", isLost: false }]);
});

test("no more rows are read than are asked for", () => {
  expect(parseDurations(`${HEADER}\n1,a,b,1\n2,a,b,1\nnonsense`, "f.csv", 2)).toHaveLength(2);
});

describe("a malformed file is refused with file, line, field and range:", () => {
  const refusals: readonly (readonly [string, string])[] = [
    ["start_ts,client,element\n1,a,b", "f.csv, line 1: there is no column duration"],
    [`${HEADER}\n1,a,b,3\n2,a,b`, "f.csv, line 3: it has 3 fields; line 1 names 4."],
    [`${HEADER}\n1,a,b,-3`, 'f.csv, line 2: duration is "-3"; it must be seconds, a number from 0 to 100000000000.'],
    [`${HEADER}\nsoon,a,b,3`, 'f.csv, line 2: start_ts is "soon"; it must be seconds'],
    [`${HEADER}\n1,,b,3`, 'f.csv, line 2: client is ""; it must be a name of 1 to 512 characters.'],
    [`${HEADER}\n`, "f.csv holds no request"],
    ["", "f.csv, line 1: there is no column start_ts"],
  ];
  test.each(refusals)("%j", (text, message) => {
    expect(() => parseDurations(text, "f.csv")).toThrow(message);
  });
});
