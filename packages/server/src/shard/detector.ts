// detector.ts: finds waiting cycles over all partitions of the node. A cycle must be seen twice, then its cheapest waiter is refused.
// Not here: what a cycle is and who is cheapest (lock/deadlock.ts).
//   X1. Edges are of the durable past; that is why a cycle must be there again one check later, with the same waits.

import { type Deadlock, describeCycle, findDeadlocks, type WaitEdge } from "../lock/deadlock.ts";
import { isBefore } from "../lock/lane.ts";
import { CONFLICTS, intentOf, type Mode, PERMIT } from "../lock/mode.ts";
import {
  type Element,
  type Grant,
  holdersOf,
  isLive,
  type PartitionState,
  type Wait,
  type WaitPart,
} from "../partition/state.ts";
import type { Shard } from "./shard.ts";

export function actorOf(owner: Pick<Grant | Wait, "actor"> & { readonly session: { readonly id: string } }): string {
  return owner.actor === "" ? owner.session.id : `${owner.session.id}/${owner.actor}`;
}

/** What is known of actors, over all partitions. */
interface Actors {
  grantsOf(actor: string): number;
  /** Holds something, or waits in several queues at once: its place in one keeps others waiting there. */
  isInTheWay(actor: string): boolean;
}

/**
 * Edges of one partition. Only actors that can be in the way of others are waited for, so the rest is left out: most queues cost
 * nothing.
 */
export function waitEdges(state: PartitionState, actors: Actors): readonly WaitEdge[] {
  const edges: WaitEdge[] = [];
  for (const wait of state.waits.values()) {
    const waiter = actorOf(wait);
    if (!actors.isInTheWay(waiter)) continue;
    const heldGrants = actors.grantsOf(waiter);
    for (const part of wait.parts) {
      for (const element of [part.element, ...part.element.ancestors]) {
        for (const blocker of blockersAt(state, element, wait, part, actors)) {
          edges.push({
            waiter,
            blocker,
            element: element.name,
            partition: state.partition,
            wait: wait.id,
            waitedMs: state.clockMs - wait.sinceMs,
            priority: wait.priority,
            heldGrants,
            canRefuse: !wait.reserve,
          });
        }
      }
    }
  }
  return edges;
}

/**
 * Waiters looked at before one: with each looking at all, a long queue would cost its square. A cycle through a waiter further ahead
 * is found when that one has become a holder.
 */
const LOOKED_MAX = 256;

/** Actors that `wait` waits for at `element`, for the sake of `part`: holders, and live waiters before it, that conflict with it. */
function blockersAt(
  state: PartitionState,
  element: Element,
  wait: Wait,
  part: WaitPart,
  actors: Actors,
): ReadonlySet<string> {
  const blockers = new Set<string>();
  const mode = element === part.element ? part.mode : intentOf(part.mode);
  const hasPermits = element.limit === part.limit && element.taken + part.take <= part.limit;
  for (const grant of holdersOf(element)) {
    if (grant === wait.upgradeOf || !CONFLICTS[mode].includes(grant.mode)) continue;
    if (mode === PERMIT && grant.mode === PERMIT && hasPermits) continue;
    blockers.add(actorOf(grant));
  }
  if (wait.upgradeOf !== undefined) return blockers; // An upgrade waits behind nobody.
  for (const other of CONFLICTS[mode]) {
    let looked = 0;
    for (const before of element.lanes?.[other] ?? []) {
      looked += 1;
      if (looked > LOOKED_MAX || before === wait || !isBefore(before, wait)) break;
      const actor = actorOf(before);
      if (actors.isInTheWay(actor) && isLive(before.session, state.clockMs)) blockers.add(actor);
    }
  }
  return blockers;
}

/** Whether it stands in more than one queue. */
function hasSeveralPlaces(wait: Wait): boolean {
  const [first, second] = wait.parts;
  return second !== undefined || (first?.element.ancestors.length ?? 0) > 0;
}

