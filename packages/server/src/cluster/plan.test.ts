import fc from "fast-check";
import { expect, test } from "vitest";
import { type Assignment, type PlanInput, plan } from "./plan.ts";

const NOBODY: Assignment = { owner: undefined, standbys: [] };
const fresh = (partitions: number): readonly Assignment[] => Array.from({ length: partitions }, () => NOBODY);
const nodes = (...ids: readonly string[]): PlanInput["nodes"] => ids.map((id) => ({ id, isDraining: false }));
const countsOf = (assignments: readonly Assignment[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { owner } of assignments) if (owner !== undefined) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
};
const moved = (before: readonly Assignment[], after: readonly Assignment[]): number =>
  after.filter(({ owner }, partition) => owner !== before[partition]?.owner).length;
const NO_PINS: ReadonlyMap<number, string> = new Map();
const from = (now: readonly Assignment[], ...ids: readonly string[]): readonly Assignment[] =>
  plan({ nodes: nodes(...ids), now, replicas: 2, pins: NO_PINS });

test("a new cluster is spread evenly, each partition with a standby", () => {
  const first = from(fresh(64), "a", "b", "c");
  expect(countsOf(first)).toEqual({ a: 22, b: 21, c: 21 });
  for (const { owner, standbys } of first)
    expect([standbys.length, standbys.includes(owner ?? "")]).toEqual([1, false]);
});

test("a node that joins gets its share, and nothing else moves", () => {
  const two = from(fresh(64), "a", "b");
  const three = from(two, "a", "b", "c");
  expect(countsOf(three)).toEqual({ a: 22, b: 21, c: 21 });
  expect(moved(two, three)).toBe(21);
});

test("what a dead node owned goes to whoever stands by, up to their shares", () => {
  const three = from(fresh(64), "a", "b", "c");
  const two = from(three, "a", "b");
  expect(countsOf(two)).toEqual({ a: 32, b: 32 });
  expect(moved(three, two)).toBe(21);
  const toStandby = two.filter(({ owner }, partition) => three[partition]?.standbys.includes(owner ?? ""));
  const stayed = two.filter(({ owner }, partition) => three[partition]?.owner === owner);
  expect(new Set([...toStandby, ...stayed]).size).toBeGreaterThanOrEqual(60);
});

test("a draining node owns nothing, but stays a standby until others are", () => {
  const two = from(fresh(8), "a", "b");
  const drained = plan({
    nodes: [
      { id: "a", isDraining: true },
      { id: "b", isDraining: false },
    ],
    now: two,
    replicas: 2,
    pins: NO_PINS,
  });
  expect(countsOf(drained)).toEqual({ b: 8 });
});

test("a pin holds while its node may own, and the others make room", () => {
  const two = from(fresh(8), "a", "b");
  const partition = two.findIndex(({ owner }) => owner === "a");
  const pinned = plan({ nodes: nodes("a", "b"), now: two, replicas: 2, pins: new Map([[partition, "b"]]) });
  expect(pinned[partition]?.owner).toBe("b");
  expect(countsOf(pinned)).toEqual({ a: 4, b: 4 });
  const gone = plan({ nodes: nodes("a"), now: pinned, replicas: 2, pins: new Map([[partition, "b"]]) });
  expect(gone[partition]?.owner).toBe("a");
});

test("without a node that may own anything nobody does", () => {
  expect(countsOf(plan({ nodes: [], now: fresh(4), replicas: 2, pins: NO_PINS }))).toEqual({});
});

/** A history of clusters: who lives at each step, and who of them drains. */
const steps = fc.array(
  fc.uniqueArray(fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), isDraining: fc.boolean() }), {
    selector: ({ id }) => id,
    maxLength: 5,
  }),
  { minLength: 1, maxLength: 8 },
);

test("whatever came before: even shares, no owner that may not be, and no more moves than shares ask for", () => {
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 4 }),
      (history, partitions, replicas) => {
        let now = fresh(partitions);
        for (const step of history) {
          const next = plan({ nodes: step, now, replicas, pins: NO_PINS });
          const able: string[] = step.filter(({ isDraining }) => !isDraining).map(({ id }) => id);
          const counts = countsOf(next);
          const shares = able.map((id) => counts[id] ?? 0);
          expect(Object.keys(counts).every((id) => able.includes(id))).toBe(true);
          if (able.length > 0) {
            expect(shares.reduce((sum, count) => sum + count, 0)).toBe(partitions);
            expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1); // N1
            // N2: the optimum is what must leave (its owner may own no more, or has more than the largest share), and one for each node.
            const orphans = now.filter(({ owner }) => owner === undefined || !able.includes(owner)).length;
            const before = countsOf(now);
            const excess = able.reduce(
              (sum, id) => sum + Math.max(0, (before[id] ?? 0) - Math.ceil(partitions / able.length)),
              0,
            );
            expect(moved(now, next)).toBeLessThanOrEqual(orphans + excess + able.length);
          }
          for (const { owner, standbys } of next) {
            expect(standbys.includes(owner ?? "")).toBe(false);
            expect(new Set(standbys).size).toBe(standbys.length);
            if (owner !== undefined) expect(standbys.length).toBe(Math.min(replicas, able.length) - 1); // N3
          }
          expect(plan({ nodes: step, now: next, replicas, pins: NO_PINS })).toEqual(next); // Nothing moves twice.
          now = next;
        }
      },
    ),
    { numRuns: 300 },
  );
});
