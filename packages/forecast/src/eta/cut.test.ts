import { expect, test } from "vitest";
import { cutAt } from "./cut.ts";

const DURATION = { ageMs: 20, p5Ms: 25, p50Ms: 50, p90Ms: 90, p95Ms: 95, p99Ms: 99 };

test("no quantile lies beyond the moment at which it is ended", () => {
  expect(cutAt(DURATION, 60)).toEqual({ ageMs: 20, p5Ms: 25, p50Ms: 50, p90Ms: 60, p95Ms: 60, p99Ms: 60 });
});

test("it is as it was when nobody ends it", () => {
  expect(cutAt(DURATION, Number.POSITIVE_INFINITY)).toBe(DURATION);
});

test("one that should have been ended before ends now", () => {
  expect(cutAt(DURATION, 5)).toEqual({ ageMs: 20, p5Ms: 20, p50Ms: 20, p90Ms: 20, p95Ms: 20, p99Ms: 20 });
});
