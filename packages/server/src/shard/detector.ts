// detector.ts: finds waiting cycles over all partitions of the node. A cycle must be seen twice, then its cheapest waiter is refused.
// Not here: what a cycle is and who is cheapest (lock/deadlock.ts).
//   X1. Edges are of the durable past; that is why a cycle must be there again one check later, with the same waits.

import { type Deadlock, describeCycle, findDeadlocks, type WaitEdge } from "../lock/deadlock.ts";
import { CONFLICTS, QUEUE_MODES } from "../lock/mode.ts";
import { type Element, type Grant, holdersOf, type PartitionState, type Wait } from "../partition/state.ts";
import type { Shard } from "./shard.ts";

export function actorOf(owner: Pick<Grant | Wait, "actor"> & { readonly session: { readonly id: string } }): string {
  return owner.actor === "" ? owner.session.id : `${owner.session.id}/${owner.actor}`;
}

/** Edges of one partition. Only actors that hold something can be waited for, so the rest is left out: most queues cost nothing. */
export function waitEdges(state: PartitionState, holds: (actor: string) => number): readonly WaitEdge[] {
  const edges: WaitEdge[] = [];
  const seen = new Set<Element>();
  for (const wait of state.waits.values()) {
    const waiter = actorOf(wait);
    const held = holds(waiter);
    if (held === 0) continue;
    for (const part of wait.parts) {
      for (const element of [part.element, ...part.element.ancestors]) {
        for (const blocker of blockersAt(element, wait, holds)) {
          edges.push({
            waiter,
            blocker,
            element: element.name,
            partition: state.partition,
            wait: wait.id,
            waitedMs: state.clockMs - wait.sinceMs,
            priority: wait.priority,
            heldGrants: held,
            canRefuse: !wait.reserve,
          });
        }
        seen.add(element);
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

/** Actors that `wait` waits for at `element`: its holders, holders below it, and conflicting waiters before it that hold anything. */
function blockersAt(element: Element, wait: Wait, holds: (actor: string) => number): ReadonlySet<string> {
  const blockers = new Set<string>();
  for (const grant of holdersOf(element)) if (grant !== wait.upgradeOf) blockers.add(actorOf(grant));
  const mode = wait.parts.find((part) => part.element === element)?.mode;
  for (const other of mode === undefined ? QUEUE_MODES : CONFLICTS[mode]) {
    let looked = 0;
    for (const before of element.lanes?.[other] ?? []) {
      looked += 1;
      if (looked > LOOKED_MAX) break;
      if (before === wait || before.id > wait.id) continue;
      const actor = actorOf(before);
      if (holds(actor) > 0) blockers.add(actor);
    }
  }
  return blockers;
}

/** By element, the actors that hold anything below it. One pass over the elements of trees. */
function holdersBelow(state: PartitionState): ReadonlyMap<Element, ReadonlySet<string>> {
  const actorsByElement = new Map<Element, Set<string>>();
  for (const element of state.elements.values()) {
    for (const ancestor of element.ancestors) {
      const actors = actorsByElement.get(ancestor) ?? new Set();
      actorsByElement.set(ancestor, actors);
      for (const grant of holdersOf(element)) actors.add(actorOf(grant));
    }
  }
  return actorsByElement;
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
    const holds = (actor: string): number => grantsByActor.get(actor) ?? 0;
    const edges = [...waiting.flatMap((shard) => waitEdges(shard.state, holds)), ...this.#edgesBelow(waiting, holds)];
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
  #edgesBelow(shards: readonly Shard[], holds: (actor: string) => number): readonly WaitEdge[] {
    const edges: WaitEdge[] = [];
    for (const { state } of shards) {
      let below: ReadonlyMap<Element, ReadonlySet<string>> | undefined;
      for (const wait of state.waits.values()) {
        const heldGrants = holds(actorOf(wait));
        if (heldGrants === 0) continue;
        for (const { element } of wait.parts) {
          if (element.intentExclusive + element.intentShared === 0) continue;
          below ??= holdersBelow(state);
          for (const blocker of below.get(element) ?? []) {
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
