// driver/job.ts: what the benchmark and a client process say to each other over their channel.

import type { LatencySummary } from "../statistics.ts";

export type Job =
  | {
      /** Acquire and release, over and over. */
      readonly kind: "cycles";
      readonly target: string;
      readonly endpoint: string;
      readonly connections: number;
      /** Cycles under way per connection, each on a name of its own. */
      readonly inFlight: number;
      readonly warmUpMs: number;
      readonly measureMs: number;
    }
  | {
      /** Release to the next of `waiters` waiters, `handOffs` times; who released queues again. */
      readonly kind: "hand_off";
      readonly endpoint: string;
      readonly waiters: number;
      readonly connections: number;
      readonly handOffs: number;
    }
  | {
      /** Acquire `elements` names and keep them until the process is told to end. */
      readonly kind: "hold";
      readonly endpoint: string;
      /** Of the names, so that two holders do not want the same. */
      readonly prefix: string;
      readonly elements: number;
      readonly connections: number;
    }
  | {
      /** Queue `waiters` on one name, then release from one to the next until none is left. */
      readonly kind: "drain";
      readonly endpoint: string;
      readonly drainMsMax: number;
      readonly waiters: number;
      readonly connections: number;
    }
  | {
      /** Write 4 KiB durably, over and over: no lock service at all. */
      readonly kind: "disk";
      readonly folder: string;
      readonly measureMs: number;
    };

export interface CyclesResult {
  readonly kind: "cycles";
  readonly cycles: number;
  readonly elapsedMs: number;
  /** From the call of acquire to the answer of release. */
  readonly cycle: LatencySummary;
  readonly acquire: LatencySummary;
  readonly clientCpuMs: number;
}
export interface HandOffResult {
  readonly kind: "hand_off";
  /** From the call of release to the moment the next holder has its grant. */
  readonly handOff: LatencySummary;
}
export interface HoldResult {
  readonly kind: "hold";
  readonly elapsedMs: number;
}
export interface DrainResult {
  readonly kind: "drain";
  readonly enqueueMs: number;
  readonly drainMs: number;
  /** All of them, or as many as left before the time was up. */
  readonly drained: number;
}
export interface DiskResult {
  readonly kind: "disk";
  readonly write: LatencySummary;
}
export type JobResult = CyclesResult | HandOffResult | HoldResult | DrainResult | DiskResult;

export type FromClient =
  /** The warm-up is over: what follows is measured. */
  | { readonly kind: "measuring" }
  /** The measurement is over; the clients are still open. */
  | { readonly kind: "measured" }
  | { readonly kind: "done"; readonly result: JobResult }
  | { readonly kind: "failed"; readonly message: string };
