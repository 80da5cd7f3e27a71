// real-time.ts: the one real clock, and real chance. Made by main and by the entry points of tests; everything else is handed them.
import { randomBytes } from "node:crypto";
import type { Clock, RandomBytes } from "./clock.ts";

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return { dispose: () => clearTimeout(timer) };
  },
};

export const realRandom: RandomBytes = (bytes) => randomBytes(bytes);

let deferred: (() => void)[] = [];

/**
 * After the input that is already there has been read. All that was asked for by then runs in one go, with no promise job in
 * between: partitions whose turns come together append together, and share one write of the log.
 */
export const realDefer = (run: () => void): void => {
  if (deferred.push(run) === 1) setImmediate(runDeferred);
};

function runDeferred(): void {
  const due = deferred;
  deferred = [];
  let at = 0;
  try {
    while (at < due.length) due[at++]?.();
  } finally {
    for (; at < due.length; at++) realDefer(due[at]!); // One failed, and is reported as what it is; the others are due all the same.
  }
}
