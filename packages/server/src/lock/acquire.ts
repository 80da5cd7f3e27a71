// acquire.ts: what happens to a request for elements: granted now, queued, or refused. Not here: later grants (grant.ts).
//   L5. The owner of a grant is session and request: the same session asking again is one more who asks.
//   L6. A request over several elements is granted whole or waits whole, holding nothing.
import type { CommandPart, Decision, PartitionLimits, SessionCommand } from "../partition/commands.ts";
import type { EventPart, EventRequest, LockEvent } from "../partition/events.ts";
import {
  ageOf,
  type Element,
  type FencingToken,
  type Grant,
  holderByToken,
  holdersOf,
  type PartitionState,
} from "../partition/state.ts";
import { nextTarget } from "../preempt/decide.ts";
import { isCompensating } from "../preempt/table.ts";
import { refuse } from "../session/decide.ts";
import { holdersInTheWay } from "./below.ts";
import { type Arrival, fits, fitsBelow, isQueuedBehind, upgradeAt } from "./grant.ts";
import { EXCLUSIVE, intentOf, MODE_NAMES, PERMIT, SHARED } from "./mode.ts";
import { ancestorsOf } from "./name.ts";

type Acquire = SessionCommand & { readonly kind: "acquire" };
type Upgrade = SessionCommand & { readonly kind: "upgrade" };

/** Comes before everyone who waits: an upgrade can only be granted while its shared grant is held. */
const FIRST_OF_ALL_MS = -1e15;

export function decideAcquire(
  state: PartitionState,
  command: Acquire,
  request: EventRequest,
  limits: PartitionLimits,
): Decision {
  const { parts, termsRefusal } = command;
  if (termsRefusal !== undefined) return { events: [], refusal: termsRefusal };
  if (command.reenter !== 0n) return reenter(state, command, request);
  const session = state.sessionByNumber.get(request.session);
  const held = session === undefined ? 0 : session.grants + session.waits.size;
  if (held + parts.length > limits.locksMax) {
    return refuse("locks_full", `The session holds and waits for ${held} elements; it may have ${limits.locksMax}.`);
  }
  if (parts.length > 1) {
    const refusal = refuseOverlap(parts);
    if (refusal !== undefined) return refusal;
  }
  for (const part of parts) {
    const element = part.mode === PERMIT ? state.elements.get(part.name) : undefined;
    if (element !== undefined && element.taken > 0 && element.limit !== part.limit) {
      return refuse(
        "limit_mismatch",
        `${part.name} is in use with ${element.limit} permits; the request says permits = ${part.limit}.`,
      );
    }
  }
  const arrival: Arrival = {
    arrivalMs: state.clockMs - command.priority * limits.priorityStepMs,
    id: state.nextWait,
  };
  const { rollback, actor } = command;
  if (isFree(state, parts, arrival)) {
    return withTerms(state, command, {
      kind: "granted",
      request,
      parts,
      rollback,
      actor,
      reserve: false,
      upgradeOf: 0n,
    });
  }
  if (command.waitMs === 0) {
    return refuse("busy", `${parts[0]?.name ?? ""} is held or queued for.`, {
      details: { holders: holdersForDetails(state, parts) },
    });
  }
  const full = fullQueue(state, parts, limits);
  if (full !== undefined) {
    return refuse("queue_full", `${full.name} has ${full.waiting} waiters; it may have ${limits.waitersMax}.`, {
      retryAfterMs: 1_000,
    });
  }
  const { waitMs, priority } = command;
  return withTerms(state, command, {
    kind: "queued",
    request,
    parts,
    rollback,
    actor,
    reserve: false,
    upgradeOf: 0n,
    arrivalMs: arrival.arrivalMs,
    waitMs,
    priority,
  });
}

function withTerms(
  state: PartitionState,
  { terms, parts }: Acquire,
  event: LockEvent & { readonly kind: "granted" | "queued" },
): Decision {
  if (terms === undefined) return { events: [event], refusal: undefined };
  const target = nextTarget(state, parts[0]?.name ?? "", event.kind === "granted");
  return { events: [event, { kind: "terms", target, terms }], refusal: undefined };
}

/** Whether a request that just came can be granted at once: room at every element of its paths, and nobody before it. */
export function isFree(state: PartitionState, parts: readonly CommandPart[], arrival: Arrival): boolean {
  for (const part of parts) {
    const element = state.elements.get(part.name);
    if (!fits(element, part, undefined) || isCompensating(state, part.name)) return false;
    if (isQueuedBehind(state, element, part.mode, arrival)) return false;
    const intent = intentOf(part.mode);
    for (const name of ancestorsOf(part.name)) {
      const ancestor = state.elements.get(name);
      if (!fitsBelow(ancestor, part.mode)) return false;
      if (isQueuedBehind(state, ancestor, intent, arrival)) return false;
    }
  }
  return true;
}

