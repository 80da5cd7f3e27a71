// detector.ts: finds waiting cycles over all partitions of the node. A cycle must be seen twice, then its cheapest waiter is refused.
// Not here: who waits for whom (wait-edges.ts), what a cycle is and who is cheapest (lock/deadlock.ts).
//   X1. Edges are of the durable past; that is why a cycle must be there again one check later, with the same waits.

import { type Deadlock, describeDeadlock, findDeadlocks } from "../lock/deadlock.ts";
import { ageOf } from "../partition/state.ts";
import type { Shard } from "./shard.ts";
import { type Actors, actorOf, hasSeveralPlaces, waitEdges } from "./wait-edges.ts";

/** Waits and edges worth the time of one check: after one that had more, as many checks are left out. */
const WORK_PER_CHECK = 20_000;

export class DeadlockDetector {
  readonly #shards: readonly Shard[];
  readonly #waitAt: (element: string) => number;
  #suspects = new Set<string>();
  #rests = 0;
  found = 0;

  /** @param waitAt predicted wait of who asks for an element anew, in milliseconds */
  constructor(shards: readonly Shard[], waitAt: (element: string) => number = () => 0) {
    this.#shards = shards;
    this.#waitAt = waitAt;
  }

  /** One check. Cheap while nobody waits who also holds. */
  check(): void {
    if (this.#rests > 0) {
      this.#rests -= 1;
      return;
    }
    const waiting = this.#shards.filter((shard) => shard.stopped === undefined && shard.state.waits.size > 0);
    if (waiting.length === 0) {
      this.#suspects.clear();
      return;
    }
    const actors = this.#actors(waiting);
    if (actors === undefined) return;
    const edges = waiting.flatMap((shard) => waitEdges(shard.state, actors));
    this.#rests = Math.floor(
      (waiting.reduce((sum, { state }) => sum + state.waits.size, 0) + edges.length) / WORK_PER_CHECK,
    );
    const suspects = new Set<string>();
    for (const deadlock of findDeadlocks(edges)) {
      const key = deadlock.cycle
        .map((edge) => `${edge.partition}/${edge.wait}`)
        .sort()
        .join();
      if (this.#suspects.has(key)) this.#refuse(deadlock);
      else suspects.add(key);
    }
    this.#suspects = suspects;
  }

  /** Who waits, and what they hold; undefined when nobody who waits holds anything. */
  #actors(waiting: readonly Shard[]): Actors | undefined {
    const sessions = new Set<string>();
    const waiters = new Set<string>();
    const queued = new Set<string>();
    for (const shard of waiting) {
      for (const wait of shard.state.waits.values()) {
        sessions.add(wait.session.id);
        waiters.add(actorOf(wait));
        if (hasSeveralPlaces(wait)) queued.add(actorOf(wait));
      }
    }
    const grantsByActor = new Map<string, number>();
    const workByActor = new Map<string, number>();
    for (const { state } of this.#shards) {
      // The smaller side leads: a hundred thousand waiters, or a few sessions over many partitions.
      const isFewHere = state.sessions.size < sessions.size;
      for (const id of isFewHere ? state.sessions.keys() : sessions) {
        if (isFewHere && !sessions.has(id)) continue;
        for (let grant = state.sessions.get(id)?.firstGrant; grant !== undefined; grant = grant.next) {
          const actor = actorOf(grant);
          grantsByActor.set(actor, (grantsByActor.get(actor) ?? 0) + 1);
          const workMs = grant.rollback ? ageOf(state, grant) : 0;
          if (workMs > 0) workByActor.set(actor, (workByActor.get(actor) ?? 0) + workMs);
        }
      }
    }
    if (grantsByActor.size === 0) return undefined;
    return {
      grantsOf: (actor) => grantsByActor.get(actor) ?? 0,
      workOf: (actor) => workByActor.get(actor) ?? 0,
      waitAt: this.#waitAt,
      waits: (actor) => waiters.has(actor),
      isInTheWay: (actor) => grantsByActor.has(actor) || queued.has(actor),
    };
  }

  #refuse(deadlock: Deadlock): void {
    const { victim } = deadlock;
    const shard = this.#shards[victim.partition];
    this.found += 1;
    shard?.submit(
      { kind: "break_deadlock", wait: victim.wait, message: describeDeadlock(deadlock) },
      () => undefined,
      () => {},
    );
  }
}
