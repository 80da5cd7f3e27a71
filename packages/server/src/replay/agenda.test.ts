import { expect, test } from "vitest";
import { Agenda } from "./agenda.ts";
import { uniform } from "./simulation.ts";

test("items come soonest first, those of one moment in the order of planning, also planned in between", () => {
  const agenda = new Agenda<readonly [atMs: number, order: number]>();
  const taken: (readonly [number, number])[] = [];
  let order = 0;
  const plan = (): void => {
    const atMs = (taken.at(-1)?.[0] ?? 0) + Math.floor(uniform(1, order, 0) * 20);
    agenda.plan(atMs, [atMs, order]);
    order += 1;
  };
  for (let round = 0; round < 300; round += 1) {
    plan();
    plan();
    const item = agenda.take();
    if (item !== undefined) taken.push(item);
  }
  for (let item = agenda.take(); item !== undefined; item = agenda.take()) taken.push(item);
  expect(taken).toHaveLength(600);
  expect(agenda.nextMs).toBe(Number.POSITIVE_INFINITY);
  for (const [index, [atMs, itsOrder]] of taken.entries()) {
    const [nextMs, nextOrder] = taken[index + 1] ?? [Number.POSITIVE_INFINITY, 0];
    expect(atMs < nextMs || (atMs === nextMs && itsOrder < nextOrder)).toBe(true);
  }
});
