import { describe, expect, test } from "vitest";
import { bestAtEqualWait, frontierOf } from "./frontier.ts";
import { svgPlot, textPlot } from "./plot.ts";
import type { PolicyResult } from "./tally.ts";

function policy(name: string, waitMsP99: number, falsePreemptions: number, healthyForced = 0): PolicyResult {
  return {
    ...{ name, grants: 10, waitMsMean: 1, waitMsP90: 1, waitMsP99, grantWaitMsP99: 1, finishedPerHour: 1 },
    ...{
      workLostMs: 0,
      preemptions: 1,
      falsePreemptions,
      healthyForced,
      gracefulReleases: 0,
      acknowledged: 0,
      extended: 0,
      unfinished: 0,
    },
  };
}

const POLICIES = [
  policy("none", 9_000, 0),
  policy("fixed-1000", 1_000, 40),
  policy("fixed-1250", 2_000, 10, 7),
  policy("fixed-1563", 3_000, 12),
  policy("fixed-1953", 2_000, 10, 3),
  policy("fixed-2441", 5_000, 0),
  policy("forelock", 2_500, 1),
];

const names = (policies: readonly PolicyResult[]): readonly string[] => policies.map(({ name }) => name);

test("the frontier has the timeouts that no other one beats", () => {
  expect(names(frontierOf(POLICIES))).toEqual(["fixed-1000", "fixed-1250", "fixed-2441"]);
});

describe("the best fixed timeout at an equal wait", () => {
  test("has the fewest false pre-emptions, then forces the fewest healthy holders", () => {
    expect(bestAtEqualWait(POLICIES, 2_500)?.name).toBe("fixed-1953");
  });

  test("is missing where none has waits as short", () => {
    expect(bestAtEqualWait(POLICIES, 999)).toBeUndefined();
  });
});

test("the text plot has a mark for each kind of policy, more to the right for longer waits and higher for more false ones", () => {
  const lines = textPlot(POLICIES, (ms) => `${ms} ms`);
  const placeOf = (mark: string): readonly [line: number, column: number] => {
    const line = lines.findIndex(
      (each, index) => index > 0 && each.includes("|") && each.slice(each.indexOf("|")).includes(mark),
    );
    return [line, lines[line]?.lastIndexOf(mark) ?? -1];
  };
  const [noneLine, noneColumn] = placeOf("N");
  const [forelockLine, forelockColumn] = placeOf("F");
  expect(forelockLine).toBeLessThan(noneLine);
  expect(forelockColumn).toBeLessThan(noneColumn);
  expect(lines.at(-1)).toMatch(/^ +1000 ms +9000 ms$/);
});

test("the drawing names what is asked for safely, and has a point for each policy", () => {
  const svg = svgPlot(POLICIES, { title: 'waits of "a<b>" & c', span: (ms) => `${ms} ms` });
  expect(svg).toContain("waits of &quot;a&lt;b&gt;&quot; &amp; c");
  for (const name of names(POLICIES)) expect(svg).toContain(`<title>${name}: p99 wait `);
  expect(svg.startsWith("<svg ") && svg.endsWith("</svg>\n")).toBe(true);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test("plots of policies that are all alike have a place for them", () => {
  expect(textPlot([policy("none", 0, 0), policy("forelock", 0, 0)], String).join("\n")).toContain("F");
  expect(svgPlot([policy("none", 0, 0)], { title: "", span: String })).not.toMatch(/NaN/);
});
