// elements.ts: the elements of a partition by name. Not here: when one is needed and when no more (table.ts).
//   E1. An element that nobody needs is not listed: it is found by nothing but `obtain`, which begins it anew.
//   E2. The ones dropped last are kept, at most IDLE_MAX: a name that comes and goes thousands of times a second is neither put into
//       the map nor taken out each time. A JavaScript map keeps what was taken out in the chains that it searches until it is built
//       anew, so that with many elements held a search for such a name would pass thousands of its own remains.
import type { Element } from "../partition/state.ts";
import { ElementRow } from "./rows.ts";

/** Names that take turns in one partition. With 64 partitions of about 150 bytes each: 5 MB at most. */
const IDLE_MAX = 512;
const LISTED = 1;
/** It stands in the ring, listed or not. */
const IN_RING = 2;

export class Elements {
  readonly #byName = new Map<string, Element>();
  readonly #ring: Element[] = [];
  #ringNext = 0;
  #size = 0;
  /** What was looked for last, listed or not: one command looks for its element several times. */
  #lastName = "";
  #last: Element | undefined;

  get size(): number {
    return this.#size;
  }

  get(name: string): Element | undefined {
    const element = this.#find(name);
    return element !== undefined && (element.listing & LISTED) !== 0 ? element : undefined;
  }

  #find(name: string): Element | undefined {
    if (name === this.#lastName) return this.#last;
    this.#lastName = name;
    this.#last = this.#byName.get(name);
    return this.#last;
  }

  /**
   * The element of this name, listed from now on. One that was not has the ancestors of its last time: the caller sets them.
   * @param hashOf of a new element's name
   */
  obtain(name: string, hashOf: (name: string) => number): Element {
    let element = this.#find(name);
    if (element === undefined) {
      element = new ElementRow(name, hashOf(name));
      this.#byName.set(name, element);
      this.#last = element;
    }
    if ((element.listing & LISTED) === 0) this.#size += 1;
    element.listing |= LISTED;
    return element;
  }

  /** Takes the element off the list. It is as when it was made, its ancestors apart. @returns whether it was on it */
  drop(element: Element): boolean {
    if ((element.listing & LISTED) === 0) return false;
    element.listing &= ~LISTED;
    this.#size -= 1;
    if ((element.listing & IN_RING) !== 0) return true;
    element.listing |= IN_RING;
    const oldest = this.#ring[this.#ringNext];
    this.#ring[this.#ringNext] = element;
    this.#ringNext = (this.#ringNext + 1) % IDLE_MAX;
    if (oldest === undefined) return true;
    oldest.listing &= ~IN_RING;
    if ((oldest.listing & LISTED) !== 0) return true;
    this.#byName.delete(oldest.name);
    if (this.#last === oldest) this.#last = undefined;
    return true;
  }

  *values(): IterableIterator<Element> {
    for (const element of this.#byName.values()) if ((element.listing & LISTED) !== 0) yield element;
  }

  *keys(): IterableIterator<string> {
    for (const element of this.values()) yield element.name;
  }
}
