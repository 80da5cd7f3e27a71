// grant.ts: who may hold an element now, and who is next. Here every grant is decided. Not here: how it changes the tables (table.ts).
//   L1. Holders of an element go together: one exclusive alone, shared together, permits within the limit; intents by mode.ts.
//   L2. Nobody overtakes an earlier waiter that it conflicts with, at any element of its path, but for the phases of L3.
//   L3. Phases are fair: when an exclusive grant ends, the shared waiters of that moment are granted before exclusive ones that
//       came earlier; a shared request that comes later waits behind them again.
//   L4. A session that is not live (unheard, silent for a third of its ttl) is passed over: it keeps its place, blocks nobody.
//   Source of L3: Brandenburg and Anderson (2010), "Spin-based reader-writer synchronization for multiprocessor real-time systems".
import { type Element, type Grant, isLive, type PartitionState, type Wait } from "../partition/state.ts";
import { isCompensating } from "../preempt/table.ts";
import { isBefore } from "./lane.ts";
import {
  CONFLICTS,
  EXCLUSIVE,
  INTENT_EXCLUSIVE,
  INTENT_SHARED,
  intentOf,
  type Mode,
  PERMIT,
  QUEUE_MODES,
  type QueueMode,
  SHARED,
} from "./mode.ts";

/** What is asked of one element. */
export interface Wanted {
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
}

/** Whether the holders leave room (L1). `upgradeOf`: the asker's own shared grant, which is no obstacle to itself. */
export function fits(element: Element | undefined, wanted: Wanted, upgradeOf: Grant | undefined): boolean {
  if (element === undefined) return true;
  switch (wanted.mode) {
    case EXCLUSIVE:
      return (
        element.exclusive === 0 &&
        element.taken === 0 &&
        element.intentExclusive === 0 &&
        element.intentShared === 0 &&
        element.shared === (upgradeOf === undefined ? 0 : 1)
      );
    case SHARED:
      return element.exclusive === 0 && element.taken === 0 && element.intentExclusive === 0;
    case PERMIT:
      return (
        element.exclusive === 0 &&
        element.shared === 0 &&
        (element.taken === 0 || element.limit === wanted.limit) &&
        element.taken + wanted.take <= wanted.limit
      );
  }
}

/** Whether an ancestor's holders leave room for the intent of a grant below it (L1). */
export function fitsBelow(ancestor: Element | undefined, mode: Mode): boolean {
  if (ancestor === undefined) return true;
  return ancestor.exclusive === 0 && (mode === SHARED || ancestor.shared === 0);
}

/** Place in the order of arrival: of a wait, or of a request that just came. */
export interface Arrival {
  readonly arrivalMs: number;
  readonly id: number;
}

/** Whether an earlier live waiter at `element` conflicts with `mode` (L2, L4). */
export function isQueuedBehind(
  state: PartitionState,
  element: Element | undefined,
  mode: QueueMode,
  arrival: Arrival,
): boolean {
  if (element === undefined || element.lanes === undefined) return false;
  for (const other of CONFLICTS[mode]) {
    const first = element.lanes[other]?.firstLive((wait) => isLive(wait.session, state.clockMs));
    if (first !== undefined && first.id !== arrival.id && isBefore(first, arrival as Wait)) return true;
  }
  return false;
}

/** Whether a wait can be granted now, at every element of its path. */
function isGrantable(state: PartitionState, wait: Wait): boolean {
  if (!isLive(wait.session, state.clockMs)) return false; // L4
  for (const part of wait.parts) {
    if (!fits(part.element, part, wait.upgradeOf) || isCompensating(state, part.element.name)) return false;
    if (wait.upgradeOf === undefined && !isItsPhase(wait, part.element)) {
      if (isQueuedBehind(state, part.element, part.mode, wait)) return false;
    }
    const intent = intentOf(part.mode);
    for (const ancestor of part.element.ancestors) {
      if (!fitsBelow(ancestor, part.mode)) return false;
      if (isQueuedBehind(state, ancestor, intent, wait)) return false;
    }
  }
  return true;
}

