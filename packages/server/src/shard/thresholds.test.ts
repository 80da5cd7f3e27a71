import { expect, test } from "vitest";
import type { Gathered } from "../preempt/evidence.ts";
import { Policies } from "./policies.ts";
import { ManualClock, settle } from "./testing/world.ts";
import { Thresholds } from "./thresholds.ts";

const ROW = { by: "operator", reason: "", wallMs: 0, threshold: -1 };
const SET = { policy: "observe", threshold: "0.9", thresholdMin: "0.5", thresholdMax: "0.95", waitMsTarget: "1000" };

interface Scene {
  readonly clock: ManualClock;
  readonly thresholds: Thresholds;
  readonly reasons: string[];
  /** What other nodes give, by id; undefined: they do not answer. */
  readonly given: Map<string, readonly Gathered<string>[] | "refuses" | undefined>;
  isLeading: boolean;
}

function open(ids: readonly string[] | undefined): Scene {
  const clock = new ManualClock();
  const reasons: string[] = [];
  const given: Scene["given"] = new Map();
  const others = {
    ids: () => ids ?? [],
    takeEvidence: async (id: string): Promise<readonly Gathered<string>[]> => {
      const rows = given.get(id);
      if (rows === "refuses") throw new Error(`no node ${id}`);
      given.set(id, []);
      return rows ?? new Promise(() => {});
    },
  };
  const thresholds = new Thresholds({
    policies: new Policies({ policies: new Map([["", { ...ROW, set: new Map(Object.entries(SET)) }]]) }),
    clock,
    isLeading: () => scene.isLeading,
    others: () => (ids === undefined ? undefined : others),
    move: (_prefix, { reason }) => reasons.push(reason),
  });
  const scene: Scene = { clock, thresholds, reasons, given, isLeading: true };
  return scene;
}

const waits = (count: number, waitMs: number): readonly Gathered<string>[] => [
  { key: "", waitsMs: Array.from({ length: count }, () => waitMs), judged: 0, wrong: 0 },
];

async function round(scene: Scene): Promise<string | undefined> {
  scene.thresholds.control();
  await settle();
  await scene.clock.advance(2_000);
  return scene.reasons.pop();
}

test("alone, thresholds move by what was seen here, at once", () => {
  const scene = open(undefined);
  for (let time = 0; time < 30; time += 1) scene.thresholds.waited("a", 5_000);
  scene.thresholds.control();
  expect(scene.reasons).toEqual(["The p99 of waits is 5000 ms; the target is 1000 ms."]);
});

test("waits that only other nodes have seen move a threshold, and are counted once", async () => {
  const scene = open(["b", "c"]);
  scene.given.set("b", waits(10, 5_000));
  scene.given.set("c", waits(15, 4_000));
  expect(await round(scene)).toBe("The p99 of waits is 5000 ms; the target is 1000 ms.");
  expect(await round(scene)).toBeUndefined();
});

test("wrong warnings of all nodes count together against the budget", async () => {
  const scene = open(["b", "c"]);
  for (const id of ["b", "c"]) scene.given.set(id, [{ key: "", waitsMs: [], judged: 6, wrong: 3 }]);
  expect(await round(scene)).toMatch(/^50.0 % of 12 warnings were wrong/);
});

test("a node that does not answer, or refuses, is left out, and the move says so", async () => {
  const scene = open(["b", "c", "d"]);
  scene.given.set("b", waits(30, 5_000));
  scene.given.set("c", undefined);
  scene.given.set("d", "refuses");
  expect(await round(scene)).toBe("The p99 of waits is 5000 ms; the target is 1000 ms. Without the figures of c, d.");
  expect(scene.thresholds.missing).toEqual(["c", "d"]);
});

test("a node that is not the one that moves thresholds gives what it has, once, and forgets what nobody takes", () => {
  const scene = open(["b"]);
  scene.isLeading = false;
  for (let time = 0; time < 30; time += 1) scene.thresholds.waited("a", 5_000);
  scene.thresholds.judged("a", true);
  scene.thresholds.control();
  expect(scene.thresholds.take()).toMatchObject([{ key: "", judged: 1, wrong: 1 }]);
  expect(scene.thresholds.take()).toEqual([]);
  scene.thresholds.waited("a", 5_000);
  scene.thresholds.judged("a", false);
  for (let time = 0; time < 5; time += 1) scene.thresholds.control();
  expect(scene.thresholds.take()).toEqual([{ key: "", waitsMs: [], judged: 1, wrong: 0 }]);
  expect(scene.reasons).toEqual([]);
});

test("who leads the policies no more when the answers come moves nothing, and has them for the next", async () => {
  const scene = open(["b"]);
  scene.given.set("b", waits(30, 5_000));
  scene.thresholds.control();
  scene.isLeading = false;
  await settle();
  expect(scene.reasons).toEqual([]);
  expect(scene.thresholds.take()[0]?.waitsMs).toHaveLength(30);
});
