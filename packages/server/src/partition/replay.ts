// replay.ts: a record of the log, applied to the state before it. Not here: where records come from (shard/recovery.ts).
//   Y1. The same records give the same states, whoever replays them.
import { grantByHalves, grantPlain, releasePlain } from "../lock/apply.ts";
import { apply } from "./apply.ts";
import { decodeFields } from "./codec.ts";
import type { PartitionEvent } from "./events.ts";
import type { Observer } from "./observer.ts";
import { sessionOf } from "./operations.ts";
import type { PlainEvents } from "./plain.ts";
import type { PartitionState } from "./state.ts";

/** Of one partition. */
export class Replay implements PlainEvents {
  readonly state: PartitionState;
  readonly #observer: Observer;
  readonly #each = (event: PartitionEvent): void => apply(this.state, event, this.#observer);

  constructor(state: PartitionState, observer: Observer) {
    this.state = state;
    this.#observer = observer;
  }

  /** @returns how many events the record held */
  take(elapsedMs: number, events: Uint8Array): number {
    this.state.clockMs += elapsedMs;
    return decodeFields(events, this, this.#each);
  }

  granted(session: number, sequence: number, digest: number, name: string): void {
    grantPlain(this.state, sessionOf(this.state, session), sequence, digest, name);
  }

  released(session: number, sequence: number, digest: number, name: string, low: number, high: number): void {
    const grant = grantByHalves(this.state, name, low, high);
    releasePlain(this.state, sessionOf(this.state, session), sequence, digest, grant, this.#observer);
  }
}
