// deadlock.ts: cycles among waiters, and whom to refuse. Pure; the shell gathers the edges of all partitions (shard/detector.ts).
// Who waits is an actor: a session, or a task that it named. Waiting for oneself is no cycle here: several tasks may share a session.
// Not here: edges that lead out of every circle (stuck.ts).
//   K1. Every cycle of the given edges is found, or broken by a victim of another one found before it; at most DEADLOCKS_MAX at once.
//   K2. The victim is who loses least: work under undo, and the predicted wait to get back where it waits now; of equals, who holds
//       fewest grants, then has the lowest priority, then has waited least.
//   K3. Of permits any holder may give one back: such a wait is in a circle only while all of them are.
import type { FencingToken } from "../partition/state.ts";
import { reachableFrom, stuckEdges } from "./stuck.ts";

/**
 * A wait, and what it is behind at an element: another wait, or a grant. Neither a wait nor a token ever comes back once it is gone: two
 * looks that find the same link find that it stood all the while between them.
 */
export interface WaitLink {
  readonly wait: number;
  readonly element: string;
  /** 0: a grant. */
  readonly behind: number;
  readonly token: FencingToken;
  /** Of a reserved part of a batch, which has no token yet. */
  readonly part: string;
  /** Of the grant: one that was downgraded is in fewer ways. */
  readonly mode: number;
}

/** One waiter waits for one actor that holds, or waits before it. */
export interface WaitEdge {
  readonly waiter: string;
  readonly blocker: string;
  readonly element: string;
  readonly partition: number;
  readonly wait: number;
  readonly waitedMs: number;
  readonly priority: number;
  /** Grants that the waiter's actor holds, where this edge was seen. */
  readonly heldGrants: number;
  /** Predicted loss of the waiter's actor when it is refused: see K2. */
  readonly lossMs: number;
  /** False for a part of a batch: it cannot be refused alone. */
  readonly canRefuse: boolean;
  /** Not empty: the waiter waits for any of the blockers whose edges of this wait name the same (K3). */
  readonly anyOf: string;
  /** What it rests on: it stands while these do. */
  readonly links: readonly WaitLink[];
}

export interface Deadlock {
  /** In order: each waits for the next, the last for the first. */
  readonly cycle: readonly WaitEdge[];
  readonly victim: WaitEdge;
  /** The cycle, and with K3 all edges that lead on from it: while they stand, so does it. */
  readonly proof: readonly WaitEdge[];
}

/** Cycles found in one go: each costs a pass over the edges. The others are found once these are broken. */
const DEADLOCKS_MAX = 64;

export function findDeadlocks(edges: readonly WaitEdge[]): readonly Deadlock[] {
  const isAnyOf = edges.some(({ anyOf }) => anyOf !== "");
  const refused = new Set<string>();
  const left = () => edgesByWaiter(stuckEdges(edges.filter((edge) => !refused.has(waitKey(edge)))));
  const deadlocks: Deadlock[] = [];
  for (let byWaiter = left(); ; ) {
    const cycle = deadlocks.length < DEADLOCKS_MAX ? findCycle(byWaiter, refused) : undefined;
    if (cycle === undefined) return deadlocks;
    const victim = cheapest(cycle);
    if (victim === undefined) {
      for (const edge of cycle) refused.add(waitKey(edge)); // Nobody here can be refused: do not meet it again.
      continue;
    }
    const proof = cycle.every(({ anyOf }) => anyOf === "") ? cycle : reachableFrom(cycle, byWaiter);
    deadlocks.push({ cycle, victim, proof });
    refused.add(waitKey(victim));
    if (isAnyOf) byWaiter = left(); // K3: the refused may give back what others wait for.
  }
}

function edgesByWaiter(edges: readonly WaitEdge[]): ReadonlyMap<string, readonly WaitEdge[]> {
  const byWaiter = new Map<string, WaitEdge[]>();
  for (const edge of edges) {
    const known = byWaiter.get(edge.waiter);
    if (known === undefined) byWaiter.set(edge.waiter, [edge]);
    else known.push(edge);
  }
  return byWaiter;
}

export const waitKey = (edge: WaitEdge): string => `${edge.partition}/${edge.wait}`;

/** The same for the same proof: the same waits, for the same reasons. */
export function proofKey({ proof }: Deadlock): string {
  const linkKey = ({ wait, behind, token, part, mode }: WaitLink): string =>
    behind === 0 ? `${wait}:${token}${part}.${mode}` : `${wait}<${behind}`;
  return proof
    .map((edge) => `${waitKey(edge)} ${edge.blocker} ${edge.links.map(linkKey).join()}`)
    .sort()
    .join("\n");
}

/** Depth first, without recursion: chains may be as long as there are sessions. */
function findCycle(
  edgesByWaiter: ReadonlyMap<string, readonly WaitEdge[]>,
  refused: ReadonlySet<string>,
): readonly WaitEdge[] | undefined {
  const done = new Set<string>();
  for (const start of edgesByWaiter.keys()) {
    if (done.has(start)) continue;
    const path: WaitEdge[] = [];
    const depthByActor = new Map<string, number>([[start, 0]]);
    const stack: { readonly actor: string; next: number }[] = [{ actor: start, next: 0 }];
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const edge = edgesByWaiter.get(frame.actor)?.[frame.next];
      frame.next += 1;
      if (edge === undefined) {
        done.add(frame.actor);
        depthByActor.delete(frame.actor);
        stack.pop();
        path.pop();
        continue;
      }
      if (refused.has(waitKey(edge)) || done.has(edge.blocker)) continue;
      const depth = depthByActor.get(edge.blocker);
      if (depth !== undefined) return [...path.slice(depth), edge];
      path.push(edge);
      depthByActor.set(edge.blocker, stack.length);
      stack.push({ actor: edge.blocker, next: 0 });
    }
  }
  return undefined;
}

/** K2 */
function cheapest(cycle: readonly WaitEdge[]): WaitEdge | undefined {
  let victim: WaitEdge | undefined;
  for (const edge of cycle) {
    if (!edge.canRefuse) continue;
    if (victim === undefined || isCheaper(edge, victim)) victim = edge;
  }
  return victim;
}

function isCheaper(a: WaitEdge, b: WaitEdge): boolean {
  if (a.lossMs !== b.lossMs) return a.lossMs < b.lossMs;
  if (a.heldGrants !== b.heldGrants) return a.heldGrants < b.heldGrants;
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.waitedMs !== b.waitedMs) return a.waitedMs < b.waitedMs;
  return waitKey(a) > waitKey(b);
}

/** The text is logged with the refusal, and a record has a limit; a cycle has none. */
const EDGES_TOLD_MAX = 32;

/** For the refused: the cycle, and why it was this one. */
export function describeDeadlock({ cycle, victim }: Deadlock): string {
  const loss = victim.lossMs < 1 ? "nothing" : `about ${Math.round(victim.lossMs)} ms`;
  return `Waiting in a circle: ${describeCycle(cycle)}. ${victim.waiter} was chosen as it loses least: ${loss} of work to undo and of waiting again.`;
}

/** "a waits for b at orders/1, b waits for a at orders/2": the same text for the same cycle. */
export function describeCycle(cycle: readonly WaitEdge[]): string {
  const told = cycle.slice(0, EDGES_TOLD_MAX).map(({ waiter, blocker, element }) => {
    return `${waiter} waits for ${blocker} at ${element}`;
  });
  if (cycle.length > EDGES_TOLD_MAX) told.push(`and ${cycle.length - EDGES_TOLD_MAX} more`);
  return told.join(", ");
}
