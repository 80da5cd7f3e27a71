// lock/lock-set.ts: several locks taken together, as one thing to hold and release.
import { withSignal } from "../signal.ts";
import type { Lock, LockSet, ReleaseOptions } from "./lock.ts";

export class HeldSet implements LockSet {
  readonly locks: readonly Lock[];
  #signal: AbortSignal | undefined;
  #released: Promise<void> | undefined;

  constructor(locks: readonly Lock[]) {
    this.locks = locks;
  }

  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any(this.locks.map((lock) => lock.signal));
    return this.#signal;
  }

  release(options?: ReleaseOptions): Promise<void> {
    this.#released ??= settled(this.locks.map((lock) => lock.release({ undo: options?.undo ?? false })));
    return withSignal(this.#released, options?.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settled(this.locks.map((lock) => lock[Symbol.asyncDispose]()));
  }
}

/** Waits for all, so that one failure does not hide what became of the others; then rejects with the first. */
async function settled(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === "rejected") throw result.reason;
}
