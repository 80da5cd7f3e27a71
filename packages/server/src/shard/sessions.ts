// sessions.ts: the sessions that this node knows, across partitions: who they are, where they are registered, when they were heard.
// Not here: their grants (partition state), connections (edge/). Signs of life are not logged; silence is (liveness.ts).
import { createHash, timingSafeEqual } from "node:crypto";
import { ForelockError, Health } from "@forelock/protocol";
import type { SessionIdentity } from "../partition/commands.ts";
import { LastFound } from "../partition/last-found.ts";
import type { PartitionState, Session } from "../partition/state.ts";
import type { NodeSession, NoticeSink } from "./service.ts";

export interface KnownSession extends NodeSession, SessionIdentity {
  readonly id: string;
  readonly principal: string;
  /** Where it is registered, a partition has it as it was then. */
  ttlMs: number;
  /** Partitions in which it is registered. */
  readonly partitions: Set<number>;
  /** Partitions in which it has expired since this node knows it, as the log has it. */
  readonly expired: Set<number>;
  /** Node's monotonic clock. */
  heardAtMs: number;
  /** The log notes its silence, or it was not heard since the start: the first sign of life must be logged too. */
  isSilent: boolean;
  /** Signs of life on their way to the log, and who is answered when they are there. Heartbeats are few: no limit of their own. */
  signsInFlight: number;
  readonly unanswered: (() => void)[];
  lagMs: number;
  health: Health;
  /** As the client declared it. */
  application: string;
  /** Highest sequence seen: what is above it was never asked before. */
  highest: number;
  /** Lowest sequence that the client still asks about; 0 until told. */
  lowest: number;
  /** Where its notices go. */
  sink: NoticeSink | undefined;
  connections: number;
  /** Its close has begun: whatever it still asks for is refused, so that nothing is carried out a second time under it. */
  isClosing: boolean;
}

/** Of what a partition remembers. */
function highestOf(session: Session): number {
  let highest = session.lowest - 1;
  for (const { sequence } of session.done) highest = Math.max(highest, sequence);
  for (const sequence of session.queued.keys()) highest = Math.max(highest, sequence);
  return highest;
}

export function hashSecret(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** In time that does not tell how much was right. */
export function isSecret(session: { readonly secretHash: string }, secret: Uint8Array): boolean {
  return timingSafeEqual(Buffer.from(session.secretHash, "base64url"), createHash("sha256").update(secret).digest());
}

export class SessionDirectory {
  readonly #sessions = new LastFound<string, KnownSession>();
  readonly #sessionsMax: number;

  constructor(sessionsMax: number) {
    this.#sessionsMax = sessionsMax;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): KnownSession | undefined {
    return this.#sessions.get(id);
  }

  [Symbol.iterator](): IterableIterator<KnownSession> {
    return this.#sessions.values();
  }

  /** @throws ForelockError sessions_full */
  add(identity: SessionIdentity, nowMs: number): KnownSession {
    if (this.#sessions.size >= this.#sessionsMax) {
      throw new ForelockError(
        "sessions_full",
        `The node has ${this.#sessions.size} sessions; it may have ${this.#sessionsMax}.`,
        {
          retryAfterMs: 1_000,
        },
      );
    }
    // Field by field: an object made with a spread gets a hidden class of its own, and every look at a session would miss its cache.
    const session: KnownSession = {
      id: identity.id,
      secretHash: identity.secretHash,
      principal: identity.principal,
      client: identity.client,
      ttlMs: identity.ttlMs,
      partitions: new Set(),
      expired: new Set(),
      heardAtMs: nowMs,
      isSilent: false,
      signsInFlight: 0,
      unanswered: [],
      lagMs: 0,
      health: Health.OK,
      application: "",
      highest: 0,
      lowest: 0,
      sink: undefined,
      connections: 0,
      isClosing: false,
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  /**
   * After a start: the sessions of a partition's state. Each keeps what was left of its ttl when silence was logged, at least a
   * third; where partitions differ, the longest: the one that expires it first would otherwise take its locks in the others.
   */
  restore(state: PartitionState, nowMs: number): void {
    for (const session of state.sessions.values()) {
      const silentMs = Math.max(0, state.clockMs - session.silentSinceMs);
      const heardAtMs = nowMs - Math.min(silentMs, session.ttlMs - session.ttlMs / 3);
      const known = this.#sessions.get(session.id);
      if (known !== undefined) {
        known.partitions.add(state.partition);
        known.isSilent = true; // In this partition at least nobody has heard it yet.
        known.heardAtMs = Math.max(known.heardAtMs, heardAtMs);
        known.highest = Math.max(known.highest, highestOf(session));
        continue;
      }
      this.#sessions.set(session.id, {
        id: session.id,
        secretHash: session.secretHash,
        principal: session.principal,
        client: session.client,
        ttlMs: session.ttlMs,
        partitions: new Set([state.partition]),
        expired: new Set(),
        heardAtMs,
        isSilent: true,
        signsInFlight: 0,
        unanswered: [],
        lagMs: 0,
        health: Health.OK,
        application: "",
        highest: highestOf(session),
        lowest: 0,
        sink: undefined,
        connections: 0,
        isClosing: false,
      });
    }
  }

  /** Not what was made of it anew meanwhile: nobody would ever end that. */
  remove(session: KnownSession): void {
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
  }
}
