// target.ts: what a warning or special terms belong to: a grant, or a wait that may become one.
import { upgradeAt } from "../lock/grant.ts";
import { CONFLICTS, EXCLUSIVE, intentOf, PERMIT, SHARED } from "../lock/mode.ts";
import type { Element, Grant, Wait } from "../partition/state.ts";

export function isWait(target: Grant | Wait): target is Wait {
  return "parts" in target;
}

/** Shared waiters have phases of their own (L3 of grant.ts). */
export function isOutsidePhases(wait: Wait): boolean {
  const mode = wait.parts[0]?.mode;
  return mode === EXCLUSIVE || mode === PERMIT;
}

const ELEMENT_MODES = [EXCLUSIVE, SHARED, PERMIT] as const;

/**
 * Requests that may wait for the end of a grant: at its element, or for an element above it. Its own upgrade does not, nor do those
 * that stand in the queues above for something else below.
 */
export function waitersFor(grant: Grant): number {
  const { element } = grant;
  let waiters = element.waiting;
  if (waiters > 0 && upgradeAt(element)?.upgradeOf === grant) waiters -= 1;
  for (const ancestor of element.ancestors) {
    const { lanes } = ancestor;
    if (lanes === undefined || !isInTheWayAbove(grant, ancestor, [])) continue;
    for (const mode of ELEMENT_MODES) waiters += lanes[mode]?.size ?? 0;
  }
  return waiters;
}

/** Whether anybody waits for the end of a grant, those apart who are about to leave. */
export function isWaitedFor(grant: Grant, leaving: Iterable<Wait>): boolean {
  const { element } = grant;
  const gone = [...leaving];
  let waiters = element.waiting;
  if (waiters > 0 && upgradeAt(element)?.upgradeOf === grant) waiters -= 1;
  for (const { upgradeOf, parts } of gone)
    if (
      upgradeOf !== grant &&
      parts.some((part) => part.element === element || part.element.ancestors.includes(element))
    )
      waiters -= 1;
  return waiters > 0 || element.ancestors.some((ancestor) => isInTheWayAbove(grant, ancestor, gone));
}

/** Whether one who waits for an element above waits for this grant. The others there are behind that one, or wait for others. */
function isInTheWayAbove(grant: Grant, ancestor: Element, gone: readonly Wait[]): boolean {
  const { lanes } = ancestor;
  if (lanes === undefined) return false;
  return ELEMENT_MODES.some((mode) => {
    const waiting = lanes[mode]?.size ?? 0;
    if (waiting === 0 || !CONFLICTS[mode].includes(intentOf(grant.mode))) return false;
    const isHere = (part: Wait["parts"][number]): boolean => part.element === ancestor && part.mode === mode;
    return waiting > gone.filter(({ parts }) => parts.some(isHere)).length;
  });
}
