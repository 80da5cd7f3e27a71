// wait-edges.ts: who waits for whom in one partition, as far as a cycle could go through it. Changes nothing.
// Not here: what a cycle is and who is cheapest (lock/deadlock.ts), when it is looked for (detector.ts).
//   E1. An edge means that the waiter cannot go while the blocker neither releases nor leaves: a cycle of edges ends by no other
//       way, so nobody is refused for a cycle that is none. Modes that go together make no edge.
//   E2. Only what could be part of a cycle makes an edge: the waiter is in somebody's way, the blocker waits for something. In the way is
//       who holds what somebody waits for, or stands in several queues at once; who only stands before others goes as those before it do.
//   E3. An edge names the waits and grants that it rests on. It stands exactly while they do: `standing` looks at them and nothing else.
//       One exception errs to the safe side only at a look: a waiter who falls silent holds up nobody until it is heard again.

import { holdersInTheWay, wantedAt } from "../lock/below.ts";
import type { WaitEdge, WaitLink } from "../lock/deadlock.ts";
import { isItsPhase } from "../lock/grant.ts";
import { isBefore } from "../lock/lane.ts";
import { CONFLICTS, EXCLUSIVE, intentOf, PERMIT, type QueueMode, SHARED } from "../lock/mode.ts";
import {
  type Element,
  type Grant,
  holderByToken,
  holdersOf,
  isLive,
  type PartitionState,
  type Wait,
} from "../partition/state.ts";

/** Who waits and holds, over all partitions. */
export interface Actors {
  grantsOf(actor: string): number;
  /** Milliseconds of work under grants that are undone when they are lost. */
  workOf(actor: string): number;
  /** Predicted wait of who asks for the element anew, in milliseconds. */
  waitAt(element: string): number;
  waits(actor: string): boolean;
  /** Holds what somebody waits for, or waits in several queues at once: its place in one keeps others waiting there. */
  isInTheWay(actor: string): boolean;
}

/** Actors that hold what somebody here waits for, or stand in several queues: who is in no one else's way is in no cycle (E2). */
export function addActorsInTheWay(state: PartitionState, actors: Set<string>): number {
  let work = 0;
  for (const element of state.contended) {
    const wanted = wantedAt(element);
    const below = wanted === undefined ? [] : holdersInTheWay(element, wanted, Number.POSITIVE_INFINITY);
    for (const grants of [holdersOf(element), below]) {
      for (const grant of grants) {
        work += 1;
        actors.add(actorOf(grant));
      }
    }
    for (const lane of element.lanes ?? []) {
      for (const wait of lane ?? []) {
        work += 1;
        if (hasSeveralPlaces(wait)) actors.add(actorOf(wait));
      }
    }
  }
  return work;
}

/** Whether it stands in more than one queue. */
function hasSeveralPlaces(wait: Wait): boolean {
  const [first, second] = wait.parts;
  return second !== undefined || (first?.element.ancestors.length ?? 0) > 0;
}

/** Some actors, by session: many may share one, and each session is looked at once. */
export class ActorSet {
  readonly actors: ReadonlySet<string>;
  readonly #sessions: ReadonlySet<string>;

  constructor(actors: Iterable<string>) {
    this.actors = new Set(actors);
    this.#sessions = new Set([...this.actors].map(sessionOf));
  }

  /** Theirs in one partition. */
  *waits({ sessions }: PartitionState): IterableIterator<Wait> {
    for (const id of this.#sessions)
      for (const wait of sessions.get(id)?.waits ?? []) if (this.actors.has(actorOf(wait))) yield wait;
  }

  /** Theirs in one partition. */
  *grants({ sessions }: PartitionState): IterableIterator<Grant> {
    for (const id of this.#sessions)
      for (let grant = sessions.get(id)?.firstGrant; grant !== undefined; grant = grant.next)
        if (this.actors.has(actorOf(grant))) yield grant;
  }
}

/** Ids of sessions have no slash. */
function sessionOf(actor: string): string {
  const end = actor.indexOf("/");
  return end < 0 ? actor : actor.slice(0, end);
}

export function actorOf(owner: Pick<Grant | Wait, "actor"> & { readonly session: { readonly id: string } }): string {
  return owner.actor === "" ? owner.session.id : `${owner.session.id}/${owner.actor}`;
}

/** @param waits those whose edges are wanted */
export function waitEdges(
  state: PartitionState,
  actors: Actors,
  waits: Iterable<Wait> = state.waits.values(),
): readonly WaitEdge[] {
  const looker = new Looker(state, actors);
  const edges: WaitEdge[] = [];
  for (const wait of waits) {
    const waiter = actorOf(wait);
    if (!actors.isInTheWay(waiter)) continue;
    const heldGrants = actors.grantsOf(waiter);
    const lossMs = actors.workOf(waiter) + actors.waitAt(wait.parts[0]?.element.name ?? "");
    for (const [blocker, { element, anyOf, links }] of looker.blockersOf(wait)) {
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
        anyOf,
        links,
      });
    }
  }
  return edges;
}

