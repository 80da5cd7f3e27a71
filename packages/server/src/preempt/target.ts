// target.ts: what a warning or special terms belong to: a grant, or a wait that may become one.
import { EXCLUSIVE, PERMIT } from "../lock/mode.ts";
import type { Grant, Wait } from "../partition/state.ts";

export function isWait(target: Grant | Wait): target is Wait {
  return "parts" in target;
}

/** Shared waiters have phases of their own (L3 of grant.ts). */
export function isOutsidePhases(wait: Wait): boolean {
  const mode = wait.parts[0]?.mode;
  return mode === EXCLUSIVE || mode === PERMIT;
}
