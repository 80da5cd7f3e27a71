import { expect, test } from "vitest";
import { evened, holdersOf, withAllHeld } from "./holders.ts";

test("the stream with the highest epoch of a partition has it, whatever the sequences", () => {
  const first = new Map([
    [0, { epoch: 3, sequence: 90 }],
    [1, { epoch: 3, sequence: 7 }],
  ]);
  const second = new Map([[0, { epoch: 4, sequence: 90 }]]);
  expect(holdersOf([first, second], 3)).toEqual([1, 0, undefined]);
});

test("what no stream has goes to the workers that have least", () => {
  expect(withAllHeld([0, undefined, undefined, 0, undefined], 2)).toEqual([0, 1, 1, 0, 0]);
});

test("a new worker gets its share by the fewest moves", () => {
  const moves = evened([0, 0, 0, 0, 0, 0], 3);
  expect(moves.length).toBe(4);
  expect(moves.map(({ to }) => to).sort()).toEqual([1, 1, 2, 2]);
  expect(evened([0, 1, 2, 0], 3)).toEqual([]);
});
