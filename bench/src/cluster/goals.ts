// goals.ts: what a cluster has to reach, and the numbers of a run as one object. Pure.

import { type Judgement, judgementOf } from "../goals.ts";
import { median, quantileOfSorted } from "../statistics.ts";
import { FULL_APPEND_MB } from "./options.ts";
import type { CyclesFound, Found } from "./run.ts";

/** `null`: not measured in this run. */
export interface ClusterResults {
  readonly ratios: { readonly etcd3Lock: number | null; readonly sharedLease: number | null };
  readonly move: { readonly pauseMsP99: number | null; readonly failed: number | null };
  readonly ownerDeath: { readonly pauseMsMax: number | null };
  readonly etcd: { readonly fileMb: number | null };
}

export const ETCD3_LOCK_RATIO = 15;
export const SHARED_LEASE_RATIO = 8;
export const MOVE_PAUSE_MS = 20;
export const DEATH_OVER_LEASE_MS = 500;
export const FILE_MB = 512;

export function resultsOf({ ratios, moves, deaths, growth }: Found): ClusterResults {
  const over = (peer: "etcd3" | "shared-lease"): number | null =>
    ratios === undefined ? null : median(ratios.forelock.perSecond) / median(ratios[peer].perSecond);
  return {
    ratios: { etcd3Lock: over("etcd3"), sharedLease: over("shared-lease") },
    move: { pauseMsP99: moves === undefined ? null : p99(moves.pausesMs), failed: moves?.failed ?? null },
    ownerDeath: { pauseMsMax: deaths === undefined ? null : Math.max(...deaths.pausesMs) },
    etcd: { fileMb: growth?.fileMb ?? null },
  };
}

export function p99(values: readonly number[]): number {
  return quantileOfSorted(Float64Array.from(values).sort(), 0.99);
}

export function judgeCluster(found: Found, leaseMs: number): readonly Judgement[] {
  const { ratios, move, ownerDeath, etcd } = resultsOf(found);
  const pairs = (peer: "etcd3" | "shared-lease"): readonly number[] | undefined =>
    found.ratios === undefined ? undefined : pairedRatios(found.ratios.forelock, found.ratios[peer]);
  const judged = (reached: number | null, goal: Parameters<typeof judgementOf>[0], repetitions?: readonly number[]) =>
    reached === null ? [] : [judgementOf(goal, reached, repetitions)];
  const atMost = (goal: string, bound: number) => ({ goal, bound, atLeast: false, unit: "number" }) as const;
  const appendedMb = found.growth?.appendedMb ?? FULL_APPEND_MB;
  const short = appendedMb < FULL_APPEND_MB ? `; the goal is for ${FULL_APPEND_MB}` : "";
  const cycles = (peer: string, bound: number) =>
    ({ goal: `256 in flight: cycles against ${peer}`, bound, atLeast: true, unit: "ratio" }) as const;
  return [
    ...judged(ratios.etcd3Lock, cycles("etcd3's lock (aim: 30x)", ETCD3_LOCK_RATIO), pairs("etcd3")),
    ...judged(
      ratios.sharedLease,
      cycles("a shared lease and put-if-absent", SHARED_LEASE_RATIO),
      pairs("shared-lease"),
    ),
    ...judged(move.pauseMsP99, atMost("planned move: p99 of the pause, ms", MOVE_PAUSE_MS)),
    ...judged(move.failed, atMost("planned move: failed requests", 0)),
    ...judged(
      ownerDeath.pauseMsMax,
      atMost("death of an owner: the longest pause, ms", leaseMs + DEATH_OVER_LEASE_MS),
      found.deaths?.pausesMs,
    ),
    ...judged(
      etcd.fileMb,
      atMost(`${Math.round(appendedMb)} MB appended: the largest file of etcd, MB${short}`, FILE_MB),
    ),
  ];
}

function pairedRatios(one: CyclesFound, other: CyclesFound): readonly number[] {
  return one.perSecond.map((perSecond, index) => perSecond / (other.perSecond[index] ?? Number.NaN));
}
