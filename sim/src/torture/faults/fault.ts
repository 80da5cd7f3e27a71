// fault.ts: what a fault is: done to a place (one server, or a cluster), for a while, undone, and proven to have happened.
//   F1. After a fault the place is as before: servers run, the weather is calm, the disk is honest.
//   F2. A fault that left no trace is recorded as not having happened.
import type { HistoryWriter } from "../../history/write.ts";
import type { Clock } from "../../proxy/clock.ts";
import type { Random } from "../../proxy/random.ts";
import type { Scene } from "../scene.ts";

export interface FaultContext<Place = Scene> {
  readonly scene: Place;
  readonly clock: Clock;
  readonly random: Random;
  readonly history: HistoryWriter;
}

/** Faults of one lane exclude each other; those of different lanes meet, so that pairs of kinds happen too. */
export interface Lane<Place = Scene> {
  readonly name: string;
  /** Between two faults: clients must get to work, or everything is `unknown`. */
  readonly calmMs: readonly [least: number, most: number];
  /** Whom its faults befall, where they do not say so themselves. */
  readonly target: string;
  /** What happens to a network that carries nothing proves nothing. */
  readonly isReady: (scene: Place) => boolean;
}

export interface Fault<Place = Scene> {
  readonly kind: string;
  /** Name of its lane. */
  readonly lane: string;
  /** Share among the faults of its lane. */
  readonly weight: number;
  /** Undefined when it can be done here, else why not. */
  unavailable(scene: Place): string | undefined;
  /** Whom it befalls now, by the seed. */
  aim?(context: FaultContext<Place>): string;
  /** @param target as aimed @returns a word about what was seen; undefined when nothing happened (F2) */
  inflict(context: FaultContext<Place>, target: string): Promise<string | undefined>;
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
