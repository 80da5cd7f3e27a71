// circles.ts: who waits in a circle, over all partitions, as the log of the moment has it: looked at after every record, beside all nodes.
//   Z1. A wait is refused for a cycle only when it was in one at some moment of its life, all edges of it at once.
//   Z2. Once nothing is broken any more, no circle with a wait that can be refused stands for long. Who only stands before others is in no
//       circle by that: those behind him wait for whom he waits for.
import {
  type Actors,
  addActorsInTheWay,
  type PartitionState,
  stuckEdges,
  type WaitEdge,
  waitEdges,
} from "forelock/internal";
import { expectRule } from "../simulator/violation.ts";

/** Every edge there is: whoever stands before another counts as in his way, whatever else he holds. */
const ALL: Actors = { grantsOf: () => 0, workOf: () => 0, waitAt: () => 0, waits: () => true, isInTheWay: () => true };

const keyOf = ({ partition, wait }: Pick<WaitEdge, "partition" | "wait">): string => `p${partition} wait ${wait}`;

export class Circles {
  readonly #states: readonly PartitionState[];
  /** Since when a wait has been in a circle without a break. */
  readonly #sinceMs = new Map<string, number>();
  /** Every wait that was in one, and that still waits. */
  readonly #met = new Set<string>();
  /** Those of circles over several partitions. */
  readonly #over = new Set<string>();
  met = 0;
  broken = 0;
  brokenOver = 0;

  constructor(states: readonly PartitionState[]) {
    this.#states = states;
  }

  /** After each record. */
  look(nowMs: number): void {
    const waits = new Set<string>();
    for (const { partitions, edge } of this.#inside(ALL)) {
      const key = keyOf(edge);
      if (!this.#met.has(key)) this.met += 1;
      this.#met.add(key);
      waits.add(edge.waiter);
      if (partitions > 1) this.#over.add(key);
    }
    if (waits.size === 0) return this.#sinceMs.clear();
    const inTheWay = new Set<string>();
    for (const state of this.#states) addActorsInTheWay(state, inTheWay);
    const both = (actor: string): boolean => waits.has(actor) && inTheWay.has(actor);
    const inside = this.#inside({ ...ALL, waits: both, isInTheWay: both }).map(({ edge }) => edge);
    const standing = new Set(inside.filter(({ canRefuse }) => canRefuse).map(keyOf));
    for (const key of this.#sinceMs.keys()) if (!standing.has(key)) this.#sinceMs.delete(key);
    for (const key of standing) {
      if (!this.#sinceMs.has(key)) this.#sinceMs.set(key, nowMs);
    }
  }

  /** Edges of circles, each with the number of partitions that its circle lies over. */
  #inside(actors: Actors): readonly { readonly edge: WaitEdge; readonly partitions: number }[] {
    const edges = stuckEdges(this.#states.flatMap((state) => [...waitEdges(state, actors)]));
    const circleOf = circles(edges);
    const inside = edges.filter(({ waiter, blocker }) => circleOf.get(waiter) === circleOf.get(blocker));
    const partitionsOf = new Map<number | undefined, Set<number>>();
    for (const { waiter, partition } of inside) {
      const circle = circleOf.get(waiter);
      partitionsOf.set(circle, (partitionsOf.get(circle) ?? new Set()).add(partition));
    }
    return inside.map((edge) => ({ edge, partitions: partitionsOf.get(circleOf.get(edge.waiter))?.size ?? 0 }));
  }

  /** Z1. Before the end of the wait is applied. */
  refused(partition: number, wait: number): void {
    const key = keyOf({ partition, wait });
    expectRule(this.#met.has(key), "refused-in-no-circle", () => `${key} was refused, and was in no circle ever`);
    this.broken += 1;
    if (this.#over.has(key)) this.brokenOver += 1;
  }

  /** Z2 */
  end(nowMs: number, mostMs: number): void {
    for (const [key, sinceMs] of this.#sinceMs)
      expectRule(
        nowMs - sinceMs <= mostMs,
        "circle-stands",
        () => `${key} has been in a circle for ${nowMs - sinceMs} ms`,
      );
  }
}

/** For each actor, the number of the circle that it is in: those who wait for each other, by whatever way. Tarjan (1972). */
function circles(edges: readonly WaitEdge[]): ReadonlyMap<string, number> {
  const next = new Map<string, string[]>();
  for (const { waiter, blocker } of edges) next.set(waiter, [...(next.get(waiter) ?? []), blocker]);
  const circleOf = new Map<string, number>();
  const [index, low] = [new Map<string, number>(), new Map<string, number>()];
  const stack: string[] = [];
  const visit = (actor: string): void => {
    index.set(actor, index.size);
    low.set(actor, index.get(actor) ?? 0);
    stack.push(actor);
    for (const other of next.get(actor) ?? []) {
      if (!index.has(other)) visit(other);
      if (!circleOf.has(other)) low.set(actor, Math.min(low.get(actor) ?? 0, low.get(other) ?? 0));
    }
    if (low.get(actor) !== index.get(actor)) return;
    const circle = index.get(actor) ?? 0;
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      circleOf.set(top, circle);
      if (top === actor) return;
    }
  };
  for (const actor of next.keys()) if (!index.has(actor)) visit(actor);
  return circleOf;
}