/** By element and mode asked of it, the actors that hold what conflicts below it. One pass over the elements of trees. */
function holdersBelow(state: PartitionState): (element: Element, mode: Mode) => ReadonlySet<string> {
  const grantsByElement = new Map<Element, Grant[]>();
  for (const element of state.elements.values()) {
    for (const ancestor of element.ancestors) {
      const grants = grantsByElement.get(ancestor) ?? [];
      grantsByElement.set(ancestor, grants);
      grants.push(...holdersOf(element));
    }
  }
  return (element, mode) => {
    const conflicting = grantsByElement.get(element)?.filter((grant) => CONFLICTS[mode].includes(intentOf(grant.mode)));
    return new Set(conflicting?.map(actorOf));
  };
}

export class DeadlockDetector {
  readonly #shards: readonly Shard[];
  #suspects = new Set<string>();
  found = 0;

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  /** One check. Cheap while nobody waits who also holds. */
  check(): void {
    const waiting = this.#shards.filter((shard) => shard.stopped === undefined && shard.state.waits.size > 0);
    if (waiting.length === 0) {
      this.#suspects.clear();
      return;
    }
    const grantsByActor = this.#grantsOfWaiters(waiting);
    if (grantsByActor.size === 0) return;
    const queued = new Set<string>();
    for (const { state } of waiting) {
      for (const wait of state.waits.values()) if (hasSeveralPlaces(wait)) queued.add(actorOf(wait));
    }
    const actors: Actors = {
      grantsOf: (actor) => grantsByActor.get(actor) ?? 0,
      isInTheWay: (actor) => grantsByActor.has(actor) || queued.has(actor),
    };
    const edges = [...waiting.flatMap(({ state }) => waitEdges(state, actors)), ...this.#edgesBelow(waiting, actors)];
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

  /** A waiter for an element also waits for those who hold something below it. */
  #edgesBelow(shards: readonly Shard[], actors: Actors): readonly WaitEdge[] {
    const edges: WaitEdge[] = [];
    for (const { state } of shards) {
      let below: ReturnType<typeof holdersBelow> | undefined;
      for (const wait of state.waits.values()) {
        if (!actors.isInTheWay(actorOf(wait))) continue;
        const heldGrants = actors.grantsOf(actorOf(wait));
        for (const { element, mode } of wait.parts) {
          if (element.intentExclusive + element.intentShared === 0) continue;
          below ??= holdersBelow(state);
          for (const blocker of below(element, mode)) {
            edges.push({
              waiter: actorOf(wait),
              blocker,
              element: element.name,
              partition: state.partition,
              wait: wait.id,
              waitedMs: state.clockMs - wait.sinceMs,
              priority: wait.priority,
              heldGrants,
              canRefuse: !wait.reserve,
            });
          }
        }
      }
    }
    return edges;
  }

  #grantsOfWaiters(waiting: readonly Shard[]): ReadonlyMap<string, number> {
    const sessions = new Set<string>();
    for (const shard of waiting) for (const wait of shard.state.waits.values()) sessions.add(wait.session.id);
    const grantsByActor = new Map<string, number>();
    for (const shard of this.#shards) {
      const { state } = shard;
      // The smaller side leads: a hundred thousand waiters, or a few sessions over many partitions.
      const present =
        state.sessions.size < sessions.size
          ? [...state.sessions.keys()].filter((id) => sessions.has(id))
          : [...sessions];
      for (const id of present) {
        for (let grant = state.sessions.get(id)?.firstGrant; grant !== undefined; grant = grant.next) {
          const actor = actorOf(grant);
          grantsByActor.set(actor, (grantsByActor.get(actor) ?? 0) + 1);
        }
      }
    }
    return grantsByActor;
  }

  #refuse(deadlock: Deadlock): void {
    const { victim, cycle } = deadlock;
    const shard = this.#shards[victim.partition];
    this.found += 1;
    shard?.submit(
      { kind: "break_deadlock", wait: victim.wait, message: `Waiting in a circle: ${describeCycle(cycle)}.` },
      () => undefined,
      () => {},
    );
  }
}
