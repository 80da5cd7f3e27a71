// decide.ts: what happens next. Changes nothing, and gives the same events for the same state and command.
// Each kind of command is decided in its own folder; what all session commands share (who asks, and did he ask before) is here.
//   D1. A request id that is remembered is never carried out again: its operation has the answer.
//   D2. A sequence that the client has acknowledged is refused, never carried out.
//   D3. At every limit new work is refused and nothing is dropped; release, cancel and downgrade are served up to twice the limit.
import { unreachable } from "@forelock/protocol";
import { decideBatch } from "../batch/decide.ts";
import { decideAppend, decideCreateFile } from "../file/decide.ts";
import { decideAcquire, decideUpgrade, refuseOverlap } from "../lock/acquire.ts";
import { decideCancel, decideDowngrade, decideForce, decideRelease } from "../lock/release.ts";
import { decideAcknowledge, decideCountdownEnd, decideWarn } from "../preempt/decide.ts";
import { isWait } from "../preempt/target.ts";
import { decideSession, NOTHING, refuse, register } from "../session/decide.ts";
import type { Command, Decision, PartitionLimits, SessionCommand } from "./commands.ts";
import type { EventRequest, PartitionEvent } from "./events.ts";
import { findOperation } from "./operations.ts";
import { type Grant, keptKey, type PartitionState, type Session, type Wait, type Warning } from "./state.ts";

/** What frees memory must get through when new work does not. */
const RELIEF: ReadonlySet<Command["kind"]> = new Set(["release", "cancel", "downgrade", "acknowledge_warning"]);

export function decide(state: PartitionState, command: Command, limits: PartitionLimits): Decision {
  switch (command.kind) {
    case "acquire":
    case "upgrade":
    case "downgrade":
    case "release":
    case "cancel":
    case "append":
    case "open_batch":
    case "acknowledge_warning":
      return decideOperation(state, command, limits);
    case "reserve_part":
    case "confirm_part":
    case "abandon_part":
    case "confirm_batch":
    case "grant_batch":
    case "end_batch":
      return decideBatch(state, command, limits);
    case "session_heard":
    case "session_silent":
    case "end_session":
    case "acknowledge":
      return decideSession(state, command);
    case "start":
      return { events: [{ kind: "started", epoch: command.epoch }], refusal: undefined };
    case "tick":
      return decideTick(state, limits);
    case "create_file":
      return decideCreateFile(state, command.name);
    case "force_release":
      return decideForce(state, command);
    case "warn":
      return decideWarn(state, command);
    case "set_policy":
      return { events: [{ kind: "policy_set", prefix: command.prefix, row: command.row }], refusal: undefined };
    case "compensated": {
      const { compensation, isDelivered } = command;
      if (!state.compensations.has(compensation)) return NOTHING; // Told twice.
      return { events: [{ kind: "compensated", compensation, isDelivered }], refusal: undefined };
    }
    case "break_deadlock": {
      const wait = state.waits.get(command.wait);
      if (wait === undefined || wait.reserve) return NOTHING; // It was granted, or left, in the meantime.
      return {
        events: [{ kind: "wait_ended", wait: wait.id, code: "deadlock", message: command.message }],
        refusal: undefined,
      };
    }
    default:
      return unreachable(command);
  }
}

function decideOperation(state: PartitionState, command: SessionCommand, limits: PartitionLimits): Decision {
  const { request } = command;
  const { session: asker } = command;
  const known = findOperation(state, state.sessions.get(asker.id), asker.principal, request);
  if (known !== undefined) {
    if (known.digest === request.digest) return NOTHING; // D1
    return refuse(
      "request_id_reused",
      `Request ${request.requestId || request.sequence} was made before with other arguments.`,
    );
  }
  const registered = register(state, asker, limits);
  if (registered.kind === "refused") return registered.decision;
  const { session } = registered;
  const refusal = refuseRequest(state, session, command, limits);
  if (refusal !== undefined) return refusal;
  const eventRequest: EventRequest = {
    session: registered.number,
    sequence: request.sequence,
    requestId: request.requestId,
    keepMs: request.keepMs,
    digest: request.digest,
  };
  const decided = decideNew(state, command, eventRequest, limits);
  if (registered.events.length === 0 && !isNoted(request.requestId, decided)) return decided;
  return withContext(registered.events, decided, eventRequest);
}

/** A refusal that a kept operation must remember: asking again must not give another answer. */
function isNoted(requestId: string, decided: Decision): boolean {
  return requestId !== "" && decided.refusal?.code === "busy";
}