/** Whether a wait and all that an edge of it rests on are there (E3). */
export function standing(state: PartitionState, { wait, links }: Pick<WaitEdge, "wait" | "links">): boolean {
  return state.waits.has(wait) && links.every((link) => linkStands(state, link));
}

function linkStands(state: PartitionState, { wait: id, element: name, behind, token, part, mode }: WaitLink): boolean {
  const [wait, element] = [state.waits.get(id), state.elements.get(name)];
  if (wait === undefined || element === undefined) return false;
  if (behind === 0) {
    const grant = token === 0n ? state.parts.get(part) : holderByToken(element, token);
    return grant !== undefined && "element" in grant && grant.element === element && grant.mode === mode;
  }
  const before = state.waits.get(behind);
  return before !== undefined && isLive(before.session, state.clockMs) && !isItsPhase(wait, element);
}

/**
 * Waiters looked at before one, for each mode: with each looking at all, a long queue would cost its square. A cycle through a
 * waiter further ahead is found when that one has become a holder.
 */
const LOOKED_MAX = 32;

/** How a blocker is met first. */
interface Obstacle {
  /** Where. */
  readonly element: string;
  /** As in WaitEdge. */
  readonly anyOf: string;
  readonly links: readonly WaitLink[];
}

/** By actor. */
type Blockers = Map<string, Obstacle>;

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
        const link = { ...NO_GRANT, wait: wait.id, element: element.name, behind: before.id };
        if (this.#actors.isInTheWay(actorOf(before))) {
          add(blockers, actorOf(before), { element: element.name, anyOf: "", links: [link] });
          continue;
        }
        // Not for this one then, but for those whom it waits for itself. It stands here alone, so that this comes to an end.
        for (const [actor, at] of this.blockersOf(before)) add(blockers, actor, behind(before, at, link));
      }
    }
  }

  #holdersInTheWayOf(wait: Wait): Blockers {
    const blockers: Blockers = new Map();
    for (const part of wait.parts) if (part.mode === PERMIT) this.#addPermits(wait, part, blockers);
    for (const [element, mode] of pathsOf(wait)) {
      for (const grant of holdersOf(element)) {
        const isPermits = mode === PERMIT && grant.mode === PERMIT;
        if (grant === wait.upgradeOf || isPermits || !CONFLICTS[mode].includes(grant.mode)) continue;
        this.#addHolder(wait, grant, element, blockers);
      }
      if (mode !== EXCLUSIVE && mode !== SHARED) continue;
      for (const grant of this.#below(element)) {
        if (mode === EXCLUSIVE || grant.mode !== SHARED) this.#addHolder(wait, grant, element, blockers);
      }
    }
    return blockers;
  }

  /** E1: whoever gives permits back will do, so only one without whom there are too few is waited for; or any, when all wait. */
  #addPermits(wait: Wait, { element, take }: Wait["parts"][number], blockers: Blockers): void {
    const grantsByActor = new Map<string, Grant[]>();
    for (const grant of holdersOf(element)) {
      if (grant.mode !== PERMIT) continue;
      const actor = actorOf(grant);
      const known = grantsByActor.get(actor);
      if (known === undefined) grantsByActor.set(actor, [grant]);
      else known.push(grant);
    }
    const isStuck = [...grantsByActor.keys()].every((actor) => this.#actors.waits(actor));
    for (const [actor, grants] of grantsByActor) {
      const isNeeded = element.limit - grants.reduce((sum, grant) => sum + grant.take, 0) < take;
      if (!isStuck && !(isNeeded && this.#actors.waits(actor))) continue;
      const links = grants.map((grant) => grantLink(wait, grant));
      add(blockers, actor, { element: element.name, anyOf: isNeeded ? "" : element.name, links });
    }
  }

  #addHolder(wait: Wait, grant: Grant, { name }: Element, blockers: Blockers): void {
    const actor = actorOf(grant);
    if (!this.#actors.waits(actor)) return; // E2
    add(blockers, actor, { element: name, anyOf: "", links: [grantLink(wait, grant)] });
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

function add(blockers: Blockers, actor: string, obstacle: Obstacle): void {
  const known = blockers.get(actor);
  // To wait for one, whatever becomes of others, tells more than to wait for any of several.
  if (known === undefined || (known.anyOf !== "" && obstacle.anyOf === "")) blockers.set(actor, obstacle);
}

/** What a waiter that stands alone waits for, as seen from behind it. */
function behind({ id }: Wait, { element, anyOf, links }: Obstacle, link: WaitLink): Obstacle {
  return { element, anyOf: anyOf === "" ? "" : `${id} ${anyOf}`, links: [link, ...links] };
}

const NO_GRANT = { token: 0n, part: "", mode: EXCLUSIVE } as const;

function grantLink({ id }: Wait, grant: Grant): WaitLink {
  const { element, token, mode, reserved, requestId } = grant;
  return { wait: id, element: element.name, behind: 0, token, part: reserved ? requestId : "", mode };
}

function* pathsOf(wait: Wait): IterableIterator<readonly [Element, QueueMode]> {
  for (const { element, mode } of wait.parts) {
    yield [element, mode];
    for (const ancestor of element.ancestors) yield [ancestor, intentOf(mode)];
  }
}
