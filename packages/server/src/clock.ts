// clock.ts: time and chance as arguments. Only main.ts and the entry points of sim and bench make real ones.

/** The time of one node. Tests and the simulator pass a manual one. */
export interface Clock {
  /** Milliseconds since the Unix epoch. Can jump either way: for logs and people only. */
  wallMs(): number;
  /** Milliseconds since a fixed moment, never falling. For every lease, countdown and duration. */
  monotonicMs(): number;
  /** Calls `fire` once, `delayMs` from now, unless disposed first. */
  after(delayMs: number, fire: () => void): Timer;
}

/** A pending call of `Clock.after`. */
export interface Timer {
  /** Idempotent; a disposed timer never fires. */
  dispose(): void;
}

/** Bytes nobody can guess. Tests pass a seeded one. */
export type RandomBytes = (bytes: number) => Uint8Array;

/** Resolves `ms` from now. For loops that end by themselves: nothing ends the pause sooner. */
export function pauseFor(clock: Pick<Clock, "after">, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Calls `run` every `everyMs` from now on, until it is disposed of. The next call is set before this one runs. */
export function repeat(clock: Pick<Clock, "after">, everyMs: number, run: () => void): Timer {
  let next: Timer;
  const again = (): void => {
    next = clock.after(everyMs, () => {
      again();
      run();
    });
  };
  again();
  return { dispose: () => next.dispose() };
}
