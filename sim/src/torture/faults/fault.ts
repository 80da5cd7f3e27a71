// fault.ts: what a fault is: done to a scene, for a while, undone, and proven to have happened.
//   F1. After a fault the scene is as before: the server runs, the weather is calm, the disk is honest.
//   F2. A fault that left no trace is recorded as not having happened.
import type { HistoryWriter } from "../../history/write.ts";
import type { Clock } from "../../proxy/clock.ts";
import type { Random } from "../../proxy/random.ts";
import type { Scene } from "../scene.ts";

export interface FaultContext {
  readonly scene: Scene;
  readonly clock: Clock;
  readonly random: Random;
  readonly history: HistoryWriter;
}

/** Faults of one lane exclude each other; those of different lanes meet, so that pairs of kinds happen too. */
export type Lane = "process" | "network" | "operator";

export interface Fault {
  readonly kind: string;
  readonly lane: Lane;
  /** Share among the faults of its lane. */
  readonly weight: number;
  /** Undefined when it can be done here, else why not. */
  unavailable(scene: Scene): string | undefined;
  /** @returns a word about what was seen; undefined when nothing happened (F2) */
  inflict(context: FaultContext): Promise<string | undefined>;
}

/** One line of the side file. */
export interface FaultRecord {
  readonly fault: string;
  readonly target: string;
  readonly start_ns: number;
  readonly end_ns: number;
  readonly happened: boolean;
  readonly seen: string;
}
