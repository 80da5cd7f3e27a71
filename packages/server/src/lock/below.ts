// below.ts: the elements of a tree from above: which of them stand below one, and who holds there. For looks ahead and for people:
// whether a grant may be made is told by counts of intents (grant.ts), never by this.
//   B1. An element hangs below its nearest ancestor exactly while it is listed, and that ancestor is listed as long.
//   B2. Of elements below one, that which is there longest comes first: where a look is bounded it sees the oldest holds.
import { type Element, type Grant, holdersOf } from "../partition/state.ts";
import { EXCLUSIVE, type Mode, PERMIT, SHARED } from "./mode.ts";

/** Elements that one look passes: about 5 us. */
export const LOOKED_BELOW_MAX = 256;

/** What hangs below an element, and its neighbours below the one above. */
export class TreePlace {
  first: Element | undefined = undefined;
  last: Element | undefined = undefined;
  next: Element | undefined = undefined;
  previous: Element | undefined = undefined;
}

/** Hangs an element that was just listed below its ancestor. */
export function hang(element: Element): void {
  const above = element.ancestors[0];
  if (above === undefined) return;
  const place = placeOf(element);
  const there = placeOf(above);
  place.previous = there.last;
  if (there.last === undefined) there.first = element;
  else placeOf(there.last).next = element;
  there.last = element;
}

/** Once it was taken off the list. What hangs below it goes in the same step. */
export function unhang(element: Element): void {
  const { tree } = element;
  if (tree === undefined) return;
  const above = element.ancestors[0]?.tree;
  if (above === undefined) return;
  if (tree.previous === undefined) above.first = tree.next;
  else placeOf(tree.previous).next = tree.next;
  if (tree.next === undefined) above.last = tree.previous;
  else placeOf(tree.next).previous = tree.previous;
  tree.next = undefined;
  tree.previous = undefined;
}

function placeOf(element: Element): TreePlace {
  element.tree ??= new TreePlace();
  return element.tree;
}

/**
 * Grants below an element that keep it from being granted in a mode, reserved ones among them.
 * @param looksMax elements that are passed at most; who holds beyond is not found
 */
export function* holdersInTheWay(
  element: Element,
  mode: Mode,
  looksMax: number = LOOKED_BELOW_MAX,
): IterableIterator<Grant> {
  if (mode === PERMIT || !isHeldBelow(element) || (mode === SHARED && element.intentExclusive === 0)) return;
  let looks = 0;
  for (const each of elementsBelow(element)) {
    looks += 1;
    if (looks > looksMax) return;
    for (const grant of holdersOf(each)) if (mode === EXCLUSIVE || grant.mode !== SHARED) yield grant;
  }
}

/** The mode that an element itself is waited for in, the one that most is in the way of; undefined when nobody waits for it. */
export function wantedAt({ lanes }: Element): Mode | undefined {
  if (lanes === undefined) return undefined;
  return [EXCLUSIVE, SHARED, PERMIT].find((mode) => (lanes[mode]?.size ?? 0) > 0) as Mode | undefined;
}

const isHeldBelow = ({ intentExclusive, intentShared }: Element): boolean => intentExclusive + intentShared > 0;

/** Each before those below it. Where nothing is held below, nothing is looked at. */
function* elementsBelow(top: Element): IterableIterator<Element> {
  let at = top.tree?.first;
  while (at !== undefined) {
    yield at;
    if (isHeldBelow(at) && at.tree?.first !== undefined) {
      at = at.tree.first;
      continue;
    }
    while (at !== top && at?.tree?.next === undefined) at = at?.ancestors[0];
    at = at === top ? undefined : at?.tree?.next;
  }
}
