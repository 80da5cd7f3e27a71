// apply.ts (lock): what each event of locks does to the tables. Decides nothing: see acquire.ts, release.ts, grant.ts.
//   A1. Tokens come from the partition's counter, one for each element granted, in the order of the events: they only rise.
import type { ErrorCode } from "@forelock/protocol";
import { commitEffects, undoEffects } from "../file/apply.ts";
import type { EventPart, LockEvent } from "../partition/events.ts";
import { addGrant } from "../partition/hash.ts";
import type { Observer } from "../partition/observer.ts";
import { GrantedOne, RELEASED, STILL_HELD } from "../partition/operation-row.ts";
import {
  attachWait,
  finish,
  missing,
  partOperation,
  remember,
  rememberDone,
  sessionOf,
} from "../partition/operations.ts";
import { isPlainGrant } from "../partition/plain.ts";
import {
  type Element,
  type FencingToken,
  type Grant,
  type GrantedElement,
  highOf,
  holderByHalves,
  holderByToken,
  lowOf,
  type PartitionState,
  type Session,
  tokenOf,
  type Wait,
} from "../partition/state.ts";
import { handOn, judgeRelease, owe } from "../preempt/table.ts";
import { upgradeAt } from "./grant.ts";
import { EXCLUSIVE, SHARED } from "./mode.ts";
import {
  changeGrant,
  elementFor,
  insertGrant,
  insertPlainGrant,
  insertWait,
  removeGrant,
  removeWait,
} from "./table.ts";

export function applyLock(state: PartitionState, event: LockEvent, observer: Observer): void {
  switch (event.kind) {
    case "queued":
      queue(state, event);
      return;
    case "granted":
      grantAtOnce(state, event, observer);
      return;
    case "wait_granted":
      grantWait(state, waitOf(state, event.wait), observer);
      return;
    case "wait_ended": {
      const wait = waitOf(state, event.wait);
      endWait(state, wait, { code: event.code, message: event.message }, observer);
      return;
    }
    case "reentered": {
      const grant = grantOf(state, event.name, event.token);
      changeEntries(state, grant, 1);
      remember(state, sessionOf(state, event.request.session), event.request, {
        kind: "granted",
        grants: [{ name: event.name, token: event.token }],
      });
      return;
    }
    case "released":
      release(state, event, observer);
      return;
    case "downgraded": {
      const grant = grantOf(state, event.name, event.token);
      commitEffects(state, grant);
      changeGrant(state, grant, { mode: SHARED, token: grant.token, reserved: false }, observer);
      remember(state, sessionOf(state, event.request.session), event.request, {
        kind: "downgraded",
        token: grant.token,
      });
      return;
    }
    case "forced": {
      const grant = grantOf(state, event.name, event.token);
      const undone = settleLoss(state, grant, "forced", observer);
      removeGrant(state, grant, observer);
      observer.lost(grant, "forced", event.reason, undone, 0);
      return;
    }
    case "cancelled": {
      const wait = waitOf(state, event.wait);
      endWait(state, wait, { code: "cancelled", message: "It was cancelled." }, observer);
      remember(state, sessionOf(state, event.request.session), event.request, { kind: "cancelled", cancelled: true });
      return;
    }
  }
}

export function waitOf(state: PartitionState, id: number): Wait {
  const wait = state.waits.get(id);
  if (wait === undefined) throw missing(`wait ${id}`);
  return wait;
}

export function grantOf(state: PartitionState, name: string, token: FencingToken): Grant {
  const element = state.elements.get(name);
  const grant = element === undefined ? undefined : holderByToken(element, token);
  if (grant === undefined) throw missing(`a grant of ${name}`);
  return grant;
}

/** As `grantOf`, by the signed halves of its token. */
export function grantByHalves(state: PartitionState, name: string, low: number, high: number): Grant {
  const element = state.elements.get(name);
  const grant = element === undefined ? undefined : holderByHalves(element, low, high);
  if (grant === undefined) throw missing(`a grant of ${name}`);
  return grant;
}