function withContext(before: readonly PartitionEvent[], decided: Decision, request: EventRequest): Decision {
  const { refusal } = decided;
  if (refusal !== undefined && isNoted(request.requestId, decided)) {
    const noted: PartitionEvent = { kind: "noted", request, code: refusal.code, message: refusal.message };
    return { events: [...before, noted], refusal };
  }
  // A refused first command registers nothing: a session that only asked wrongly leaves no trace.
  if (refusal !== undefined) return { events: before.filter((event) => event.kind === "session_heard"), refusal };
  return { events: [...before, ...decided.events], refusal: undefined };
}

function refuseRequest(
  state: PartitionState,
  session: Session | undefined,
  command: SessionCommand,
  limits: PartitionLimits,
): Decision | undefined {
  const { request } = command;
  if (request.requestId !== "") {
    const kept = state.keptByPrincipal.get(command.session.principal) ?? 0;
    if (kept < limits.keptMax || (kept < limits.keptMax * 2 && RELIEF.has(command.kind))) return undefined; // D3
    return refuse("operations_full", `${kept} operations are kept for this principal; ${limits.keptMax} may be.`, {
      retryAfterMs: 1_000,
    });
  }
  if (session === undefined) return undefined;
  if (request.sequence < session.lowest) {
    return refuse(
      "request_forgotten",
      `sequence = ${request.sequence} is below ${session.lowest}, the lowest that is remembered.`,
    ); // D2
  }
  const remembered = session.done.size + session.queued.size;
  const max = limits.unansweredMax;
  if (remembered < max || (remembered < max * 2 && RELIEF.has(command.kind))) return undefined; // D3
  return refuse(
    "operations_full",
    `The session has ${remembered} unanswered operations; it may have ${limits.unansweredMax}.`,
    {
      retryAfterMs: 1_000,
    },
  );
}

function decideNew(
  state: PartitionState,
  command: SessionCommand,
  request: EventRequest,
  limits: PartitionLimits,
): Decision {
  switch (command.kind) {
    case "acquire":
      return decideAcquire(state, command, request, limits);
    case "upgrade":
      return decideUpgrade(state, command, request);
    case "downgrade":
      return decideDowngrade(state, command, request);
    case "release":
      return decideRelease(state, command, request);
    case "cancel":
      return decideCancel(state, command, request);
    case "append":
      return decideAppend(state, command, request, limits);
    case "acknowledge_warning":
      return decideAcknowledge(state, command, request);
    case "open_batch": {
      const { parts, waitMs, rollback, actor } = command;
      const overlap = refuseOverlap(parts);
      if (overlap !== undefined) return overlap;
      return { events: [{ kind: "batch_opened", request, parts, waitMs, rollback, actor }], refusal: undefined };
    }
    default:
      return unreachable(command);
  }
}

function decideTick(state: PartitionState, limits: PartitionLimits): Decision {
  const events: PartitionEvent[] = [];
  const forgotten: string[] = [];
  // What ends by an event of this very tick takes along what hangs on it: that must not be ended once more.
  const ended = new Set<Grant>();
  const leaving = new Set<Wait>();
  // One that came back to an earlier moment stands among the deadlines twice.
  const countedDown = new Set<Warning>();
  for (const due of state.deadlines.due(state.clockMs, limits.dueMax)) {
    if (due.kind === "wait") {
      if (due.wait.upgradeOf !== undefined && ended.has(due.wait.upgradeOf)) continue;
      leaving.add(due.wait);
      events.push({
        kind: "wait_ended",
        wait: due.wait.id,
        code: "timeout",
        message: "The wait was not granted in time.",
      });
    } else if (due.kind === "warning") {
      const { warning } = due;
      const { target } = warning;
      if (countedDown.has(warning) || (isWait(target) ? leaving.has(target) : ended.has(target))) continue;
      countedDown.add(warning);
      const event = decideCountdownEnd(warning, leaving);
      if (event.kind === "preempted" && !isWait(target)) ended.add(target);
      events.push(event);
    } else forgotten.push(keptKey(due.operation.principal, due.operation.requestId));
  }
  // Those due at one moment are found in another order after a restart.
  if (forgotten.length > 0) events.push({ kind: "kept_forgotten", keys: forgotten.sort() });
  const dropped: string[] = [];
  for (const [id, forgetAtMs] of state.tombstones) {
    if (forgetAtMs > state.clockMs || dropped.length >= limits.dueMax) break;
    dropped.push(id);
  }
  if (dropped.length > 0) events.push({ kind: "tombstones_dropped", ids: dropped });
  return { events, refusal: undefined };
}
