// What must hold after every step of any sequence of commands, whatever they mix. The scene checks L1, replay and snapshot by
// itself; the rules of grants are checked by the referee (testing/referee.ts) from what it saw before and after each step.
import fc from "fast-check";
import { expect, test } from "vitest";
import { act, actionArbitrary, closeEverything } from "./testing/actions.ts";
import { Referee } from "./testing/referee.ts";

test("grants, tokens, queues and answers keep their rules after every step of any sequence", () => {
  fc.assert(
    fc.property(fc.array(actionArbitrary, { minLength: 1, maxLength: 60, size: "max" }), (actions) => {
      const referee = new Referee();
      for (const action of actions) act(referee, action);
    }),
    { numRuns: 120, seed: 20_240_611 },
  );
});

test("nothing is left when every session has closed and every kept operation was forgotten", () => {
  fc.assert(
    fc.property(fc.array(actionArbitrary, { minLength: 1, maxLength: 60, size: "max" }), (actions) => {
      const referee = new Referee();
      for (const action of actions) act(referee, action);
      closeEverything(referee);
      expect(referee.leftovers()).toEqual({});
    }),
    { numRuns: 40, seed: 8_141 },
  );
});
