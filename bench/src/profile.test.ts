// profile.test.ts: self time adds up over call sites, and idle time is nobody's cost.

import { expect, test } from "vitest";
import { costsOf } from "./profile.ts";

test("samples of one function count together, as a share of the busy time", () => {
  const frame = (functionName: string, url = "file:///server/dist/edge/tcp.js") => ({
    functionName,
    url,
    lineNumber: 87,
  });
  const costs = costsOf({
    nodes: [
      { id: 1, callFrame: frame("flush") },
      { id: 2, callFrame: frame("flush") },
      { id: 3, callFrame: frame("(idle)", "") },
      { id: 4, callFrame: frame("(garbage collector)", "") },
    ],
    samples: [1, 2, 3, 4],
    timeDeltas: [1_000, 2_000, 6_000, 1_000],
  });
  expect(costs.busyMs).toBe(4);
  expect(costs.functions).toEqual([
    { place: "flush  dist/edge/tcp.js:88", selfMs: 3, shareRatio: 0.75 },
    { place: "(garbage collector)", selfMs: 1, shareRatio: 0.25 },
  ]);
});

test("a native function is told by its caller", () => {
  const costs = costsOf({
    nodes: [
      { id: 1, children: [2], callFrame: { functionName: "writeSync", url: "node:fs", lineNumber: 927 } },
      { id: 2, callFrame: { functionName: "writeBuffer", url: "", lineNumber: -1 } },
    ],
    samples: [2],
    timeDeltas: [500],
  });
  expect(costs.functions.map((cost) => cost.place)).toEqual(["writeBuffer < writeSync  node:fs:928"]);
});
