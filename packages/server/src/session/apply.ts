// apply.ts (session): what signs of life and ends of sessions do to the tables.
//   S1. A session that ends takes its grants and waits along in the same event: close commits its effects, expiry and force
//       undo those made under `rollback`.
import { assert } from "@forelock/protocol";
import { commitEffects, undoEffects } from "../file/apply.ts";
import { removeGrant, removeWait } from "../lock/table.ts";
import { DoneOperations } from "../partition/done.ts";
import type { SessionEnd, SessionEvent } from "../partition/events.ts";
import { addSession, addTombstone, sessionHash } from "../partition/hash.ts";
import type { Observer } from "../partition/observer.ts";
import { acknowledge, finish, forgetSession, sessionOf } from "../partition/operations.ts";
import type { PartitionState, Session, Wait } from "../partition/state.ts";
import { judgeRelease, owe } from "../preempt/table.ts";

/** How long an expired session is remembered, in times of its ttl: no client retries under a session for longer. */
const TOMBSTONE_TTLS = 10;

export function applySession(state: PartitionState, event: SessionEvent, observer: Observer): void {
  switch (event.kind) {
    case "session_opened":
      openSession(state, event);
      return;
    case "session_silent":
      change(state, sessionOf(state, event.session), (session) => {
        session.silentSinceMs = event.sinceMs;
      });
      return;
    case "session_heard":
      heard(state, sessionOf(state, event.session), observer);
      return;
    case "session_ended":
      endSession(state, sessionOf(state, event.session), event.why, event.reason, observer);
      return;
    case "acknowledged": {
      const session = sessionOf(state, event.session);
      acknowledge(state, session, event.below, event.settled);
      change(state, session, () => {
        session.lowest = Math.max(session.lowest, event.below);
      });
      return;
    }
    case "tombstones_dropped":
      for (const id of event.ids) {
        const forgetAtMs = state.tombstones.get(id);
        assert(forgetAtMs !== undefined, "only a kept tombstone is dropped");
        addTombstone(state, -1, id, forgetAtMs);
        state.tombstones.delete(id);
      }
      return;
  }
}

/** A new owner: every session waits until it is heard from; one that was silent before keeps what was left, at least a third. */
export function restartSessions(state: PartitionState): void {
  for (const session of state.sessions.values()) {
    change(state, session, () => {
      const silentMs = Math.max(0, state.clockMs - session.silentSinceMs);
      const leftMs = Math.max(session.ttlMs - silentMs, session.ttlMs / 3);
      session.silentSinceMs = Math.floor(state.clockMs - (session.ttlMs - leftMs));
      session.unheard = true;
    });
  }
}

function change(state: PartitionState, session: Session, mutate: (session: Session) => void): void {
  addSession(state, -1, session);
  mutate(session);
  addSession(state, 1, session);
}

function openSession(state: PartitionState, event: SessionEvent & { readonly kind: "session_opened" }): void {
  assert(!state.sessions.has(event.id), "a session is opened once in a partition");
  const session: Session = {
    number: state.nextSession,
    id: event.id,
    hash: sessionHash(event),
    secretHash: event.secretHash,
    principal: event.principal,
    client: event.client,
    ttlMs: event.ttlMs,
    unheard: false,
    silentSinceMs: Number.POSITIVE_INFINITY,
    lowest: 1,
    done: new DoneOperations(),
    queued: new Map(),
    kept: new Set(),
    firstGrant: undefined,
    grants: 0,
    waits: new Set(),
  };
  state.nextSession += 1;
  state.sessions.set(session.id, session);
  state.sessionByNumber.set(session.number, session);
  addSession(state, 1, session);
}

function heard(state: PartitionState, session: Session, observer: Observer): void {
  change(state, session, () => {
    session.unheard = false;
    session.silentSinceMs = Number.POSITIVE_INFINITY;
  });
  for (const wait of session.waits) {
    for (const part of wait.parts) observer.freed(part.element, false); // It stands in a queue there.
  }
}

function endSession(
  state: PartitionState,
  session: Session,
  why: SessionEnd,
  reason: string,
  observer: Observer,
): void {
  for (const wait of [...session.waits]) endWait(state, wait, why, observer);
  for (const batch of [...state.batches.values()]) {
    if (batch.session !== session.number || batch.operation.outcome !== undefined) continue;
    finish(state, batch.operation, sessionRefusal(why), observer);
  }
  // Oldest grant first, so that undo and notices come in the order of the work.
  const grants = [];
  for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) grants.push(grant);
  for (const grant of grants.reverse()) {
    let undone = 0;
    if (why === "closed") {
      commitEffects(state, grant);
      judgeRelease(state, grant);
      if (!grant.reserved) observer.released(grant);
    } else undone = undoEffects(state, grant, observer);
    if (grant.requestId !== "" && state.parts.get(grant.requestId) === grant) state.parts.delete(grant.requestId);
    const wasReserved = grant.reserved;
    if (why !== "closed" && !wasReserved) owe(state, grant, why);
    removeGrant(state, grant, observer);
    if (why !== "closed" && !wasReserved) observer.lost(grant, why, reason, undone, 0);
  }
  addSession(state, -1, session);
  forgetSession(state, session);
  state.sessions.delete(session.id);
  state.sessionByNumber.delete(session.number);
  if (why !== "closed") {
    const forgetAtMs = state.clockMs + session.ttlMs * TOMBSTONE_TTLS;
    state.tombstones.set(session.id, forgetAtMs);
    addTombstone(state, 1, session.id, forgetAtMs);
  }
}

function endWait(state: PartitionState, wait: Wait, why: SessionEnd, observer: Observer): void {
  const { operation } = wait;
  if (operation.requestId !== "" && state.parts.get(operation.requestId) === wait)
    state.parts.delete(operation.requestId);
  removeWait(state, wait, false, observer);
  if (wait.reserve) observer.ended(operation);
  else finish(state, operation, sessionRefusal(why), observer);
}

function sessionRefusal(why: SessionEnd): {
  kind: "refused";
  code: "session_closed" | "session_expired";
  message: string;
} {
  return why === "closed"
    ? { kind: "refused", code: "session_closed", message: "The session was closed while this waited." }
    : { kind: "refused", code: "session_expired", message: "The session ended while this waited." };
}
