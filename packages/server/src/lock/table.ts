// table.ts: how elements, grants and waits are linked into the tables of a partition. Called by apply only.
// Not here: whether a grant may be made (grant.ts).
//   T1. An element exists while it is held, waited for, or above something held or waited for.
//   T2. A grant is in its session's list and among its element's holders, and counts as an intent on every ancestor.
import { addElement, addGrant, addWait, hashText } from "../partition/hash.ts";
import type { Observer } from "../partition/observer.ts";
import type { Element, FencingToken, Grant, PartitionState, Session, Wait } from "../partition/state.ts";
import { dropTarget } from "../preempt/table.ts";
import { hang, unhang } from "./below.ts";
import { Lane } from "./lane.ts";
import { EXCLUSIVE, INTENT_SHARED, intentOf, type Mode, PERMIT, type QueueMode, SHARED } from "./mode.ts";
import { ancestorsOf } from "./name.ts";
import { GrantRow, type NewGrant } from "./rows.ts";

/** The element of this name, created with its ancestors when it does not exist. */
export function elementFor(state: PartitionState, name: string): Element {
  return state.elements.get(name) ?? beginElement(state, name);
}

function beginElement(state: PartitionState, name: string): Element {
  const above = ancestorsOf(name);
  const ancestors = above.length === 0 ? undefined : above.map((ancestor) => elementFor(state, ancestor));
  const element = state.elements.obtain(name, hashText);
  if (ancestors !== undefined) {
    element.ancestors = ancestors; // Those of its last time may be gone.
    hang(element);
  }
  return element;
}

export function insertGrant(state: PartitionState, wanted: NewGrant): Grant {
  const { element, session, mode } = wanted;
  const grant = GrantRow.of(wanted, state.clockMs);
  linkGrant(state, session, grant);
  if (mode === PERMIT && element.limit !== wanted.limit) {
    addElement(state, -1, element);
    element.limit = wanted.limit;
    addElement(state, 1, element);
  }
  addHolder(element, grant);
  count(element, grant.mode, grant.take, 1);
  if (mode === EXCLUSIVE) setReadersBefore(state, element, 0);
  addGrant(state, 1, grant);
  return grant;
}

/** As `insertGrant`, for nearly all: of a whole element, in no batch and in nobody's name. The token comes in signed halves. */
export function insertPlainGrant(
  state: PartitionState,
  element: Element,
  session: Session,
  sequence: number,
  low: number,
  high: number,
): Grant {
  const grant = new GrantRow(element, session, sequence, EXCLUSIVE, low, high, state.clockMs);
  linkGrant(state, session, grant);
  addHolder(element, grant);
  count(element, EXCLUSIVE, 1, 1);
  setReadersBefore(state, element, 0);
  addGrant(state, 1, grant);
  return grant;
}

function linkGrant(state: PartitionState, session: Session, grant: Grant): void {
  const first = session.firstGrant;
  grant.next = first;
  if (first !== undefined) first.previous = grant;
  session.firstGrant = grant;
  session.grants += 1;
  state.grants += 1;
}

/** Takes a grant out of every table. Its effects must have been settled before. */
export function removeGrant(state: PartitionState, grant: Grant, observer: Observer): void {
  const { element, session } = grant;
  dropTarget(state, grant);
  addGrant(state, -1, grant);
  if (grant.previous === undefined) session.firstGrant = grant.next;
  else grant.previous.next = grant.next;
  if (grant.next !== undefined) grant.next.previous = grant.previous;
  grant.next = undefined;
  grant.previous = undefined;
  session.grants -= 1;
  state.grants -= 1;
  dropHolder(element, grant);
  count(element, grant.mode, grant.take, -1);
  if (element.taken === 0 && element.limit !== 0) {
    addElement(state, -1, element);
    element.limit = 0;
    addElement(state, 1, element);
  }
  if (grant.mode === EXCLUSIVE) beginReadPhase(state, element);
  freed(state, element, grant.mode, observer);
}

/** Changes mode and token of a grant in place: upgrade, downgrade, confirmation of a reserved part. */
export function changeGrant(
  state: PartitionState,
  grant: Grant,
  change: { readonly mode: Mode; readonly token: FencingToken; readonly reserved: boolean },
  observer: Observer,
): void {
  const { element } = grant;
  const before = grant.mode;
  addGrant(state, -1, grant);
  dropHolder(element, grant);
  count(element, before, grant.take, -1);
  grant.mode = change.mode;
  grant.token = change.token;
  if (grant.reserved && !change.reserved) grant.grantedAtMs = state.clockMs; // Nobody could use it before.
  grant.reserved = change.reserved;
  addHolder(element, grant);
  count(element, grant.mode, grant.take, 1);
  addGrant(state, 1, grant);
  if (change.mode === EXCLUSIVE) setReadersBefore(state, element, 0);
  if (before === EXCLUSIVE && change.mode === SHARED) {
    beginReadPhase(state, element);
    freed(state, element, before, observer);
  }
}

/** Gives a wait its place in every queue of its path. */
export function insertWait(state: PartitionState, wait: Wait): void {
  forEachPlace(state, wait, place);
  state.waits.set(wait.id, wait);
  wait.session.waits.add(wait);
  if (wait.deadlineMs !== Number.POSITIVE_INFINITY) {
    state.deadlines.add({ kind: "wait", atMs: wait.deadlineMs, order: wait.id, wait });
  }
  addWait(state, 1, wait);
}

