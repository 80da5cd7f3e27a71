// lock/lock-set.ts: several locks taken together, as one thing to hold and release.
import { withSignal } from "../signal.ts";
import type { Lock, LockSet, Released, ReleaseOptions } from "./lock.ts";

export class HeldSet implements LockSet {
  readonly locks: readonly Lock[];
  #signal: AbortSignal | undefined;
  #released: Promise<Released> | undefined;

  constructor(locks: readonly Lock[]) {
    this.locks = locks;
  }

  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any(this.locks.map((lock) => lock.signal));
    return this.#signal;
  }

  release(options?: ReleaseOptions): Promise<Released> {
    this.#released ??= releaseAll(this.locks, options?.undo ?? false);
    return withSignal(this.#released, options?.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settled(this.locks.map((lock) => lock[Symbol.asyncDispose]()));
  }
}

async function releaseAll(locks: readonly Lock[], undo: boolean): Promise<Released> {
  const released = await settled(locks.map((lock) => lock.release({ undo })));
  return { undone: released.reduce((sum, { undone }) => sum + undone, 0) };
}

/** Waits for all, so that one failure does not hide what became of the others; then rejects with the first. */
async function settled<Result>(promises: readonly Promise<Result>[]): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === "rejected") throw result.reason;
    results.push(result.value);
  }
  return results;
}
