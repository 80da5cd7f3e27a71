// real-time.ts: the one real clock, and real chance. Made by main and by the entry points of tests; everything else is handed them.
import { randomBytes } from "node:crypto";
import type { Clock, RandomBytes } from "./clock.ts";
import { slicedDefer } from "./defer.ts";

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return { dispose: () => clearTimeout(timer) };
  },
};

export const realRandom: RandomBytes = (bytes) => randomBytes(bytes);

/** After the input that is already there has been read. */
export const realDefer = slicedDefer(
  (run) => setImmediate(run),
  () => performance.now(),
);
