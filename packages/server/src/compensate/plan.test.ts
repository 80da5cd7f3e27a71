import { expect, test } from "vitest";
import { type Attempt, attemptWords, DELAY_MS_MAX, stepAfter } from "./plan.ts";

const answered = (status: number, retryAfterMs = 0): Attempt => ({ kind: "answered", status, retryAfterMs });
const failed = (code: string): Attempt => ({ kind: "failed", code });

test.each([200, 201, 204, 299])("an answer %d delivers the call, also at its last attempt", (status) => {
  expect(stepAfter(answered(status), { attempts: 3, attemptsMax: 3, chance: 0 })).toEqual({ kind: "delivered" });
});

test.each([199, 301, 307, 400, 404, 429, 500, 503])("an answer %d is a failed attempt", (status) => {
  expect(stepAfter(answered(status), { attempts: 1, attemptsMax: 2, chance: 0 }).kind).toBe("retry");
  expect(stepAfter(answered(status), { attempts: 2, attemptsMax: 2, chance: 0 })).toEqual({ kind: "given_up" });
});

test("delays double up to a minute, and chance takes off up to a half", () => {
  const delay = (attempts: number, chance: number): number => {
    const step = stepAfter(failed("ECONNREFUSED"), { attempts, attemptsMax: 100, chance });
    return step.kind === "retry" ? step.delayMs : Number.NaN;
  };
  expect([1, 2, 3, 4].map((attempts) => delay(attempts, 0))).toEqual([500, 1_000, 2_000, 4_000]);
  expect(delay(99, 0)).toBe(DELAY_MS_MAX);
  expect(delay(99, 0.999)).toBeGreaterThanOrEqual(DELAY_MS_MAX / 2);
});

test("a receiver may ask for a longer pause, of at most a minute", () => {
  const step = (retryAfterMs: number) =>
    stepAfter(answered(503, retryAfterMs), { attempts: 1, attemptsMax: 2, chance: 0 });
  expect(step(5_000)).toEqual({ kind: "retry", delayMs: 5_000 });
  expect(step(100)).toEqual({ kind: "retry", delayMs: 500 });
  expect(step(86_400_000)).toEqual({ kind: "retry", delayMs: DELAY_MS_MAX });
});

test("a URL that is not allowed any more is not tried again", () => {
  expect(stepAfter(failed("not_allowed"), { attempts: 1, attemptsMax: 9, chance: 0 })).toEqual({ kind: "given_up" });
});

test("the log says status or error code", () => {
  expect([attemptWords(answered(503)), attemptWords(failed("timeout"))]).toEqual(["status 503", "timeout"]);
});
