// target.ts: what a warning or special terms belong to: a grant, or a wait that may become one.
import { upgradeAt } from "../lock/grant.ts";
import { EXCLUSIVE, PERMIT, SHARED } from "../lock/mode.ts";
import type { Grant, Wait } from "../partition/state.ts";

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
  for (const { lanes } of element.ancestors) {
    if (lanes === undefined) continue;
    for (const mode of ELEMENT_MODES) waiters += lanes[mode]?.size ?? 0;
  }
  return waiters;
}
