// check.property.test.ts: the checkers never accuse a correct service, and find each bug of a wrong one.
import { expect, test } from "vitest";
import { checkHistory } from "./check.ts";
import { type ModelBug, modelHistory } from "./model.ts";

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed + 1);
const UNTIL_MS = 6_000;
const check = (seed: number, bug: ModelBug) => checkHistory(modelHistory(seed, bug, UNTIL_MS), { leaseSlackNs: 0 });

test("a correct service is never accused, whatever answers are slow or lost", () => {
  const accused = SEEDS.flatMap((seed) =>
    check(seed, "none")
      .violations.slice(0, 1)
      .map((violation) => ({ seed, violation })),
  );
  expect(accused).toEqual([]);
});

test("the histories are worth checking", () => {
  const reports = SEEDS.map((seed) => check(seed, "none"));
  const sum = (value: (report: (typeof reports)[number]) => number): number =>
    reports.reduce((all, one) => all + value(one), 0);
  expect(sum(({ grants }) => grants)).toBeGreaterThan(2_000);
  expect(sum(({ unknown }) => unknown)).toBeGreaterThan(100);
  expect(sum(({ unknown }) => unknown) / sum(({ operations }) => operations)).toBeLessThan(0.2);
});

test.each<[ModelBug, readonly string[]]>([
  ["early_expiry", ["double_grant", "holder_robbed", "session_robbed"]],
  ["token_reused", ["token_repeated"]],
  ["no_fence", ["append_unfenced"]],
  ["no_undo", ["undone_work_visible"]],
  ["doubled_retry", ["append_doubled", "two_answers", "append_unfenced"]],
  ["lost_append", ["append_lost", "append_reordered"]],
  ["ignored_token", ["stale_release", "double_grant", "holder_robbed"]],
])("a service with the bug %s is found out within 60 seeds", (bug, kinds) => {
  const isFound = (seed: number): boolean => check(seed, bug).violations.some(({ kind }) => kinds.includes(kind));
  expect(SEEDS.some(isFound)).toBe(true);
});