/** @param isGranted what it waited for is its own now, so that its leaving lets nobody else in */
export function removeWait(state: PartitionState, wait: Wait, isGranted: boolean, observer: Observer): void {
  dropTarget(state, wait);
  addWait(state, -1, wait);
  wait.gone = true;
  state.waits.delete(wait.id);
  wait.session.waits.delete(wait);
  forEachPlace(state, wait, displace);
  for (const { element, mode } of wait.parts) {
    // Permits go together with the next ones of their queue: those alone are let in by a grant.
    if (!isGranted) freed(state, element, mode, observer);
    else if (mode === PERMIT && element.waiting > 0) observer.freed(element, false);
  }
}

/** As if the session's waits had left: it is not alive enough any more to hold up those behind it (L4 of grant.ts). */
export function passOver(session: Session, observer: Observer): void {
  for (const wait of session.waits) {
    for (const { element, mode } of wait.parts) {
      observer.freed(element, mode !== PERMIT);
      for (const ancestor of element.ancestors) observer.freed(ancestor, false);
    }
  }
}

/** Each place once: parts that lie below one element share its intent. A lane counts a wait once. */
function forEachPlace(
  state: PartitionState,
  wait: Wait,
  visit: (state: PartitionState, element: Element, mode: QueueMode, wait: Wait) => void,
): void {
  const above = wait.parts.length > 1 ? new Set<Element>() : undefined;
  const shared = wait.parts.length > 1 ? new Set<Element>() : undefined;
  for (const part of wait.parts) {
    visit(state, part.element, part.mode, wait);
    const intent = intentOf(part.mode);
    const seen = intent === INTENT_SHARED ? shared : above;
    for (const ancestor of part.element.ancestors) {
      if (seen?.has(ancestor) === true) continue;
      seen?.add(ancestor);
      visit(state, ancestor, intent, wait);
    }
  }
}

function place(state: PartitionState, element: Element, mode: QueueMode, wait: Wait): void {
  element.lanes ??= [undefined, undefined, undefined, undefined, undefined];
  let lane = element.lanes[mode];
  if (lane === undefined) {
    lane = new Lane();
    element.lanes[mode] = lane;
  }
  lane.add(wait);
  if (element.waiting === 0) state.contended.add(element);
  element.waiting += 1;
}

function displace(state: PartitionState, element: Element, mode: QueueMode, wait: Wait): void {
  element.lanes?.[mode]?.left();
  element.waiting -= 1;
  if (mode === SHARED && wait.id < element.readersBefore) element.phaseReaders -= 1;
  if (element.waiting > 0) return;
  element.lanes = undefined;
  state.contended.delete(element);
}

function count(element: Element, mode: Mode, take: number, sign: 1 | -1): void {
  if (mode === EXCLUSIVE) element.exclusive += sign;
  else if (mode === SHARED) element.shared += sign;
  else element.taken += sign * take;
  if (element.ancestors.length === 0) return;
  const intent = intentOf(mode);
  for (const ancestor of element.ancestors) {
    if (intent === INTENT_SHARED) ancestor.intentShared += sign;
    else ancestor.intentExclusive += sign;
  }
}

function addHolder(element: Element, grant: Grant): void {
  const { holders } = element;
  if (holders === undefined) element.holders = grant;
  else if (holders instanceof Map) holders.set(holderKey(grant), grant);
  else {
    element.holders = new Map([
      [holderKey(holders), holders],
      [holderKey(grant), grant],
    ]);
  }
}

function dropHolder(element: Element, grant: Grant): void {
  if (element.holders instanceof Map) {
    element.holders.delete(holderKey(grant));
    if (element.holders.size === 0) element.holders = undefined;
  } else if (element.holders === grant) element.holders = undefined;
}

/** Reserved grants have no token yet: they are told apart by the key that their batch gave them. */
function holderKey(grant: Grant): FencingToken | string {
  return grant.reserved ? grant.requestId : grant.token;
}

/** Phase fairness: when an exclusive grant ends, the shared waiters of that moment go before the exclusive ones. */
function beginReadPhase(state: PartitionState, element: Element): void {
  const readers = element.lanes?.[SHARED]?.size ?? 0;
  if (readers === 0) return;
  setReadersBefore(state, element, state.nextWait);
  element.phaseReaders = readers;
}

/** A phase out of a snapshot, once the waits are there. */
export function restoreReadPhase(state: PartitionState, element: Element, readersBefore: number): void {
  setReadersBefore(state, element, readersBefore);
  for (const wait of element.lanes?.[SHARED] ?? []) if (wait.id < readersBefore) element.phaseReaders += 1;
}

function setReadersBefore(state: PartitionState, element: Element, value: number): void {
  if (element.readersBefore === value) return;
  addElement(state, -1, element);
  element.readersBefore = value;
  addElement(state, 1, element);
  element.phaseReaders = 0;
}

/**
 * Tells the shell where to look for the next grants, and drops elements that nothing needs (T1).
 * @param mode of the grant or wait that went: permits hold up nobody below, and at ancestors it was an intent, which never does
 */
function freed(state: PartitionState, element: Element, mode: Mode, observer: Observer): void {
  if (element.waiting > 0) observer.freed(element, mode !== PERMIT);
  dropIfIdle(state, element);
  for (const ancestor of element.ancestors) {
    if (ancestor.waiting > 0) observer.freed(ancestor, false);
    dropIfIdle(state, ancestor);
  }
}

function dropIfIdle(state: PartitionState, element: Element): void {
  if (element.holders !== undefined || element.waiting > 0) return;
  if (element.intentExclusive > 0 || element.intentShared > 0) return;
  addElement(state, -1, element);
  element.readersBefore = 0;
  element.phaseReaders = 0;
  element.limit = 0;
  if (state.elements.drop(element)) unhang(element);
}
