// elect/election.ts: leader election as users see it. Not here: campaigning (campaign.ts).
import type { RequestOptions } from "../lock/lock.ts";

/** One time of being the leader. */
export interface Term {
  readonly name: string;
  /** The fencing token: rises with every term of every leader. */
  readonly token: bigint;
  /**
   * Aborted when the leadership is lost or resigned, and, with `preempted`, when the leader is warned that it is in the way of others: it
   * has the time of the countdown to end its work and so step down. Stop acting as the leader.
   */
  readonly signal: AbortSignal;
  /** Hands over to the next candidate. Idempotent. */
  resign(): Promise<void>;
}

export interface ElectOptions extends RequestOptions {
  /**
   * Called with each term. When it returns while still leading, the term is resigned and the election ends; when it throws then,
   * the same, and `done` rejects. When the term was lost or warned meanwhile, whatever it does is ignored and it stands again.
   */
  readonly onElected?: (term: Term) => Promise<void> | void;
}

/**
 * Stands for election until ended. Either iterate: each step resigns the last term and waits for the next; leaving the loop
 * resigns. Or pass `onElected`.
 */
export interface Election extends AsyncIterable<Term>, AsyncDisposable {
  /** With `onElected`: settles when the election has ended. Without: never before `resign`. */
  readonly done: Promise<void>;
  /** Leaves: resigns the current term, and stands no more. Idempotent. */
  resign(): Promise<void>;
}
