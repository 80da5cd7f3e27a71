// timeline.ts: what became of partitions on this node, and whom it missed, newest last, for operators.
import type { Clock } from "../clock.ts";

export interface Move {
  /** 0 where it concerns none. */
  readonly partition: number;
  /**
   * `took_over` from a silent owner, `received` from a living one, `gave`; `fenced` and `lost`: another owner was there. Of no partition:
   * `suspected`: the other node was not heard from directly; `heard`: it was again.
   */
  readonly kind: "took_over" | "received" | "gave" | "fenced" | "lost" | "suspected" | "heard";
  /** The other node; empty when there is none. */
  readonly node: string;
  readonly epoch: number;
  /** From the decision to service, or to the end of it; of a suspicion, how long the node was silent. */
  readonly ms: number;
  readonly wallMs: number;
}

export class Timeline {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #moves: Move[] = [];
  /** Since the start, those included that are forgotten. */
  readonly counts: Record<Move["kind"], number> = {
    ...{ took_over: 0, received: 0, gave: 0, fenced: 0, lost: 0, suspected: 0, heard: 0 },
  };

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  /** The oldest is forgotten at the limit. */
  add(move: Omit<Move, "wallMs">): void {
    this.counts[move.kind] += 1;
    this.#moves.push({ ...move, wallMs: this.#clock.wallMs() });
    if (this.#moves.length > this.#most) this.#moves.shift();
  }

  get moves(): readonly Move[] {
    return this.#moves;
  }
}
