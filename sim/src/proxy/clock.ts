// clock.ts: time as an argument for the proxy and the torture driver; entry points and their tests make the real one.

export interface Clock {
  /** Milliseconds since a fixed moment, never falling. */
  monotonicMs(): number;
  /** Calls `fire` once, `delayMs` from now. @returns a function that prevents it */
  after(delayMs: number, fire: () => void): () => void;
}

export function systemClock(): Clock {
  return {
    monotonicMs: () => performance.now(),
    after: (delayMs, fire) => {
      const timer = setTimeout(fire, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

/** Resolves `delayMs` from now, or at once when `signal` is aborted. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
