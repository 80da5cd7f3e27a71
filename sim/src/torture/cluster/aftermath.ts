// aftermath.ts: what came of a fault, from the history and the changes of owners: who took over, and how long nobody was answered.
// Pure.
import type { HistoryLine } from "../../history/record.ts";
import type { FaultRecord } from "../faults/fault.ts";
import type { OwnerChange } from "./owners.ts";

export interface ClusterFaultRecord extends FaultRecord {
  /** Partitions by their new owner, from its begin until a while after its end; faults beside it have their part in it. */
  readonly owners: Readonly<Record<string, readonly number[]>>;
  /** The longest time without an answer about one element that reaches into it, in ns, and which one. */
  readonly pause_ns: number;
  readonly pause_key: string;
}

/** A node is missed after a lease, and its partitions are taken over soon after that. */
const FOLLOWED_NS = 3_000e6;
const OPS = new Set(["acquire", "release", "append"]);

export function aftermathOf(
  faults: readonly FaultRecord[],
  lines: readonly HistoryLine[],
  changes: readonly OwnerChange[],
  keys: readonly string[],
): readonly ClusterFaultRecord[] {
  const answers = answersOf(lines, keys);
  return faults.map((fault) => {
    const until = fault.end_ns + FOLLOWED_NS;
    const owners: Record<string, number[]> = {};
    for (const { atNs, partition, to } of changes) {
      if (atNs < fault.start_ns || atNs > until) continue;
      owners[to] = [...new Set([...(owners[to] ?? []), partition])];
    }
    let [pause_ns, pause_key] = [0, ""];
    for (const [key, times] of answers) {
      const gap = longestGap(times, fault.start_ns, fault.end_ns);
      if (gap > pause_ns) [pause_ns, pause_key] = [gap, key];
    }
    return { ...fault, owners, pause_ns, pause_key };
  });
}

/** When answers came, ascending. */
function answersOf(lines: readonly HistoryLine[], keys: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const times = new Map<string, number[]>(keys.map((key) => [key, []]));
  for (const { op, key, status, returnNs } of lines) {
    if (status === "ok" && returnNs !== undefined && OPS.has(op)) times.get(key)?.push(returnNs);
  }
  for (const list of times.values()) list.sort((a, b) => a - b);
  return times;
}

/** Between two answers, whole, where any of it is between `from` and `to`. */
function longestGap(times: readonly number[], from: number, to: number): number {
  let longest = 0;
  for (let index = 1; index < times.length; index += 1) {
    const [before, after] = [times[index - 1] ?? 0, times[index] ?? 0];
    if (after < from) continue;
    if (before > to) break;
    longest = Math.max(longest, after - before);
  }
  return longest;
}