function nextToken(state: PartitionState): FencingToken {
  return tokenOf(state.epoch, nextCounter(state));
}

function nextCounter(state: PartitionState): number {
  state.grantCounter += 1; // A1
  return state.grantCounter;
}

/** The event `granted` in its plain form: see partition/plain.ts. */
export function grantPlain(
  state: PartitionState,
  session: Session,
  sequence: number,
  digest: number,
  name: string,
): void {
  const counter = nextCounter(state);
  const low = lowOf(counter);
  const high = highOf(state.epoch, counter);
  insertPlainGrant(state, elementFor(state, name), session, sequence, low, high);
  rememberDone(state, session, sequence, digest, new GrantedOne(name, low, high));
}

/** The event `released` in its plain form. */
export function releasePlain(
  state: PartitionState,
  session: Session,
  sequence: number,
  digest: number,
  grant: Grant,
  observer: Observer,
): void {
  const stillHeld = releaseEntry(state, grant, observer);
  rememberDone(state, session, sequence, digest, stillHeld ? STILL_HELD : RELEASED);
}

function queue(state: PartitionState, event: LockEvent & { readonly kind: "queued" }): void {
  const session = sessionOf(state, event.request.session);
  const operation = event.reserve
    ? partOperation(session, event.request)
    : remember(state, session, event.request, undefined);
  const parts = event.parts.map((part) => ({ ...part, element: elementFor(state, part.name) }));
  const upgradeOf = event.upgradeOf === 0n ? undefined : grantOf(state, event.parts[0]?.name ?? "", event.upgradeOf);
  const wait: Wait = {
    id: state.nextWait,
    operation,
    session,
    parts,
    arrivalMs: event.arrivalMs,
    sinceMs: state.clockMs,
    deadlineMs: event.waitMs < 0 ? Number.POSITIVE_INFINITY : state.clockMs + event.waitMs,
    priority: event.priority,
    rollback: event.rollback,
    actor: event.actor,
    upgradeOf,
    reserve: event.reserve,
    gone: false,
    toldPosition: 0,
  };
  state.nextWait += 1;
  insertWait(state, wait);
  if (event.reserve) {
    operation.wait = wait;
    state.parts.set(event.request.requestId, wait);
  } else attachWait(state, operation, wait);
}

function grantAtOnce(state: PartitionState, event: LockEvent & { readonly kind: "granted" }, observer: Observer): void {
  const { request } = event;
  const session = sessionOf(state, request.session);
  if (request.requestId === "" && isPlainGrant(event))
    return grantPlain(state, session, request.sequence, request.digest, event.parts[0]?.name ?? "");
  const upgraded = event.upgradeOf === 0n ? undefined : grantOf(state, event.parts[0]?.name ?? "", event.upgradeOf);
  if (upgraded !== undefined) {
    remember(state, session, request, { kind: "granted", grants: [upgrade(state, upgraded, observer)] });
    return;
  }
  const grants = event.parts.map((part) => hold(state, session, request, part, event));
  if (!event.reserve) remember(state, session, request, { kind: "granted", grants });
}

interface Terms {
  readonly rollback: boolean;
  readonly actor: string;
  readonly reserve: boolean;
}

function hold(
  state: PartitionState,
  session: Session,
  request: { readonly sequence: number; readonly requestId: string },
  part: Omit<EventPart, "name"> & { readonly name?: string; readonly element?: Element },
  terms: Terms,
): GrantedElement {
  const element = part.element ?? elementFor(state, part.name ?? "");
  const grant = insertGrant(state, {
    token: terms.reserve ? 0n : nextToken(state),
    element,
    session,
    sequence: request.sequence,
    requestId: request.requestId,
    actor: terms.actor,
    mode: part.mode,
    take: part.take,
    limit: part.limit,
    rollback: terms.rollback,
    reserved: terms.reserve,
  });
  if (terms.reserve) state.parts.set(request.requestId, grant);
  return { name: element.name, token: grant.token };
}

function upgrade(state: PartitionState, grant: Grant, observer: Observer): GrantedElement {
  changeGrant(state, grant, { mode: EXCLUSIVE, token: nextToken(state), reserved: false }, observer);
  return { name: grant.element.name, token: grant.token };
}

