// detector.ts: finds waiting cycles over all partitions of the node. A cycle must be seen twice, then its cheapest waiter is refused.
// Not here: who waits for whom (wait-edges.ts), what a cycle is and who is cheapest (lock/deadlock.ts).
//   X1. Edges are of what is decided, which may not be durable yet: in a cluster some of it may never be. So a cycle must be there again one
//       check later, with the same waits for the same reasons, and whoever refuses sees that it stands in what is durable (wait-answers.ts).

import { type Deadlock, findDeadlocks, proofKey } from "../lock/deadlock.ts";
import { ageOf } from "../partition/state.ts";
import type { Shard } from "./shard.ts";
import { ActorSet, type Actors, actorOf, addActorsInTheWay, waitEdges } from "./wait-edges.ts";

/** Waits and edges worth the time of one check: after one that had more, as many checks are left out. */
const WORK_PER_CHECK = 20_000;

export class DeadlockDetector {
  readonly #shards: readonly Shard[];
  readonly #waitAt: (element: string) => number;
  #suspects = new Set<string>();
  #rests = 0;
  readonly #refuse: (deadlock: Deadlock) => void;

  /**
   * @param waitAt predicted wait of who asks for an element anew, in milliseconds
   * @param refuse a cycle was seen twice
   */
  constructor(shards: readonly Shard[], waitAt: (element: string) => number, refuse: (deadlock: Deadlock) => void) {
    this.#shards = shards;
    this.#waitAt = waitAt;
    this.#refuse = refuse;
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
    if (actors === undefined) {
      this.#suspects.clear();
      return;
    }
    const edges = waiting.flatMap((shard) => waitEdges(shard.state, actors));
    this.#rests = Math.floor(
      (waiting.reduce((sum, { state }) => sum + state.waits.size, 0) + edges.length) / WORK_PER_CHECK,
    );
    const suspects = new Set<string>();
    for (const deadlock of findDeadlocks(edges)) {
      const key = proofKey(deadlock);
      if (this.#suspects.has(key)) this.#refuse(deadlock);
      else suspects.add(key);
    }
    this.#suspects = suspects;
  }

  /** Who waits and is in somebody's way, and what they hold; undefined when nobody is both. */
  #actors(waiting: readonly Shard[]): Actors | undefined {
    const inTheWay = new Set<string>();
    for (const { state } of waiting) addActorsInTheWay(state, inTheWay);
    const both = new Set<string>();
    for (const { state } of waiting)
      for (const wait of state.waits.values()) if (inTheWay.has(actorOf(wait))) both.add(actorOf(wait));
    if (both.size === 0) return undefined;
    const stuck = new ActorSet(both);
    const grantsByActor = new Map<string, number>();
    const workByActor = new Map<string, number>();
    for (const { state } of this.#shards) {
      for (const grant of stuck.grants(state)) {
        const actor = actorOf(grant);
        grantsByActor.set(actor, (grantsByActor.get(actor) ?? 0) + 1);
        const workMs = grant.rollback ? ageOf(state, grant) : 0;
        if (workMs > 0) workByActor.set(actor, (workByActor.get(actor) ?? 0) + workMs);
      }
    }
    return {
      grantsOf: (actor) => grantsByActor.get(actor) ?? 0,
      workOf: (actor) => workByActor.get(actor) ?? 0,
      waitAt: this.#waitAt,
      waits: (actor) => both.has(actor),
      isInTheWay: (actor) => both.has(actor),
    };
  }
}
