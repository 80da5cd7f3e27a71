import { expect, test } from "vitest";
import type { OperationCase } from "../authorize.ts";
import { decodeFrame } from "../frame/decode.ts";
import { acquireBody, clientFrame, edgeScene, realClock } from "../testing/edge-scene.ts";
import { bodyOf, EXAMPLES } from "../testing/examples.ts";
import { fuzzFrames } from "./fuzz.ts";

test("20,000 broken frames cost no crash, no hang and no leak", async () => {
  await using scene = await edgeScene();
  const steady = await scene.open();
  const report = await fuzzFrames({ frames: 20_000, seed: 1, port: scene.edge.port, clock: realClock });
  expect(report.frames).toBe(20_000);
  expect(report.refused).toBeGreaterThan(report.connections / 2);
  expect(report.slowestMs).toBeLessThan(2_000);
  expect(await steady.ask(acquireBody("still/served"))).toMatchObject({ $case: "acquire" });
  await expect.poll(() => scene.edge.counters()).toMatchObject({ connections: 1, requests_in_flight: 0, watchers: 0 });
  expect(scene.log.filter((line) => line.level === "error")).toEqual([]);
});

test("a recorded frame cut at any byte is refused or understood, never more", () => {
  const cases = Object.keys(EXAMPLES) as OperationCase[]; // Its keys are the cases.
  const operations = cases.map((kind, index) => ({
    sequence: index + 1,
    keep: undefined,
    body: bodyOf(kind, "orders/42"),
  }));
  const whole = clientFrame({ hello: {}, operations, lowestUnanswered: 9, settled: [1n, 2n] }).subarray(4);
  let understood = 0;
  for (let length = 0; length < whole.length; length++) {
    try {
      expect(decodeFrame(whole.subarray(0, length), 1_000).operations.length).toBeLessThanOrEqual(operations.length);
      understood++;
    } catch (error) {
      expect(error).toMatchObject({ code: "bad_frame" });
    }
  }
  expect(understood).toBeLessThan(operations.length + 6); // Only where a field of the frame itself ends.
});
