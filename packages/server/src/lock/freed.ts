// freed.ts: the elements where something ended, and who is granted there now. Not here: who may be granted (grant.ts).
//   W1. An element stays here until nobody who waits for it can be granted: no waiter is forgotten between two turns.
//   W2. A waiter is looked at once for each time that its element became free, however many are granted before it.
import type { Element, PartitionState, Wait } from "../partition/state.ts";
import { nextGrant } from "./grant.ts";

export interface GrantLoop {
  readonly state: PartitionState;
  /** Grants at most; the rest keeps until the next call. */
  readonly max: number;
  /** Must apply the grant before it returns. */
  readonly grant: (wait: Wait) => void;
  /** Nobody who waits for `element` can be granted any more. */
  readonly settled: (element: Element) => void;
}

export class Freed {
  /** Whether those who wait for something below are to be looked at too. */
  readonly #belowByElement = new Map<Element, boolean>();
  #current: Element | undefined;

  get size(): number {
    return this.#belowByElement.size;
  }

  /** For `Observer.freed`. */
  add(element: Element, below: boolean): void {
    if (element === this.#current) return; // A grant makes room for nobody but the next in the queue, who is looked at anyway.
    if (below || !this.#belowByElement.has(element)) this.#belowByElement.set(element, below);
  }

  /** @returns how many were granted */
  grant({ state, max, grant, settled }: GrantLoop): number {
    let granted = 0;
    for (const [element, below] of this.#belowByElement) {
      this.#current = element;
      let after: Wait | undefined;
      for (;;) {
        if (granted === max) {
          this.#current = undefined;
          return granted; // W1
        }
        const wait = nextGrant(state, element, { below, after });
        if (wait === undefined) break;
        if (!wait.parts.some((part) => part.element === element)) after = wait; // W2
        grant(wait);
        granted += 1;
      }
      this.#current = undefined;
      this.#belowByElement.delete(element);
      settled(element);
    }
    return granted;
  }
}