function grantWait(state: PartitionState, wait: Wait, observer: Observer): void {
  const grants: GrantedElement[] = [];
  if (wait.upgradeOf === undefined) {
    // Held before it leaves the queue: an element that nothing needs for a moment would be dropped.
    for (const part of wait.parts) grants.push(hold(state, wait.session, wait.operation, part, wait));
    if (state.warnings.size > 0 || state.termsByTarget.size > 0) handOnTo(state, wait, grants[0]);
    observer.waited(wait);
    removeWait(state, wait, true, observer);
  } else {
    removeWait(state, wait, true, observer); // First: the row of the wait names the token that the upgrade replaces.
    grants.push(upgrade(state, wait.upgradeOf, observer));
  }
  if (wait.reserve) observer.ended(wait.operation);
  else finish(state, wait.operation, { kind: "granted", grants }, observer);
}

function handOnTo(state: PartitionState, wait: Wait, granted: GrantedElement | undefined): void {
  if (granted !== undefined && !wait.reserve) handOn(state, wait, grantOf(state, granted.name, granted.token));
}

function endWait(
  state: PartitionState,
  wait: Wait,
  why: { readonly code: ErrorCode; readonly message: string },
  observer: Observer,
): void {
  removeWait(state, wait, false, observer);
  if (wait.reserve) {
    state.parts.delete(wait.operation.requestId);
    observer.ended(wait.operation);
    return;
  }
  finish(state, wait.operation, { kind: "refused", code: why.code, message: why.message }, observer);
}

function release(state: PartitionState, event: LockEvent & { readonly kind: "released" }, observer: Observer): void {
  const { request } = event;
  const session = sessionOf(state, request.session);
  const grant = grantOf(state, event.name, event.token);
  if (request.requestId === "" && !event.undo)
    return releasePlain(state, session, request.sequence, request.digest, grant, observer);
  const undone = event.undo ? undoEffects(state, grant, observer) : 0;
  const stillHeld = releaseEntry(state, grant, observer);
  remember(state, session, request, { kind: "released", stillHeld, undone });
}

/** @returns whether it was entered more than once, and so is held on */
function releaseEntry(state: PartitionState, grant: Grant, observer: Observer): boolean {
  if (grant.entries > 1) {
    changeEntries(state, grant, -1);
    return true;
  }
  endUpgrade(state, grant, observer);
  commitEffects(state, grant);
  dropPart(state, grant);
  judgeRelease(state, grant);
  observer.released(grant);
  removeGrant(state, grant, observer);
  return false;
}

/** A grant that goes takes the wait for its upgrade along. */
export function endUpgrade(state: PartitionState, grant: Grant, observer: Observer): void {
  const wait = upgradeAt(grant.element);
  if (wait?.upgradeOf !== grant) return;
  const message = "The shared grant that was to be upgraded has ended.";
  endWait(state, wait, { code: "lock_lost", message }, observer);
}

/** What is due before a grant is ended without its release: it is undone, and what it asked for is owed. @returns effects undone */
export function settleLoss(
  state: PartitionState,
  grant: Grant,
  why: "forced" | "preempted",
  observer: Observer,
): number {
  endUpgrade(state, grant, observer);
  const undone = undoEffects(state, grant, observer);
  dropPart(state, grant);
  owe(state, grant, why);
  return undone;
}

function dropPart(state: PartitionState, grant: Grant): void {
  if (grant.requestId !== "" && state.parts.get(grant.requestId) === grant) state.parts.delete(grant.requestId);
}

function changeEntries(state: PartitionState, grant: Grant, by: 1 | -1): void {
  addGrant(state, -1, grant);
  grant.entries += by;
  addGrant(state, 1, grant);
}

/** A reserved part of a batch becomes a grant, or goes. Used by batch/apply.ts. */
export function confirmPart(state: PartitionState, grant: Grant, observer: Observer): void {
  changeGrant(state, grant, { mode: grant.mode, token: nextToken(state), reserved: false }, observer);
}
