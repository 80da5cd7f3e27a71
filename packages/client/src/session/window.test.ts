import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Call } from "./request.ts";
import { Unanswered, Window } from "./window.ts";

const request = () => new Call({ $case: "why", value: { name: "a" } }, "why");

describe("the unanswered requests", () => {
  test("are those given a number and not taken out, in order, whatever order they are answered in", () => {
    const step = fc.oneof({ weight: 3, arbitrary: fc.constant("add" as const) }, { weight: 2, arbitrary: fc.nat() });
    const starts = fc.constantFrom(1, 1.7e15, 2 ** 31 - 3, 2 ** 32 - 3);
    const property = fc.property(starts, fc.array(step, { minLength: 50, maxLength: 300 }), (first, steps) => {
      const unanswered = new Unanswered(first);
      const model = new Map<number, Call<"why">>();
      let next = first;
      for (const step of steps) {
        if (step === "add") {
          const added = request();
          unanswered.add(added);
          expect(added.sequence).toBe(next);
          model.set(next++, added);
        } else {
          const sequence = [...model.keys()][step % (model.size + 1)] ?? first - 1 + (step % 400);
          expect(unanswered.get(sequence)).toBe(model.get(sequence));
          unanswered.delete(sequence);
          model.delete(sequence);
        }
        const lowest = Math.min(next, ...model.keys());
        expect([unanswered.size, unanswered.lowest, unanswered.span]).toEqual([model.size, lowest, next - lowest]);
      }
      expect([...unanswered.values()]).toEqual([...model.values()]);
    });
    fc.assert(property, { numRuns: 60 });
  });

  test("begin above the numbers of an earlier process", () => {
    const window = new Window(5);
    window.startAbove(3);
    expect(window.lowestUnanswered).toBe(5);
    window.startAbove(2 ** 40);
    const first = request();
    window.open(first);
    expect([first.sequence, window.lowestUnanswered, window.span]).toEqual([2 ** 40 + 1, 2 ** 40 + 1, 1]);
    expect(window.resume()).toEqual([BigInt(2 ** 40 + 1)]);
  });
});
