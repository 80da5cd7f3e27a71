// stuck.ts: which edges can be part of a circle at all: those that lead to actors who cannot go on by themselves. Pure.
//   S1. An actor with no edge left is free: it goes on, and gives back what it has in time. So no edge leads to one that is free.
//   S2. Who waits for any of several waits for none of them, as soon as one of them is free.
import type { WaitEdge } from "./deadlock.ts";

/** The largest part of `edges`, in their order, in which every edge leads to an actor that has edges itself. */
export function stuckEdges(edges: readonly WaitEdge[]): readonly WaitEdge[] {
  const leftByWaiter = new Map<string, Set<WaitEdge>>();
  const toBlocker = new Map<string, WaitEdge[]>();
  const byGroup = new Map<string, WaitEdge[]>();
  for (const edge of edges) {
    if (edge.waiter === edge.blocker) continue; // Nobody waits for himself, also as one of several.
    const left = leftByWaiter.get(edge.waiter);
    if (left === undefined) leftByWaiter.set(edge.waiter, new Set([edge]));
    else left.add(edge);
    addTo(toBlocker, edge.blocker, edge);
    if (edge.anyOf !== "") addTo(byGroup, groupOf(edge), edge);
  }
  const free = [...toBlocker.keys()].filter((actor) => !leftByWaiter.has(actor));
  for (let actor = free.pop(); actor !== undefined; actor = free.pop()) {
    for (const edge of toBlocker.get(actor) ?? []) {
      const left = leftByWaiter.get(edge.waiter);
      if (left === undefined || left.size === 0) continue;
      const dropped = edge.anyOf === "" ? [edge] : (byGroup.get(groupOf(edge)) ?? []); // S1, S2
      for (const each of dropped) left.delete(each);
      if (left.size === 0) free.push(edge.waiter);
    }
  }
  return edges.filter((edge) => leftByWaiter.get(edge.waiter)?.has(edge) === true);
}

/** All edges that lead on from those of `cycle`. */
export function reachableFrom(
  cycle: readonly WaitEdge[],
  edgesByWaiter: ReadonlyMap<string, readonly WaitEdge[]>,
): readonly WaitEdge[] {
  const met = new Set(cycle.map(({ waiter }) => waiter));
  const edges: WaitEdge[] = [];
  for (const actor of met)
    for (const edge of edgesByWaiter.get(actor) ?? []) {
      edges.push(edge);
      met.add(edge.blocker); // A set that grows while it is walked is walked to its end.
    }
  return edges;
}

const groupOf = ({ partition, wait, anyOf }: WaitEdge): string => `${partition}/${wait}/${anyOf}`;

function addTo<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}
