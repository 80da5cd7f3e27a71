import { expect, test } from "vitest";
import { describeCycle, describeDeadlock, findDeadlocks, type WaitEdge } from "./deadlock.ts";

let waits = 0;
const edge = (waiter: string, blocker: string, more: Partial<WaitEdge> = {}): WaitEdge => {
  waits += 1;
  return {
    waiter,
    blocker,
    element: `of-${blocker}`,
    partition: 0,
    wait: waits,
    waitedMs: 100,
    priority: 0,
    heldGrants: 1,
    lossMs: 0,
    canRefuse: true,
    anyOf: "",
    links: [],
    ...more,
  };
};

const victims = (edges: readonly WaitEdge[]): readonly string[] =>
  findDeadlocks(edges).map(({ victim }) => victim.waiter);

test("chains and trees of waiters are no deadlock", () => {
  expect(victims([edge("a", "b"), edge("b", "c"), edge("d", "b"), edge("d", "c")])).toEqual([]);
});

test("waiting for oneself is no deadlock: several tasks may share a session", () => {
  expect(victims([edge("a", "a")])).toEqual([]);
});

test("a cycle of three over three partitions is found and described in order", () => {
  const edges = [edge("a", "b", { partition: 1 }), edge("b", "c", { partition: 2 }), edge("c", "a", { partition: 3 })];
  const [deadlock] = findDeadlocks(edges);
  expect(deadlock?.cycle).toHaveLength(3);
  expect(describeCycle(edges)).toBe("a waits for b at of-b, b waits for c at of-c, c waits for a at of-a");
});

test("the victim is who loses least, and is told so", () => {
  const edges = [edge("a", "b", { lossMs: 900, heldGrants: 1 }), edge("b", "a", { lossMs: 300.4, heldGrants: 5 })];
  expect(victims(edges)).toEqual(["b"]);
  const [deadlock] = findDeadlocks(edges);
  expect(deadlock && describeDeadlock(deadlock)).toBe(
    "Waiting in a circle: a waits for b at of-b, b waits for a at of-a. b was chosen as it loses least: about 300 ms of work to undo and of waiting again.",
  );
});

test("of equal losses the victim holds least, then matters least, then has waited least", () => {
  expect(victims([edge("a", "b", { heldGrants: 2 }), edge("b", "a")])).toEqual(["b"]);
  expect(victims([edge("a", "b", { priority: 1 }), edge("b", "a")])).toEqual(["b"]);
  expect(victims([edge("a", "b", { waitedMs: 5 }), edge("b", "a")])).toEqual(["a"]);
});

test("a part of a batch is never the victim", () => {
  expect(victims([edge("a", "b", { canRefuse: false }), edge("b", "a", { heldGrants: 9 })])).toEqual(["b"]);
  expect(victims([edge("a", "b", { canRefuse: false }), edge("b", "a", { canRefuse: false })])).toEqual([]);
});

test("two cycles through one waiter are broken by refusing it once", () => {
  const wait = 900;
  const edges = [
    edge("hub", "a", { wait, heldGrants: 0 }),
    edge("hub", "b", { wait, heldGrants: 0 }),
    edge("a", "hub", { heldGrants: 3 }),
    edge("b", "hub", { heldGrants: 3 }),
  ];
  expect(victims(edges)).toEqual(["hub"]);
});

test("a long chain costs no recursion", () => {
  const edges = Array.from({ length: 20_000 }, (_, index) => edge(`s${index}`, `s${index + 1}`));
  expect(victims([...edges, edge("s20000", "s0")])).toHaveLength(1);
});

test("who waits for any of several holders is in no circle while one of them goes on", () => {
  const pool = { wait: 901, anyOf: "pool" };
  const edges = [edge("a", "b", pool), edge("a", "c", pool), edge("b", "a"), edge("c", "d")];
  expect(victims(edges)).toEqual([]); // D waits for nobody: c will go on and give its permit back.
  expect(victims([...edges, edge("d", "b")])).toHaveLength(1);
});

test("whoever leads out of every circle leads nowhere: waiting behind the free is no deadlock", () => {
  const pool = { wait: 902, anyOf: "pool" };
  const chain = [edge("c", "d"), edge("d", "e"), edge("e", "f")];
  expect(victims([edge("a", "b", pool), edge("a", "c", pool), edge("b", "a"), ...chain])).toEqual([]);
});

test("a circle of permits is broken by one refusal: what the refused gives back is enough", () => {
  const pool = { wait: 903, anyOf: "pool", heldGrants: 5 };
  const edges = [edge("a", "b", pool), edge("a", "c", pool), edge("b", "a"), edge("c", "a", { heldGrants: 3 })];
  expect(victims(edges)).toEqual(["b"]);
  const [deadlock] = findDeadlocks(edges);
  expect(deadlock?.proof).toHaveLength(4); // C's wait for a is as much a part of it as b's.
});
