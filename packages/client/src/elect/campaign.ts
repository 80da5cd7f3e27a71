// elect/campaign.ts: standing for election: waiting for the lock, leading while it is held, again and again.
//   E1. There is at most one term at a time, and none after `resign`.
//   E2. A lost lock, or a warning, ends its term and only that: the candidate stands again, behind those who wait.
//   E3. A leader that is warned steps down: its work is told by the signal, and the lock released when the work has ended.
import type { ForelockClient } from "../client.ts";
import { ForelockError } from "../errors.ts";
import type { Lock } from "../lock/lock.ts";
import { onAbort } from "../signal.ts";
import type { Warning } from "../warning/warning.ts";
import type { Election, ElectOptions, Term } from "./election.ts";

export class Campaign implements Election {
  readonly done: Promise<void>;
  readonly #client: ForelockClient;
  readonly #name: string;
  readonly #leaving = new AbortController();
  readonly #stopListening: () => void;
  #end!: () => void; // Set by the promise's constructor, which runs at once.
  #term: LeaderTerm | undefined;

  constructor(client: ForelockClient, name: string, { signal, onElected }: ElectOptions) {
    this.#client = client;
    this.#name = name;
    this.#stopListening = signal === undefined ? () => {} : onAbort(signal, (reason) => this.#leave(reason));
    const left = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    this.done = onElected === undefined ? left : this.#run(onElected);
    this.done.catch(() => {}); // For whoever waits for it; nobody has to.
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Term> {
    try {
      for (;;) {
        const term = await this.#stand();
        if (term === undefined) return;
        yield term;
        await term.resign();
      }
    } finally {
      await this.resign();
    }
  }

  async resign(): Promise<void> {
    this.#leave(new ForelockError("cancelled", "The candidate left the election."));
    await this.#term?.resign();
    this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resign();
  }

  async #run(onElected: (term: Term) => Promise<void> | void): Promise<void> {
    try {
      for (let term = await this.#stand(); term !== undefined; term = await this.#stand()) {
        try {
          await onElected(term);
        } catch (error) {
          if (!term.isBrokenOff) throw error; // E2: work that a loss broke off may fail as it likes.
        }
        if (!term.isBrokenOff) return;
        await term.resign(); // E3
      }
    } finally {
      await this.resign();
    }
  }

  /** Waits to be elected; undefined once the candidate has left. */
  async #stand(): Promise<LeaderTerm | undefined> {
    const { signal } = this.#leaving;
    const warned = new AbortController();
    // One who was warned while it waited leads for as long as the countdown lets it.
    const onWarning = (warning: Warning): void => {
      if (!warning.isPending) warned.abort(new ForelockError("preempted", `The leader was warned: ${warning.reason}`));
    };
    try {
      const lock = await this.#client.lock(this.#name, { signal, onWarning });
      this.#term = new LeaderTerm(lock, signal, warned.signal); // E1
      return this.#term;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  #leave(reason: unknown): void {
    this.#leaving.abort(reason);
    this.#stopListening?.(); // Not set yet when the signal was aborted from the start: nothing to stop then.
  }
}

class LeaderTerm implements Term {
  readonly signal: AbortSignal;
  readonly #lock: Lock;
  readonly #warned: AbortSignal;
  readonly #resigned = new AbortController();

  constructor(lock: Lock, leaving: AbortSignal, warned: AbortSignal) {
    this.#lock = lock;
    this.#warned = warned;
    this.signal = AbortSignal.any([lock.signal, leaving, warned, this.#resigned.signal]);
  }

  get name(): string {
    return this.#lock.name;
  }

  get token(): bigint {
    return this.#lock.token;
  }

  /** It did not end by the leader's own will. */
  get isBrokenOff(): boolean {
    return this.#lock.signal.aborted || this.#warned.aborted;
  }

  async resign(): Promise<void> {
    this.#resigned.abort(new ForelockError("cancelled", "The leader resigned."));
    await this.#lock[Symbol.asyncDispose](); // A loss was told by the signal.
  }
}
