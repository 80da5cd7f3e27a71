// decide.ts (session): registration at first use, signs of life, ends. Not here: when a session has been silent too long (shard/).
//   S2. A session exists in each partition that it uses, from its first command there; one that expired there never comes back.
//   S3. Whoever sends a command is alive: its silence ends in the same decision, before the command is looked at.
import type { Decision, OwnerCommand, PartitionLimits, Refusal, SessionIdentity } from "../partition/commands.ts";
import type { PartitionEvent } from "../partition/events.ts";
import type { PartitionState, Session } from "../partition/state.ts";

const NO_EVENTS: readonly PartitionEvent[] = [];

export const NOTHING: Decision = { events: NO_EVENTS, refusal: undefined };

export function refuse(code: Refusal["code"], message: string, more?: Partial<Refusal>): Decision {
  return { events: [], refusal: { code, message, ...more } };
}

/** The session of a command, with the events that must come before the command's own. */
export type Registered =
  | {
      readonly kind: "registered";
      readonly session: Session | undefined;
      readonly number: number;
      readonly events: readonly PartitionEvent[];
    }
  | { readonly kind: "refused"; readonly decision: Decision };

export function register(state: PartitionState, identity: SessionIdentity, limits: PartitionLimits): Registered {
  const session = state.sessions.get(identity.id);
  if (session !== undefined) {
    if (session.secretHash !== identity.secretHash || session.principal !== identity.principal) {
      return {
        kind: "refused",
        decision: refuse("session_unknown", "The session belongs to another secret or principal."),
      };
    }
    // S3
    const events: readonly PartitionEvent[] =
      session.unheard || isSilent(session) ? [{ kind: "session_heard", session: session.number }] : NO_EVENTS;
    return { kind: "registered", session, number: session.number, events };
  }
  if (state.tombstones.has(identity.id)) {
    return { kind: "refused", decision: refuse("session_expired", `Session ${identity.id} has expired here.`) }; // S2
  }
  if (state.sessions.size >= limits.sessionsMax || state.tombstones.size >= limits.tombstonesMax) {
    const kept = state.sessions.size >= limits.sessionsMax ? limits.sessionsMax : limits.tombstonesMax;
    return {
      kind: "refused",
      decision: refuse("sessions_full", `The partition keeps ${kept} sessions, as many as it may.`, {
        retryAfterMs: 1_000,
      }),
    };
  }
  const opened: PartitionEvent = {
    kind: "session_opened",
    id: identity.id,
    secretHash: identity.secretHash,
    principal: identity.principal,
    client: identity.client,
    ttlMs: identity.ttlMs,
  };
  return { kind: "registered", session: undefined, number: state.nextSession, events: [opened] };
}

type SessionOwnerCommand = OwnerCommand & {
  readonly kind: "session_heard" | "session_silent" | "end_session" | "acknowledge";
};

export function decideSession(state: PartitionState, command: SessionOwnerCommand): Decision {
  const session = state.sessions.get(command.sessionId);
  if (session === undefined) return NOTHING; // It ended in the meantime: what was to be said of it holds no more.
  switch (command.kind) {
    case "session_heard":
      if (!session.unheard && !isSilent(session)) return NOTHING;
      return { events: [{ kind: "session_heard", session: session.number }], refusal: undefined };
    case "session_silent":
      if (isSilent(session)) return NOTHING;
      return {
        events: [
          {
            kind: "session_silent",
            session: session.number,
            sinceMs: Math.max(0, Math.floor(state.clockMs - command.silentMs)),
          },
        ],
        refusal: undefined,
      };
    case "end_session":
      return {
        events: [{ kind: "session_ended", session: session.number, why: command.why, reason: command.reason }],
        refusal: undefined,
      };
    case "acknowledge": {
      const below = Math.max(command.below, session.lowest);
      const settled = command.settled.filter((sequence) => session.queued.get(sequence)?.outcome !== undefined);
      const forgets = settled.length > 0 || (session.done.lowest ?? below) < below;
      if (!forgets) return NOTHING;
      return { events: [{ kind: "acknowledged", session: session.number, below, settled }], refusal: undefined };
    }
  }
}

const isSilent = (session: Session): boolean => session.silentSinceMs !== Number.POSITIVE_INFINITY;