/** L3. Only for single requests: a batch could wait in a circle otherwise. */
export function isItsPhase(wait: Wait, element: Element): boolean {
  return wait.id < element.readersBefore && wait.parts.length === 1 && wait.parts[0]?.mode === SHARED;
}

/** Which queues of an element are worth a look. */
export interface Look {
  /** Also those who wait for something below it. */
  readonly below: boolean;
  /** Of those below, none up to this one can go: it was granted last, and a grant makes room for nobody earlier. */
  readonly after: Wait | undefined;
}

export const EVERYWHERE: Look = { below: true, after: undefined };

/** The waiter at `element` that is to be granted next, or undefined when none can be. */
export function nextGrant(state: PartitionState, element: Element, look: Look = EVERYWHERE): Wait | undefined {
  const { lanes } = element;
  if (lanes === undefined) return undefined;
  if (element.readersBefore > 0) {
    const reader = nextReader(state, element);
    if (reader !== undefined) return reader;
  }
  let next: Wait | undefined;
  for (const mode of QUEUE_MODES) {
    const lane = lanes[mode];
    if (lane === undefined || lane.size === 0 || !hasRoom(element, mode)) continue;
    const isBelow = mode === INTENT_EXCLUSIVE || mode === INTENT_SHARED;
    if (isBelow && !look.below) continue;
    for (const wait of isBelow && look.after !== undefined ? lane.after(look.after) : lane) {
      if (next !== undefined && isBefore(next, wait)) break;
      if (isGrantable(state, wait)) {
        next = wait;
        break;
      }
      if (isLive(wait.session, state.clockMs) && isObstacle(state, element, mode, wait)) break;
    }
  }
  return next;
}

/** Whether what keeps `wait`, first of its lane, from being granted keeps those behind it too. */
function isObstacle(state: PartitionState, element: Element, mode: QueueMode, wait: Wait): boolean {
  switch (mode) {
    case EXCLUSIVE:
    case PERMIT:
      return true; // They conflict with it, and do not overtake.
    case SHARED:
      return wait.parts.length === 1; // They want the same. One of several elements may wait for another of them.
    case INTENT_EXCLUSIVE:
    case INTENT_SHARED:
      return isQueuedBehind(state, element, mode, wait); // So are they. Else it waits for something below, and they may not.
  }
}

/** An upgrade that waits at `element`: there is one at most, and it comes before everyone. */
export function upgradeAt(element: Element): Wait | undefined {
  const first = element.lanes?.[EXCLUSIVE]?.first();
  return first?.upgradeOf === undefined ? undefined : first;
}

/** First shared waiter whose phase has come (L3). */
function nextReader(state: PartitionState, element: Element): Wait | undefined {
  const lane = element.lanes?.[SHARED];
  if (lane === undefined || !hasRoom(element, SHARED)) return undefined;
  let left = element.phaseReaders; // Behind them there may be a great many whose phase has not come.
  if (left === 0) return undefined;
  for (const wait of lane) {
    if (wait.id >= element.readersBefore) continue;
    if (isItsPhase(wait, element) && isGrantable(state, wait)) return wait;
    left -= 1;
    if (left === 0) return undefined;
  }
  return undefined;
}

/** Quick look: whether the holders of `element` leave room for anyone in this lane. */
function hasRoom(element: Element, mode: QueueMode): boolean {
  switch (mode) {
    case EXCLUSIVE:
      return element.exclusive === 0 && element.taken === 0 && element.intentExclusive === 0 && element.shared <= 1;
    case SHARED:
      return element.exclusive === 0 && element.taken === 0 && element.intentExclusive === 0;
    case PERMIT:
      return element.exclusive === 0 && element.shared === 0 && (element.limit === 0 || element.taken < element.limit);
    case INTENT_EXCLUSIVE:
      return element.exclusive === 0 && element.shared <= 1;
    case INTENT_SHARED:
      return element.exclusive === 0;
  }
}
