// histogram.ts: a distribution as steps to draw. Pure.
import type { Distribution } from "@forelock/protocol";
import type { Json } from "../wire/json.ts";

/** Left edges and what stands right of them; the last one closes the picture. */
export type Steps = readonly [xs: readonly number[], ys: readonly number[]];

/**
 * Without the empty ends. Edges at or below 0 have no place on a logarithmic axis: they are put a little left of the next.
 * @returns undefined when nothing was counted, or what came is no distribution
 */
export function stepsOf({ edgesMs = [], counts = [] }: Json<Distribution>): Steps | undefined {
  const first = counts.findIndex((value) => value > 0);
  const last = counts.findLastIndex((value) => value > 0);
  if (first < 0 || edgesMs.length < counts.length) return undefined;
  const edges = edgesMs.slice(first, last + 2).map((edge, index, all) => placeOf(edge, all[index + 1]));
  const lastEdge = edges[last - first + 1] ?? (edges[last - first] ?? 1) * 2; // An open end is drawn as wide as its start.
  const xs = [...edges.slice(0, last - first + 1), lastEdge];
  if (!isRising(xs)) return undefined;
  return [xs, [...counts.slice(first, last + 1), 0]];
}

/** @returns undefined for an edge without end, which JSON has no number for */
function placeOf(edge: number, next = 2): number | undefined {
  if (!Number.isFinite(edge)) return undefined;
  if (edge > 0) return edge;
  return next > 0 ? next / 2 : 1;
}

function isRising(xs: readonly (number | undefined)[]): xs is readonly number[] {
  return xs.every((x, index) => x !== undefined && x > (xs[index - 1] ?? 0));
}
