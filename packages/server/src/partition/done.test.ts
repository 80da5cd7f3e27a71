// What is remembered of a session stays in order, whatever comes late and however much is forgotten.
import { expect, test } from "vitest";
import { DoneOperations } from "./done.ts";
import { OperationRow } from "./operation-row.ts";
import type { Operation } from "./state.ts";

const operation = (sequence: number): Operation => new OperationRow(undefined, "", "ana", sequence, 0, undefined);
const sequences = (done: DoneOperations): readonly number[] => [...done].map(({ sequence }) => sequence);

function filled(...wanted: readonly number[]): DoneOperations {
  const done = new DoneOperations();
  for (const sequence of wanted) done.add(operation(sequence));
  return done;
}

test("an operation that was long on its way finds its place", () => {
  const done = filled(3, 9, 5, 1);
  expect(sequences(done)).toEqual([1, 3, 5, 9]);
  expect([1, 2, 3, 4, 5, 8, 9, 10].filter((sequence) => done.has(sequence))).toEqual([1, 3, 5, 9]);
  expect(done.get(5)?.sequence).toBe(5);
});

test("what is below is taken from the start, and nothing else", () => {
  const done = filled(2, 4, 6);
  expect([done.takeBelow(2), done.takeBelow(5)?.sequence, done.takeBelow(5)?.sequence, done.takeBelow(5)]).toEqual([
    undefined,
    2,
    4,
    undefined,
  ]);
  expect([done.size, done.lowest, done.has(4), done.has(6)]).toEqual([1, 6, false, true]);
  done.takeBelow(100);
  expect([done.size, done.lowest, done.get(6)]).toEqual([0, undefined, undefined]);
});

test("thousands that come and go leave no more than there are", () => {
  const done = new DoneOperations();
  for (let sequence = 1; sequence <= 5_000; sequence += 1) {
    done.add(operation(sequence));
    if (sequence > 100) expect(done.takeBelow(sequence)?.sequence).toBe(sequence - 100);
  }
  expect([done.size, done.lowest, done.has(4_900), done.has(4_901)]).toEqual([100, 4_901, false, true]);
  done.clear();
  expect([done.size, sequences(done)]).toEqual([0, []]);
});

test("the same sequence twice is a bug", () => {
  expect(() => filled(1, 2, 3, 2)).toThrow("an operation is done once");
});
