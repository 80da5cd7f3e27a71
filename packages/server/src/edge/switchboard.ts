// switchboard.ts: what all connections of a node share: who is connected, what is in flight, what is to be written at the
// end of this tick. Not here: one connection's conversation (connection.ts).
//   S1. A session has one operations connection: a newer one ends it, unread frames and all. Beside it there may be one from each node
//       that forwards, and one direct connection, which ends with it: whoever resumes the session takes over everything.
//   S2. Everything said in one tick of the event loop goes out together at its end.
import type { EdgeCounters } from "./counters.ts";
import type { EdgeLimits } from "./options.ts";

/** A connection as the switchboard knows it. */
export interface Connected {
  /** Writes what it has gathered. */
  flush(): void;
  /** Another connection took its session over. */
  supersede(): void;
  /** Answers what is in flight, says why, ends. Called again: ends now. */
  stop(): void;
}

/** Never what a node that forwards claims: that ends with the session's id. */
export function directClaim(sessionId: string): string {
  return `${sessionId} direct`;
}

export class Switchboard {
  readonly limits: EdgeLimits;
  readonly counters: EdgeCounters;
  readonly #connections = new Set<Connected>();
  readonly #bySession = new Map<string, Connected>();
  readonly #countByPrincipal = new Map<string, number>();
  #talkative: Connected[] = [];
  #isFlushing = false;

  constructor(limits: EdgeLimits, counters: EdgeCounters) {
    this.limits = limits;
    this.counters = counters;
  }

  add(connection: Connected): void {
    this.#connections.add(connection);
  }

  remove(connection: Connected): void {
    this.#connections.delete(connection);
  }

  all(): readonly Connected[] {
    return [...this.#connections];
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** False: the principal has as many connections as it may. */
  enter(principal: string): boolean {
    const count = this.#countByPrincipal.get(principal) ?? 0;
    if (count >= this.limits.connectionsPerPrincipalMax) return false;
    this.#countByPrincipal.set(principal, count + 1);
    return true;
  }

  leave(principal: string): void {
    const count = (this.#countByPrincipal.get(principal) ?? 1) - 1;
    if (count === 0) this.#countByPrincipal.delete(principal);
    else this.#countByPrincipal.set(principal, count);
  }

  /** Makes `connection` the operations connection of the session. */
  claim(sessionId: string, connection: Connected): void {
    const older = this.#bySession.get(sessionId);
    this.#bySession.set(sessionId, connection);
    if (older !== connection) older?.supersede(); // S1
  }

  /** Ends the direct connection of a session that was resumed. */
  endDirect(sessionId: string): void {
    this.#bySession.get(directClaim(sessionId))?.supersede(); // S1
  }

  release(sessionId: string, connection: Connected): void {
    if (this.#bySession.get(sessionId) === connection) this.#bySession.delete(sessionId);
  }

  /** Has `connection.flush` called once, at the end of this tick. */
  flushLater(connection: Connected): void {
    this.#talkative.push(connection);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    // Once no promise job is left: those of one write of the log have all been run then. Not later: nothing else is worth a wait.
    process.nextTick(this.#flushAll); // S2
  }

  readonly #flushAll = (): void => {
    this.#isFlushing = false;
    const talkative = this.#talkative;
    this.#talkative = [];
    for (const connection of talkative) connection.flush();
  };
}
