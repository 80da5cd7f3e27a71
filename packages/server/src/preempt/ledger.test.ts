import { describe, expect, test } from "vitest";
import { Ledger } from "./ledger.ts";
import { riskOf } from "./risk.ts";

const SIGNS = {
  ...{ ageMs: 1, survivalRatio: 0.001, outlivesRatio: 1, remainingMs: 1, stuckRatio: 0.01, silenceRatio: 0 },
  ...{ illnessRatio: 0, waiters: 1, patienceMs: 1, contentionRatio: 0, loadRatio: 0 },
};
const RISK = riskOf(SIGNS, { hold: 1, suspicion: 1, harm: 1, contention: 1, load: 1 });
const COUNTDOWN_MS = 10_000;
const COOL_DOWN_MS = 60_000;

type Noted = Parameters<Ledger["note"]>[0];

function noted(ledger: Ledger, change: Partial<Noted> = {}): void {
  ledger.note({
    ...{ key: "g1", kind: "warned", wallMs: 0, atMs: 1_000, name: "orders/42", token: 1n, client: "ana", risk: RISK },
    ...{ threshold: 0.9, countdownMs: COUNTDOWN_MS, waiters: 2, reason: "late", ...change },
  });
}

const outcome = (ledger: Ledger): string => ledger.decisions(1)[0]?.outcome ?? "none";

describe("a warning", () => {
  test("was wrong when the holder released in time without having acknowledged it; then it is left alone for a while", () => {
    const judged: boolean[] = [];
    const ledger = new Ledger((_row, isWrong) => judged.push(isWrong));
    noted(ledger);
    ledger.released("g1", "ana", 11_000, COOL_DOWN_MS);
    expect([outcome(ledger), ledger.totals.wrong, judged]).toEqual(["wrong", 1, [true]]);
    expect(ledger.isCooling("ana", "orders/42", 70_999)).toBe(true);
    expect(ledger.isCooling("ana", "orders/42", 71_000)).toBe(false);
    expect(ledger.isCooling("bo", "orders/42", 11_000)).toBe(false);
  });

  test("was heeded when it was acknowledged before, and no cool-down follows", () => {
    const ledger = new Ledger();
    noted(ledger);
    ledger.acknowledged("g1", false);
    ledger.released("g1", "ana", 11_000, COOL_DOWN_MS);
    expect([outcome(ledger), ledger.totals.released, ledger.totals.wrong]).toEqual(["released", 1, 0]);
    expect(ledger.isCooling("ana", "orders/42", 11_001)).toBe(false);
  });

  test("that ended by force counts against the client, until it releases in time again", () => {
    const ledger = new Ledger();
    for (const key of ["g1", "g2"]) {
      noted(ledger, { key });
      ledger.ended(key, "ana", "preempted", 11_000);
    }
    expect([outcome(ledger), ledger.totals.forced, ledger.totals.ignored, ledger.offences("ana")]).toEqual([
      "forced",
      2,
      2,
      2,
    ]);
    noted(ledger, { key: "g3" });
    ledger.acknowledged("g3", false);
    ledger.released("g3", "ana", 11_000, COOL_DOWN_MS);
    expect(ledger.offences("ana")).toBe(0);
  });

  test("is judged once, and known by the name of the grant that its wait became", () => {
    const judged: string[] = [];
    const ledger = new Ledger((row) => judged.push(row.key));
    noted(ledger, { key: "w7", kind: "pending", warning: "0/7" });
    ledger.renamed("w7", "g7");
    expect(ledger.openDecision("w7")).toBeUndefined();
    expect(ledger.byWarning("0/7")?.outcome).toBe("open");
    ledger.ended("g7", "ana", "preempted", 20_000);
    ledger.ended("g7", "ana", "preempted", 20_000);
    expect([judged, ledger.open]).toEqual([["w7"], 0]);
  });

  test("that was withdrawn is not judged", () => {
    const ledger = new Ledger();
    noted(ledger);
    ledger.over("g1", "withdrawn");
    ledger.released("g1", "ana", 11_000, COOL_DOWN_MS);
    expect([outcome(ledger), ledger.totals.wrong, ledger.totals.released]).toEqual(["withdrawn", 0, 0]);
  });
});