function reenter(state: PartitionState, command: Acquire, request: EventRequest): Decision {
  const name = command.parts[0]?.name ?? "";
  const grant = currentGrant(state, name, command.reenter);
  if (grant === undefined || grant.session.number !== request.session) {
    return refuse("stale_token", `reenter = ${command.reenter} is not a current grant of ${name} in this session.`);
  }
  if (upgradeAt(grant.element)?.upgradeOf === grant) {
    return refuse(
      "bad_argument",
      "reenter: the grant waits to be upgraded, which will change its token; enter it then.",
    );
  }
  if (grant.mode !== command.parts[0]?.mode) {
    return refuse(
      "bad_argument",
      `mode: the grant to re-enter is ${MODE_NAMES[grant.mode]}; use the same mode, or upgrade it.`,
    );
  }
  return { events: [{ kind: "reentered", request, name, token: command.reenter }], refusal: undefined };
}

/** A grant by its token, not counting reserved parts. */
export function currentGrant(state: PartitionState, name: string, token: FencingToken): Grant | undefined {
  const element = state.elements.get(name);
  const grant = element === undefined ? undefined : holderByToken(element, token);
  return grant === undefined || grant.reserved ? undefined : grant;
}

/** Elements of one request must not lie in each other's path, or it would wait for itself. */
export function refuseOverlap(parts: readonly CommandPart[]): Decision | undefined {
  const names = new Set(parts.map((part) => part.name));
  if (names.size < parts.length)
    return refuse("bad_argument", "elements: a name stands there twice; each must be named once.");
  for (const part of parts) {
    const inside = ancestorsOf(part.name).find((ancestor) => names.has(ancestor));
    if (inside !== undefined) {
      return refuse("bad_argument", `elements: ${part.name} lies below ${inside}; name only one of them.`);
    }
  }
  return undefined;
}

/** An element on the paths of `parts` that has as many waiters as it may. */
export function fullQueue(
  state: PartitionState,
  parts: readonly CommandPart[],
  limits: PartitionLimits,
): Element | undefined {
  for (const part of parts) {
    for (const name of [part.name, ...ancestorsOf(part.name)]) {
      const element = state.elements.get(name);
      if (element !== undefined && element.waiting >= limits.waitersMax) return element;
    }
  }
  return undefined;
}

export function decideUpgrade(state: PartitionState, command: Upgrade, request: EventRequest): Decision {
  const grant = currentGrant(state, command.name, command.token);
  if (grant === undefined || grant.session.number !== request.session) {
    return refuse("stale_token", `token = ${command.token} is not a current grant of ${command.name} in this session.`);
  }
  if (grant.mode !== SHARED) {
    return refuse("bad_argument", `token: only a shared grant can be upgraded; this one is ${MODE_NAMES[grant.mode]}.`);
  }
  if (grant.entries > 1)
    return refuse("bad_argument", "token: the grant was re-entered; release the inner entries before an upgrade.");
  const { element } = grant;
  const rival = upgradeAt(element)?.upgradeOf;
  if (rival !== undefined) {
    return refuse(
      "deadlock",
      `Another shared holder of ${command.name} waits to upgrade: each would wait for the other.`,
      {
        details: { cycle: [grant.session.id, rival.session.id] },
      },
    );
  }
  const part = { name: command.name, mode: EXCLUSIVE, take: 1, limit: 0 } as const;
  const terms = {
    request,
    parts: [part],
    rollback: grant.rollback,
    actor: grant.actor,
    reserve: false,
    upgradeOf: grant.token,
  };
  const isAlone = fits(element, part, grant) && element.ancestors.every((ancestor) => fitsBelow(ancestor, EXCLUSIVE));
  if (isAlone) return { events: [{ kind: "granted", ...terms }], refusal: undefined };
  if (command.waitMs === 0) {
    return refuse("busy", `${command.name} has other holders.`, {
      details: { holders: holdersForDetails(state, [part]) },
    });
  }
  return {
    events: [{ kind: "queued", ...terms, arrivalMs: FIRST_OF_ALL_MS, waitMs: command.waitMs, priority: 0 }],
    refusal: undefined,
  };
}

const HOLDERS_SHOWN_MAX = 8;

/** The first grants at the elements themselves, above and below them: for people, never for decisions. */
export function blockersOf(
  state: PartitionState,
  parts: readonly Pick<EventPart, "name" | "mode">[],
): readonly Grant[] {
  const blockers: Grant[] = [];
  for (const grant of obstaclesOf(state, parts)) {
    if (blockers.length >= HOLDERS_SHOWN_MAX) break;
    blockers.push(grant);
  }
  return blockers;
}

function* obstaclesOf(
  state: PartitionState,
  parts: readonly Pick<EventPart, "name" | "mode">[],
): IterableIterator<Grant> {
  for (const { name, mode } of parts) {
    const element = state.elements.get(name);
    if (element !== undefined) {
      yield* holdersOf(element);
      yield* holdersInTheWay(element, mode);
    }
    for (const above of ancestorsOf(name)) {
      const ancestor = state.elements.get(above);
      if (ancestor !== undefined) yield* holdersOf(ancestor);
    }
  }
}

function holdersForDetails(
  state: PartitionState,
  parts: readonly CommandPart[],
): readonly Readonly<Record<string, unknown>>[] {
  return blockersOf(state, parts).map((grant) => ({
    element: grant.element.name,
    session: grant.session.id,
    token: String(grant.token),
    mode: MODE_NAMES[grant.mode],
    heldMs: Math.floor(ageOf(state, grant)),
  }));
}
