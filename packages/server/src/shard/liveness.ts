// liveness.ts: notes silence and ends sessions. The owner counts from receipt on its monotonic clock; clients count from sending.
//   V1. Silence of a tenth of the ttl is logged, so that a dead session's life is bounded however often owners change.
//   V2. The first sign of life after logged silence is logged too, and acknowledged only when durable.
//   V3. Silence of the whole ttl ends the session in each partition by itself.
//   V4. Silence of a third of the ttl lets those behind it in a queue pass (L4 of lock/grant.ts): nothing else would look at them.
import type { KnownSession, SessionDirectory } from "./sessions.ts";
import type { Shard } from "./shard.ts";

const SILENCE_TTL_RATIO = 0.1;
/** The partition clock may be this much behind: looked at too soon, the session would still hold them up. */
const PASSED_OVER_AFTER_MS = 100;

export class Liveness {
  readonly #directory: SessionDirectory;
  readonly #shards: readonly Shard[];
  /** By session, the last sign of life before the silence for which it was passed over. */
  readonly #passedOverAtMs = new WeakMap<KnownSession, number>();

  constructor(directory: SessionDirectory, shards: readonly Shard[]) {
    this.#directory = directory;
    this.#shards = shards;
  }

  /** Looks at every session once; call it a few times within the shortest ttl / 10. */
  check(nowMs: number): void {
    for (const session of this.#directory) {
      const silentMs = nowMs - session.heardAtMs;
      if (silentMs < session.ttlMs * SILENCE_TTL_RATIO) continue;
      if (silentMs >= session.ttlMs) this.#expire(session);
      else if (!session.isSilent) this.#noteSilence(session, silentMs);
      else if (silentMs >= session.ttlMs / 3 + PASSED_OVER_AFTER_MS) this.#passOver(session);
    }
  }

  /**
   * Call for every frame of a session. `durable` runs when the sign of life counts: at once, or when it and every one before it that
   * must be logged are (V2). It never runs when the log fails.
   */
  heard(session: KnownSession, nowMs: number, durable?: () => void): void {
    session.heardAtMs = nowMs;
    if (session.isSilent) this.#logSign(session);
    if (durable === undefined) return;
    if (session.signsInFlight === 0) durable();
    else session.unanswered.push(durable);
  }

  #logSign(session: KnownSession): void {
    session.isSilent = false;
    for (const partition of session.partitions) {
      session.signsInFlight += 1;
      const logged = (): void => {
        session.signsInFlight -= 1;
        if (session.signsInFlight > 0) return;
        for (const answer of session.unanswered.splice(0)) answer();
      };
      this.#shards[partition]?.submit(
        { kind: "session_heard", sessionId: session.id },
        () => logged,
        // Led elsewhere now, where it must be heard anew: nothing here waits for it.
        () => session.partitions.has(partition) || logged(),
      );
    }
  }

  /** V4 */
  #passOver(session: KnownSession): void {
    if (this.#passedOverAtMs.get(session) === session.heardAtMs) return;
    this.#passedOverAtMs.set(session, session.heardAtMs);
    for (const partition of session.partitions) this.#shards[partition]?.passOver(session.id);
  }

  #noteSilence(session: KnownSession, silentMs: number): void {
    session.isSilent = true; // V1
    for (const partition of session.partitions) {
      this.#shards[partition]?.submit(
        { kind: "session_silent", sessionId: session.id, silentMs },
        () => undefined,
        () => {},
      );
    }
  }

  #expire(session: KnownSession): void {
    if (session.partitions.size === 0) {
      if (session.connections === 0) this.#directory.remove(session);
      return;
    }
    session.isSilent = true; // A sign of life that comes before the end is decided must not be acknowledged ahead of it.
    for (const partition of session.partitions) {
      this.#shards[partition]?.submit(
        { kind: "end_session", sessionId: session.id, why: "expired", reason: "" }, // V3
        () => undefined,
        () => {},
      );
    }
  }
}