test("a warning of a request that waits counts among the warnings, and as ignored when it was passed over", () => {
  const ledger = new Ledger();
  noted(ledger, { key: "w1", kind: "pending" });
  noted(ledger, { key: "w2", kind: "pending" });
  ledger.over("w1", "passed_over");
  ledger.acknowledged("w2", false);
  ledger.released("w2", "ana", 2_000, COOL_DOWN_MS);
  const { warnings, ignored, released, wrong } = ledger.totals;
  expect([warnings, ignored, released, wrong]).toEqual([2, 1, 1, 0]);
});

describe("under observe", () => {
  test("a release within the countdown makes it wrong, one behind it right, and the time behind it is saved for each waiter", () => {
    const ledger = new Ledger();
    noted(ledger, { kind: "observed" });
    ledger.released("g1", "ana", 11_000, COOL_DOWN_MS);
    noted(ledger, { key: "g2", kind: "observed" });
    ledger.released("g2", "ana", 31_000, COOL_DOWN_MS);
    const { observed, observedWrong, observedRight, observedSavedMs } = ledger.totals;
    expect([observed, observedWrong, observedRight, observedSavedMs]).toEqual([2, 1, 1, 2 * 20_000]);
  });
});

describe("the share of stuck holders", () => {
  test("rises with expiries, falls with releases, and forgets", () => {
    const ledger = new Ledger();
    const before = ledger.stuckRatio;
    for (let end = 0; end < 20; end += 1) ledger.ended(`e${end}`, "ana", "expired", 0);
    const after = ledger.stuckRatio;
    expect(after).toBeGreaterThan(before * 10);
    for (let end = 0; end < 50_000; end += 1) ledger.released(`r${end}`, "bo", 0, 0);
    expect(ledger.stuckRatio).toBeLessThan(after / 100);
  });

  test("counts who was forced only as far as it was suspected, and not at all when it had acknowledged", () => {
    const [forced, answered, died] = [new Ledger(), new Ledger(), new Ledger()];
    for (const ledger of [forced, answered]) noted(ledger);
    answered.acknowledged("g1", false);
    for (const ledger of [forced, answered]) ledger.ended("g1", "ana", "preempted", 11_000);
    died.ended("g1", "ana", "expired", 11_000);
    expect(answered.stuckRatio).toBeLessThan(forced.stuckRatio);
    expect(forced.stuckRatio).toBeLessThan(died.stuckRatio);
  });

  test("is kept for each client, who starts with that of all", () => {
    const ledger = new Ledger();
    expect(ledger.offenceRatio("ana")).toBe(ledger.stuckRatio);
    for (let end = 0; end < 10; end += 1) ledger.ended(`e${end}`, "ana", "expired", 0);
    expect(ledger.offenceRatio("ana")).toBeGreaterThan(0.3);
    expect(ledger.offenceRatio("bo")).toBe(ledger.stuckRatio);
  });
});

test("forced releases of an hour are counted, older ones are forgotten", () => {
  const ledger = new Ledger();
  for (const nowMs of [0, 1_800_000, 3_000_000]) ledger.ended("g", "ana", "preempted", nowMs);
  expect([ledger.forcedWithinHour("ana", 3_000_000), ledger.forcedWithinHour("ana", 3_600_001)]).toEqual([3, 2]);
  expect(ledger.forcedWithinHour("bo", 0)).toBe(0);
});

test("memory is bounded, whatever comes: the oldest is forgotten", () => {
  const ledger = new Ledger();
  for (let index = 0; index < 12_000; index += 1) {
    noted(ledger, { key: `g${index}`, client: `c${index}` });
    ledger.ended(`x${index}`, `c${index}`, "expired", 0);
  }
  expect(ledger.open).toBeLessThanOrEqual(10_000);
  expect(ledger.openDecision("g0")).toBeUndefined();
  expect(ledger.decisions(1_000_000).length).toBeLessThanOrEqual(2_000);
  expect(ledger.save().clients.length).toBeLessThanOrEqual(10_000);
});

test("what was learned is restored; moments of another clock are not", () => {
  const ledger = new Ledger();
  noted(ledger);
  ledger.ended("g1", "ana", "preempted", 11_000);
  const restored = new Ledger();
  // As it comes back from a file.
  restored.restore(JSON.parse(JSON.stringify(ledger.save())));
  expect([restored.totals, restored.stuckRatio, restored.offences("ana")]).toEqual([
    ledger.totals,
    ledger.stuckRatio,
    1,
  ]);
  expect(restored.forcedWithinHour("ana", 0)).toBe(0);
});
