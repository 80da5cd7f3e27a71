// release.ts: how grants end on purpose: release, downgrade, force, cancel.
//   L7. A token that is not the current one ends nothing: someone else may hold the element by now.
//   L8. The token counts from any session of the principal that holds: children of a holder have it too.
import type { Decision, OperationTarget, OwnerCommand, SessionCommand } from "../partition/commands.ts";
import type { EventRequest, PartitionEvent } from "../partition/events.ts";
import { findOperation } from "../partition/operations.ts";
import {
  type FencingToken,
  type Grant,
  holdersOf,
  keptKey,
  type Operation,
  type PartitionState,
} from "../partition/state.ts";
import { NOTHING, refuse } from "../session/decide.ts";
import { currentGrant } from "./acquire.ts";
import { EXCLUSIVE, MODE_NAMES } from "./mode.ts";

export function decideRelease(
  state: PartitionState,
  command: SessionCommand & { readonly kind: "release" },
  request: EventRequest,
): Decision {
  const grant = currentGrant(state, command.name, command.token);
  if (grant === undefined || grant.session.principal !== command.session.principal) {
    return refuse("stale_token", `token = ${command.token} is not a current grant of ${command.name}.`); // L7, L8
  }
  return {
    events: [{ kind: "released", request, name: command.name, token: command.token, undo: command.undo }],
    refusal: undefined,
  };
}

export function decideDowngrade(
  state: PartitionState,
  command: SessionCommand & { readonly kind: "downgrade" },
  request: EventRequest,
): Decision {
  const grant = currentGrant(state, command.name, command.token);
  if (grant === undefined || grant.session.number !== request.session) {
    return refuse("stale_token", `token = ${command.token} is not a current grant of ${command.name} in this session.`);
  }
  if (grant.mode !== EXCLUSIVE) {
    return refuse(
      "bad_argument",
      `token: only an exclusive grant can be downgraded; this one is ${MODE_NAMES[grant.mode]}.`,
    );
  }
  return { events: [{ kind: "downgraded", request, name: command.name, token: command.token }], refusal: undefined };
}

/** Grants that one command ends or warns: their events must fit one record. Who wants more names the rest by token. */
export const FORCED_MAX = 256;

/** The grants that an operator means: all holders of a name (token 0n), as many as one command takes, or one of them. */
export function chosenGrants(
  state: PartitionState,
  { name, token }: { readonly name: string; readonly token: FencingToken },
): readonly Grant[] | Decision {
  const element = state.elements.get(name);
  const grants = element === undefined ? [] : [...holdersOf(element)].filter((grant) => !grant.reserved);
  grants.sort((a, b) => (a.token < b.token ? -1 : 1)); // Holders have no order of their own after a restart.
  if (grants.length === 0) return refuse("not_held", `Nobody holds ${name}.`);
  const chosen = token === 0n ? grants.slice(0, FORCED_MAX) : grants.filter((grant) => grant.token === token);
  if (chosen.length === 0) return refuse("stale_token", `token = ${token} is not a current grant of ${name}.`);
  return chosen;
}

export function decideForce(
  state: PartitionState,
  command: OwnerCommand & { readonly kind: "force_release" },
): Decision {
  const chosen = chosenGrants(state, command);
  if ("refusal" in chosen) return chosen;
  const force = (grant: Grant): PartitionEvent => ({
    kind: "forced",
    name: command.name,
    token: grant.token,
    by: command.by,
    reason: command.reason,
  });
  return { events: chosen.map(force), refusal: undefined };
}

export function decideCancel(
  state: PartitionState,
  command: SessionCommand & { readonly kind: "cancel" },
  request: EventRequest,
): Decision {
  const operation = findTarget(state, command.target);
  if (operation === undefined) return refuse("operation_unknown", "No such operation is remembered.");
  if (operation.outcome === undefined && operation.wait === undefined) {
    for (const batch of state.batches.values()) {
      if (batch.operation === operation)
        return { events: [{ kind: "batch_cancelled", request, batch: batch.id }], refusal: undefined };
    }
  }
  if (operation.wait === undefined) return NOTHING; // It had ended: the answer says so, and nothing changes.
  return { events: [{ kind: "cancelled", request, wait: operation.wait.id }], refusal: undefined };
}

/** The operation that a reference names, if it is the principal's. */
export function findTarget(state: PartitionState, target: OperationTarget): Operation | undefined {
  if (target.kind === "kept") return state.kept.get(keptKey(target.principal, target.requestId));
  const session = state.sessions.get(target.sessionId);
  if (session === undefined || session.principal !== target.principal) return undefined;
  return findOperation(state, session, target.principal, { sequence: target.sequence, requestId: "" });
}
