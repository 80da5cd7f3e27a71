// schedule.test.ts: who is fitted next, and that the budget holds whatever the fits cost.
import { expect, test } from "vitest";
import { seededRandom } from "./random.ts";
import { FitSchedule, type Plan, REFIT_RULES } from "./schedule.ts";

const OPTIONS = { rules: REFIT_RULES, budgetRatio: 0.05, keysMax: 100 };

/** Does what the schedule says until it waits or is idle; tells what was done. */
function work(
  schedule: FitSchedule,
  nowMs: number,
  observations: number,
  costMs = 0,
  isUsable = true,
): readonly string[] {
  const story: string[] = [];
  for (;;) {
    const plan = schedule.next(nowMs);
    if (plan.kind === "idle" || plan.kind === "wait") return story;
    story.push(`${plan.kind} ${plan.key} ${plan.model}`);
    schedule.done(plan, { costMs, isUsable, observations }, nowMs);
  }
}

test("a new series is fitted by the cheap model first, and all series by it before any dear one", () => {
  const schedule = new FitSchedule(OPTIONS, 0);
  schedule.submit("a", 500);
  schedule.submit("b", 500);
  expect(work(schedule, 0, 500)).toEqual([
    "fit a ridge",
    "fit b ridge",
    "fit a sarima",
    "fit b sarima",
    "fit a lstm",
    "fit b lstm",
  ]);
});

test("new values renew the tables at once, and the fits by count or time", () => {
  const schedule = new FitSchedule(OPTIONS, 0);
  schedule.submit("a", 500);
  work(schedule, 0, 500);
  schedule.submit("a", 510);
  expect(work(schedule, 1_000, 510)).toEqual(["table a ridge", "table a sarima", "table a lstm"]);
  schedule.submit("a", 564);
  expect(work(schedule, 2_000, 564)).toEqual(["table a sarima", "table a lstm", "fit a ridge"]);
  schedule.submit("a", 565);
  expect(work(schedule, 62_000, 565)).toEqual(["table a sarima", "table a lstm", "fit a ridge"]);
  schedule.submit("a", 566);
  expect(work(schedule, 600_000, 566)).toEqual(["table a lstm", "fit a ridge", "fit a sarima"]);
});

test("without new values nothing is due, however long ago the fit was", () => {
  const schedule = new FitSchedule(OPTIONS, 0);
  schedule.submit("a", 500);
  work(schedule, 0, 500);
  expect(schedule.next(1e9)).toEqual({ kind: "idle" });
});

test("a fit in vain makes no tables, and is tried again when the rule says so", () => {
  const schedule = new FitSchedule({ ...OPTIONS, rules: REFIT_RULES.slice(0, 1) }, 0);
  schedule.submit("a", 10);
  expect(work(schedule, 0, 10, 1, false)).toEqual(["fit a ridge"]);
  schedule.submit("a", 11);
  expect(work(schedule, 100, 11, 1, false)).toEqual([]);
  schedule.submit("a", 80);
  expect(work(schedule, 200, 80)).toEqual(["fit a ridge"]);
});

test("F1: over a long stretch of more work than there is time for, the work stays within the budget", () => {
  const schedule = new FitSchedule(OPTIONS, 0);
  const random = seededRandom(1);
  let [nowMs, spentMs, observations, aboveMs] = [0, 0, 0, 0];
  while (nowMs < 1_000_000) {
    observations += 1;
    for (let key = 0; key < 10; key++) schedule.submit(`key ${key}`, observations);
    const plan: Plan = schedule.next(nowMs);
    if (plan.kind === "idle") nowMs += 1_000;
    else if (plan.kind === "wait") {
      nowMs += plan.waitMs;
    } else {
      const costMs = plan.kind === "fit" ? 1_000 * random() : 5;
      nowMs += costMs;
      spentMs += costMs;
      schedule.done(plan, { costMs, isUsable: true, observations }, nowMs);
    }
    aboveMs = Math.max(aboveMs, spentMs - 0.05 * nowMs);
  }
  expect(aboveMs).toBeLessThanOrEqual(2_000 + 1_000); // What may be saved, and one fit.
  expect(spentMs).toBeGreaterThan(0.04 * nowMs); // And what there is, is used.
});

test("F2, F3: with too little time every kind is fitted still, and tables take at most half", () => {
  const schedule = new FitSchedule(OPTIONS, 0);
  const costs: Record<string, number> = { ridge: 30, sarima: 200, lstm: 700 };
  const fits: Record<string, number> = { ridge: 0, sarima: 0, lstm: 0 };
  let [nowMs, tableMs, fitMs] = [0, 0, 0];
  for (let observations = 1; nowMs < 5_000_000; observations++) {
    for (let key = 0; key < 10; key++) schedule.submit(`key ${key}`, observations);
    const plan = schedule.next(nowMs);
    if (plan.kind === "idle" || plan.kind === "wait") {
      nowMs += plan.kind === "wait" ? plan.waitMs : 1_000;
      continue;
    }
    const costMs = plan.kind === "fit" ? (costs[plan.model] ?? 0) : 10;
    if (plan.kind === "table") tableMs += costMs;
    else {
      fitMs += costMs;
      fits[plan.model] = (fits[plan.model] ?? 0) + 1;
    }
    nowMs += costMs;
    schedule.done(plan, { costMs, isUsable: true, observations }, nowMs);
  }
  expect(tableMs).toBeLessThan(1.1 * fitMs);
  for (const count of Object.values(fits)) expect(count).toBeGreaterThan(20); // Each of 10 series, more than twice.
});

test("the series submitted longest ago is forgotten when there is no room", () => {
  const schedule = new FitSchedule({ ...OPTIONS, keysMax: 2 }, 0);
  expect(schedule.submit("a", 1)).toBeUndefined();
  expect(schedule.submit("b", 1)).toBeUndefined();
  expect(schedule.submit("a", 2)).toBeUndefined();
  expect(schedule.submit("c", 1)).toBe("b");
  expect(schedule.keys).toBe(2);
  expect(work(schedule, 0, 2).filter((line) => line.includes(" b "))).toEqual([]);
});

test("an outcome for a series that was forgotten meanwhile still costs its time", () => {
  const schedule = new FitSchedule({ ...OPTIONS, keysMax: 1 }, 0);
  schedule.submit("a", 1);
  const plan = schedule.next(0);
  schedule.submit("b", 1);
  if (plan.kind === "fit") schedule.done(plan, { costMs: 2_100, isUsable: true, observations: 1 }, 0);
  expect(schedule.next(0)).toEqual({ kind: "wait", waitMs: 2_000 }); // 2,000 saved, 100 owed at a twentieth.
  expect(schedule.next(2_000)).toMatchObject({ kind: "fit", key: "b" });
});
