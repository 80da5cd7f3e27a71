// run.ts: what every part of `bench cluster` gets, and what all of them found out.

import type { Scratch } from "../scratch.ts";
import type { ClusterOptions } from "./options.ts";

export interface ClusterRun {
  readonly options: ClusterOptions;
  readonly scratch: Scratch;
  /** Progress, for people. */
  say(line: string): void;
}

/** Of one kind of cycle, in the order of the repetitions. */
export interface CyclesFound {
  readonly perSecond: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the client, the nodes and the members together, for one cycle. */
  readonly cpuMsPerCycle: number;
}

export interface MovesFound {
  /** The longest time around each move in which nobody was answered by the partition. */
  readonly pausesMs: readonly number[];
  /** The same in as much time without a move, just before. */
  readonly quietMs: readonly number[];
  /** Of the client that waited longest between two answers, the time between two of its requests included. */
  readonly clientMs: readonly number[];
  readonly quietClientMs: readonly number[];
  readonly asked: number;
  readonly failed: number;
  readonly failure: string | undefined;
  /** Were ordered, and did not come about in time. */
  readonly missing: number;
}

export interface DeathsFound {
  readonly pausesMs: readonly number[];
  readonly asked: number;
  readonly failed: number;
  readonly failure: string | undefined;
}

export interface GrowthFound {
  readonly appendedMb: number;
  /** The largest that a member's file has been. */
  readonly fileMb: number;
  readonly seconds: number;
  readonly lockCycles: number;
  readonly failed: number;
  readonly failure: string | undefined;
}

export interface Found {
  ratios?: Readonly<Record<"forelock" | "etcd3" | "shared-lease", CyclesFound>> | undefined;
  moves?: MovesFound | undefined;
  deaths?: DeathsFound | undefined;
  growth?: GrowthFound | undefined;
}

/** What went wrong, and what made it so. */
export function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${whyOf(error.cause)})`;
}
