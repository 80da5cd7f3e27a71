// wait-edges.ts: who waits for whom in one partition, as far as a cycle could go through it. Changes nothing.
// Not here: what a cycle is and who is cheapest (lock/deadlock.ts), when it is looked for (detector.ts).
//   E1. An edge means that the waiter cannot go while the blocker neither releases nor leaves: a cycle of edges ends by no other
//       way, so nobody is refused for a cycle that is none. Modes that go together make no edge.
//   E2. Only what could be part of a cycle makes an edge: the waiter is in somebody's way, the blocker waits for something.

import { holdersInTheWay } from "../lock/below.ts";
import type { WaitEdge } from "../lock/deadlock.ts";
import { isItsPhase } from "../lock/grant.ts";
import { isBefore } from "../lock/lane.ts";
import { CONFLICTS, EXCLUSIVE, intentOf, PERMIT, type QueueMode, SHARED } from "../lock/mode.ts";
import { type Element, type Grant, holdersOf, isLive, type PartitionState, type Wait } from "../partition/state.ts";

/** Who waits and holds, over all partitions. */
export interface Actors {
  grantsOf(actor: string): number;
  /** Milliseconds of work under grants that are undone when they are lost. */
  workOf(actor: string): number;
  /** Predicted wait of who asks for the element anew, in milliseconds. */
  waitAt(element: string): number;
  waits(actor: string): boolean;
  /** Holds something, or waits in several queues at once: its place in one keeps others waiting there. */
  isInTheWay(actor: string): boolean;
}

/** Whether it stands in more than one queue. */
export function hasSeveralPlaces(wait: Wait): boolean {
  const [first, second] = wait.parts;
  return second !== undefined || (first?.element.ancestors.length ?? 0) > 0;
}

export function actorOf(owner: Pick<Grant | Wait, "actor"> & { readonly session: { readonly id: string } }): string {
  return owner.actor === "" ? owner.session.id : `${owner.session.id}/${owner.actor}`;
}

export function waitEdges(state: PartitionState, actors: Actors): readonly WaitEdge[] {
  const looker = new Looker(state, actors);
  const edges: WaitEdge[] = [];
  for (const wait of state.waits.values()) {
    const waiter = actorOf(wait);
    if (!actors.isInTheWay(waiter)) continue;
    const heldGrants = actors.grantsOf(waiter);
    const lossMs = actors.workOf(waiter) + actors.waitAt(wait.parts[0]?.element.name ?? "");
    for (const [blocker, element] of looker.blockersOf(wait)) {
      edges.push({
        waiter,
        blocker,
        element,
        partition: state.partition,
        wait: wait.id,
        waitedMs: state.clockMs - wait.sinceMs,
        priority: wait.priority,
        heldGrants,
        lossMs,
        canRefuse: !wait.reserve,
      });
    }
  }
  return edges;
}

/**
 * Waiters looked at before one, for each mode: with each looking at all, a long queue would cost its square. A cycle through a
 * waiter further ahead is found when that one has become a holder.
 */
const LOOKED_MAX = 32;

/** By actor, the element at which it is met first. */
type Blockers = Map<string, string>;

class Looker {
  readonly #state: PartitionState;
  readonly #actors: Actors;
  readonly #known = new Map<Wait, Blockers>();
  readonly #belowByElement = new Map<Element, readonly Grant[]>();

  constructor(state: PartitionState, actors: Actors) {
    this.#state = state;
    this.#actors = actors;
  }

  blockersOf(wait: Wait): Blockers {
    const known = this.#known.get(wait);
    if (known !== undefined) return known;
    const blockers = this.#holdersInTheWayOf(wait);
    this.#known.set(wait, blockers);
    for (const [element, mode] of pathsOf(wait)) {
      const isNextHere = mode === SHARED && isItsPhase(wait, element);
      if (!isNextHere && wait.upgradeOf === undefined) this.#addWaitersBefore(wait, element, mode, blockers);
    }
    return blockers;
  }

  #addWaitersBefore(wait: Wait, element: Element, mode: QueueMode, blockers: Blockers): void {
    for (const other of CONFLICTS[mode]) {
      let looked = 0;
      for (const before of element.lanes?.[other] ?? []) {
        looked += 1;
        if (looked > LOOKED_MAX || !isBefore(before, wait)) break;
        if (!isLive(before.session, this.#state.clockMs)) continue; // It holds up nobody.
        if (this.#actors.isInTheWay(actorOf(before))) add(blockers, actorOf(before), element);
        // Not for this one then, but for those whom it waits for itself. It stands here alone, so that this comes to an end.
        else for (const [actor, at] of this.blockersOf(before)) if (!blockers.has(actor)) blockers.set(actor, at);
      }
    }
  }

  #holdersInTheWayOf(wait: Wait): Blockers {
    const blockers: Blockers = new Map();
    for (const part of wait.parts) if (part.mode === PERMIT) this.#addPermits(part, blockers);
    for (const [element, mode] of pathsOf(wait)) {
      for (const grant of holdersOf(element)) {
        const isPermits = mode === PERMIT && grant.mode === PERMIT;
        if (grant === wait.upgradeOf || isPermits || !CONFLICTS[mode].includes(grant.mode)) continue;
        this.#addHolder(grant, element, blockers);
      }
      if (mode !== EXCLUSIVE && mode !== SHARED) continue;
      for (const grant of this.#below(element)) {
        if (mode === EXCLUSIVE || grant.mode !== SHARED) this.#addHolder(grant, element, blockers);
      }
    }
    return blockers;
  }

  /** E1: whoever gives permits back will do, so only one without whom there are too few is waited for; or all, when all wait. */
  #addPermits({ element, take }: Wait["parts"][number], blockers: Blockers): void {
    const takenByActor = new Map<string, number>();
    for (const grant of holdersOf(element)) {
      if (grant.mode !== PERMIT) continue;
      const actor = actorOf(grant);
      takenByActor.set(actor, (takenByActor.get(actor) ?? 0) + grant.take);
    }
    const isStuck = [...takenByActor.keys()].every((actor) => this.#actors.waits(actor));
    for (const [actor, taken] of takenByActor) {
      const isNeeded = element.limit - taken < take;
      if (isStuck || (isNeeded && this.#actors.waits(actor))) add(blockers, actor, element);
    }
  }

  #addHolder(grant: Grant, element: Element, blockers: Blockers): void {
    const actor = actorOf(grant);
    if (this.#actors.waits(actor)) add(blockers, actor, element); // E2
  }

  /** All of them: a cycle that is not seen stays for ever. */
  #below(element: Element): readonly Grant[] {
    let below = this.#belowByElement.get(element);
    if (below === undefined) {
      below = [...holdersInTheWay(element, EXCLUSIVE, Number.POSITIVE_INFINITY)];
      this.#belowByElement.set(element, below);
    }
    return below;
  }
}

function add(blockers: Blockers, actor: string, { name }: Element): void {
  if (!blockers.has(actor)) blockers.set(actor, name);
}

function* pathsOf(wait: Wait): IterableIterator<readonly [Element, QueueMode]> {
  for (const { element, mode } of wait.parts) {
    yield [element, mode];
    for (const ancestor of element.ancestors) yield [ancestor, intentOf(mode)];
  }
}
