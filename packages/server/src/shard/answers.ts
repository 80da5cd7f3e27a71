// answers.ts: messages of the protocol from what a partition decided. Values are taken at once: they leave later, when durable.
import {
  type AcquireReply,
  type Error as ErrorMessage,
  ForelockError,
  type Holder,
  Mode,
  OperationState,
  type Placement,
  type Reply,
} from "@forelock/protocol";
import { blockersOf } from "../lock/acquire.ts";
import type { Refusal } from "../partition/commands.ts";
import {
  type AcknowledgedState,
  ageOf,
  type Grant,
  type GrantedOutcome,
  isLive,
  type Operation,
  type Outcome,
  type PartitionState,
  type Wait,
} from "../partition/state.ts";
import type { Outlook } from "./insight.ts";
import { referenceOf } from "./reference.ts";
import type { Caller } from "./service.ts";

export function refusalMessage(refusal: Refusal): ErrorMessage {
  return {
    code: refusal.code,
    message: refusal.message,
    detailsJson: refusal.details === undefined ? "" : JSON.stringify(refusal.details),
    retryAfterMs: refusal.retryAfterMs ?? 0,
  };
}

/** The error without the hint of its table, which the receiver adds, and without its cause, which stays here. */
export function errorMessage(error: ForelockError): ErrorMessage {
  return {
    code: error.code,
    message: error.plainMessage,
    detailsJson: error.details === undefined ? "" : JSON.stringify(error.details),
    retryAfterMs: error.retryAfterMs ?? 0,
  };
}

/** What the caller is told of a failure: our own errors as they are, anything else as `internal`. */
export function asForelockError(cause: unknown): ForelockError {
  return cause instanceof ForelockError ? cause : new ForelockError("internal", "The request failed.", { cause });
}

/** Answers with what the promise gives, or why it failed. */
export function respondWith(body: Promise<Reply["body"]>, sequence: number, respond: (reply: Reply) => void): void {
  body.then(
    (value) => respond({ sequence, body: value }),
    (cause: unknown) => respond(errorReply(sequence, errorMessage(asForelockError(cause)))),
  );
}

export function errorReply(sequence: number, error: ErrorMessage): Reply {
  return { sequence, body: { $case: "error", value: error } };
}

/**
 * Where an acquire stands, for its reply, its notice, and whoever asks by reference.
 * @param partitionOf for the grants of a batch, which lie in several partitions
 */
export function acquireReply(
  state: PartitionState,
  operation: Operation,
  caller: Caller | undefined,
  partitionOf: Placement,
): AcquireReply {
  const { partition } = state;
  const { outcome, wait } = operation;
  const reply: AcquireReply = {
    sequence: operation.sequence,
    reference: referenceOf(partition, operation),
    state: OperationState.QUEUED,
    position: 0,
    grants: outcome?.kind === "granted" ? grantsOf(outcome, partition, partitionOf) : [],
    blockers: [],
    error: undefined,
    partition,
    eta: undefined,
  };
  if (outcome === undefined) {
    if (wait !== undefined) {
      reply.position = positionOf(wait);
      const parts = wait.parts.map(({ element, mode }) => ({ name: element.name, mode }));
      reply.blockers = blockersOf(state, parts).map((grant) => holderMessage(state, grant, caller));
    }
    return reply;
  }
  switch (outcome.kind) {
    case "granted":
      reply.state = OperationState.GRANTED;
      return reply;
    case "refused":
      reply.state = OperationState.ENDED;
      reply.error = { code: outcome.code, message: outcome.message, detailsJson: "", retryAfterMs: 0 };
      return reply;
    case "released":
    case "downgraded":
    case "appended":
    case "cancelled":
    case "acknowledged":
      reply.state = OperationState.DONE;
      return reply;
  }
}

function grantsOf({ grants }: GrantedOutcome, partition: number, partitionOf: Placement): AcquireReply["grants"] {
  const isAlone = grants.length === 1;
  return grants.map(({ name, token }) => ({ name, token, partition: isAlone ? partition : partitionOf(name) }));
}

/** The reply of an operation that is done, or queued. */
export function operationReply(
  state: PartitionState,
  sequence: number,
  operation: Operation,
  caller: Caller,
  partitionOf: Placement,
): Reply {
  const { outcome } = operation;
  if (outcome === undefined || outcome.kind === "granted") {
    const value = acquireReply(state, operation, caller, partitionOf);
    value.sequence = sequence; // Of this request: a kept operation may have been asked for under another.
    return { sequence, body: { $case: "acquire", value } };
  }
  return { sequence, body: outcomeBody(state, operation, outcome, partitionOf) };
}

function outcomeBody(
  state: PartitionState,
  operation: Operation,
  outcome: Exclude<Outcome, { kind: "granted" }>,
  partitionOf: Placement,
): Reply["body"] {
  switch (outcome.kind) {
    case "released":
      return { $case: "release", value: { stillHeld: outcome.stillHeld, undone: outcome.undone } };
    case "downgraded":
      return { $case: "downgrade", value: { token: outcome.token } };
    case "appended":
      return {
        $case: "append",
        value: {
          length: outcome.length,
          version: outcome.version,
          index: outcome.index,
          offset: outcome.offset,
          undone: outcome.undone,
        },
      };
    case "cancelled":
      return { $case: "cancel", value: { cancelled: outcome.cancelled } };
    case "acknowledged":
      return acknowledgedBody(state, outcome.warning, outcome.state, outcome.reason);
    case "refused":
      return { $case: "acquire", value: acquireReply(state, operation, undefined, partitionOf) };
  }
}

/** The countdown as it stands now: a repeated acknowledgement learns what is left. */
export function acknowledgedBody(
  state: PartitionState,
  id: number,
  answer: AcknowledgedState,
  reason: string,
): Reply["body"] {
  const warning = state.warnings.get(id);
  const isForced = warning?.enforce === true && Number.isFinite(warning.endsAtMs);
  const countdownMs = isForced ? Math.max(0, Math.floor(warning.endsAtMs - state.clockMs)) : -1;
  const stands = warning === undefined ? "over" : answer;
  return { $case: "acknowledge", value: { state: stands, countdownMs, reason } };
}

/** 1 is next. Counts the waiters that came before it in any mode, at the first element it asked for. */
export function positionOf(wait: Wait): number {
  const element = wait.parts[0]?.element;
  let position = 1;
  for (const lane of element?.lanes ?? []) if (lane !== undefined) position += lane.countBefore(wait);
  return position;
}

const NOTHING_AHEAD = { forecast: undefined, risk: undefined } as const;
const MODES = [Mode.EXCLUSIVE, Mode.SHARED, Mode.PERMIT] as const;

export function holderMessage(
  state: PartitionState,
  grant: Grant,
  caller: Caller | undefined,
  outlook?: Outlook,
): Holder {
  const mayRead = caller?.may("read", grant.element.name) === true;
  return {
    session: mayRead ? grant.session.id : "",
    principal: mayRead ? grant.session.principal : "",
    token: grant.token,
    mode: MODES[grant.mode],
    heldMs: ageOf(state, grant),
    take: grant.take,
    silent: !isLive(grant.session, state.clockMs),
    client: mayRead ? grant.session.client : "",
    ...(outlook?.holder(state, grant) ?? NOTHING_AHEAD),
  };
}
