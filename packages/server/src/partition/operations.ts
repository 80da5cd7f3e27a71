// operations.ts: what is remembered of requests, so that the same request id always finds the same operation.
//   O1. A session's operation is remembered until the client acknowledged its answer; a queued one until its end is settled.
//   O2. A kept operation is remembered until keepMs after its end, whatever becomes of its session.
//   O3. Nothing is dropped earlier: at the limits new work is refused (decide.ts).
import { assert } from "@forelock/protocol";
import type { EventRequest } from "./events.ts";
import { addOperation } from "./hash.ts";
import type { Observer } from "./observer.ts";
import { OperationRow } from "./operation-row.ts";
import { keptKey, type Operation, type Outcome, type PartitionState, type Session, type Wait } from "./state.ts";

/** The session that an event names. Events are decided on the state they apply to, so it is there. */
export function sessionOf(state: PartitionState, number: number): Session {
  const session = state.sessionByNumber.get(number);
  if (session === undefined) throw missing(`session ${number}`);
  return session;
}

/** A bug, or damage: events are decided on the state that they apply to. Made only when it is thrown, as each event asks. */
export function missing(what: string): Error {
  return new Error(`assertion failed: an event names ${what}, which the partition does not have`);
}

/** The operation that a request id finds, waiting or done. */
export function findOperation(
  state: PartitionState,
  session: Session | undefined,
  principal: string,
  request: { readonly sequence: number; readonly requestId: string },
): Operation | undefined {
  if (request.requestId !== "") return state.kept.get(keptKey(principal, request.requestId));
  if (session === undefined) return undefined;
  const done = session.done.get(request.sequence);
  return done === undefined && session.queued.size > 0 ? session.queued.get(request.sequence) : done;
}

/** Remembers a request with its outcome, or waiting when `outcome` is undefined. */
export function remember(
  state: PartitionState,
  session: Session,
  request: EventRequest,
  outcome: Outcome | undefined,
): Operation {
  const { sequence, requestId, digest } = request;
  if (requestId === "" && outcome !== undefined) return rememberDone(state, session, sequence, digest, outcome);
  const operation = rowOf(session, sequence, digest, outcome).keep(requestId, request.keepMs);
  if (requestId !== "") {
    const key = keptKey(session.principal, requestId);
    assert(!state.kept.has(key), "a kept operation is remembered once");
    state.kept.set(key, operation);
    state.keptByPrincipal.set(session.principal, (state.keptByPrincipal.get(session.principal) ?? 0) + 1);
    session.kept.add(operation);
    if (outcome !== undefined) scheduleForgetting(state, operation);
  } else session.queued.set(sequence, operation);
  state.operations += 1;
  addOperation(state, 1, operation);
  return operation;
}

/** As `remember`, for nearly all: of a session, and done. */
export function rememberDone(
  state: PartitionState,
  session: Session,
  sequence: number,
  digest: number,
  outcome: Outcome,
): Operation {
  const operation = rowOf(session, sequence, digest, outcome);
  session.done.add(operation);
  state.operations += 1;
  addOperation(state, 1, operation);
  return operation;
}

function rowOf(session: Session, sequence: number, digest: number, outcome: Outcome | undefined): OperationRow {
  return new OperationRow(session, session.id, session.principal, sequence, digest, outcome);
}

/** An operation that no request id finds: a part of a batch, whose key is `request.requestId`. */
export function partOperation(session: Session, request: EventRequest): Operation {
  return rowOf(session, 0, 0, undefined).keep(request.requestId, 0);
}

/** Links a remembered operation with its wait. */
export function attachWait(state: PartitionState, operation: Operation, wait: Wait): void {
  addOperation(state, -1, operation);
  operation.wait = wait;
  addOperation(state, 1, operation);
}

/** Gives a waiting operation its outcome. */
export function finish(state: PartitionState, operation: Operation, outcome: Outcome, observer: Observer): void {
  assert(operation.outcome === undefined, "an operation ends once");
  addOperation(state, -1, operation);
  operation.wait = undefined;
  operation.outcome = outcome;
  if (operation.requestId !== "") scheduleForgetting(state, operation);
  addOperation(state, 1, operation);
  observer.ended(operation);
}

function scheduleForgetting(state: PartitionState, operation: Operation): void {
  operation.forgetAtMs = state.clockMs + operation.keepMs;
  state.deadlines.add({ kind: "kept", atMs: operation.forgetAtMs, order: state.operations, operation });
}

/** Changes the outcome of a done operation: an append that was undone since. */
export function amend(state: PartitionState, operation: Operation, outcome: Outcome): void {
  if (operation.session === undefined && operation.requestId === "") return; // Forgotten already.
  if (findOperation(state, operation.session, operation.principal, operation) !== operation) return;
  addOperation(state, -1, operation);
  operation.outcome = outcome;
  addOperation(state, 1, operation);
}

/** O1: drops what the client needs no more. */
export function acknowledge(state: PartitionState, session: Session, below: number, settled: readonly number[]): void {
  for (;;) {
    const operation = session.done.takeBelow(below);
    if (operation === undefined) break;
    forget(state, operation);
  }
  for (const sequence of settled) {
    const operation = session.queued.get(sequence);
    if (operation?.outcome === undefined) continue;
    session.queued.delete(sequence);
    forget(state, operation);
  }
}

/** All that is remembered for a session that ends; its kept operations stay (O2) but are nobody's. */
export function forgetSession(state: PartitionState, session: Session): void {
  for (const operation of session.done) forget(state, operation);
  for (const operation of session.queued.values()) forget(state, operation);
  session.done.clear();
  session.queued.clear();
  for (const operation of session.kept) {
    addOperation(state, -1, operation);
    operation.session = undefined;
    addOperation(state, 1, operation);
  }
  session.kept.clear();
}

export function forgetKept(state: PartitionState, key: string): void {
  const operation = state.kept.get(key);
  assert(operation !== undefined, "only what is remembered is forgotten");
  state.kept.delete(key);
  const left = (state.keptByPrincipal.get(operation.principal) ?? 1) - 1;
  if (left === 0) state.keptByPrincipal.delete(operation.principal);
  else state.keptByPrincipal.set(operation.principal, left);
  addOperation(state, -1, operation);
  operation.forgetAtMs = Number.POSITIVE_INFINITY;
  operation.session?.kept.delete(operation);
  state.operations -= 1;
}

function forget(state: PartitionState, operation: Operation): void {
  addOperation(state, -1, operation);
  operation.session = undefined;
  state.operations -= 1;
}
