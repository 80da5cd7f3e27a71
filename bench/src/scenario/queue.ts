// scenario/queue.ts: one element with many waiters: what a hand-off costs at 1 to 1,000 of them, and what each of up to
// 100,000 costs to enqueue and drain. Both are flat when nothing in the server looks at the whole queue.

import { runJob } from "../driver/start.ts";
import { count, duration } from "../table.ts";
import { forelock, startForelock } from "../target/forelock.ts";
import type { Bench } from "./bench.ts";

export const HAND_OFF_WAITERS = [1, 10, 100, 1_000] as const;
export const DRAIN_WAITERS = [1_000, 10_000, 100_000] as const;
const CONNECTIONS_MAX = 20;
const HAND_OFFS = 500;
const DRAIN_MS_MAX = 45_000;
const WARM_UPS = 1_000;
const SESSIONS = 40; // A session may wait for 4,096 at once (operation.unansweredMax).

export const waitersLoad = (waiters: number): string => `${count(waiters)} waiters`;

export async function runHandOffScenario(bench: Bench): Promise<void> {
  if (!bench.targets.includes(forelock)) return;
  const { endpoint } = await bench.started(forelock);
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    for (const waiters of HAND_OFF_WAITERS) {
      const connections = Math.min(waiters + 1, CONNECTIONS_MAX);
      const { handOff } = await runJob(
        { kind: "hand_off", endpoint, waiters, connections, handOffs: HAND_OFFS },
        { msMax: 120_000 },
      );
      const measure = { scenario: "hand-off", target: forelock.name, load: waitersLoad(waiters) } as const;
      bench.ledger.add({ ...measure, metric: "handOffP50Ms" }, handOff.p50Ms);
      bench.ledger.add({ ...measure, metric: "handOffP99Ms" }, handOff.p99Ms);
      bench.say(
        `${repetition}/${bench.options.repetitions}  hand-off  ${measure.load}  p50 ${duration(handOff.p50Ms)}`,
      );
    }
  }
}

/** Each on a fresh server, so that no length inherits the log of another. */
export async function runWaitersScenario(bench: Bench): Promise<void> {
  if (!bench.targets.includes(forelock)) return;
  for (const size of DRAIN_WAITERS) {
    const waiters = Math.max(1, Math.round(size / bench.options.scale));
    const { endpoint, server } = await startForelock({ folder: bench.scratch.folder("waiters") });
    try {
      const job = { kind: "drain", endpoint, waiters, connections: SESSIONS, drainMsMax: DRAIN_MS_MAX } as const;
      await runJob({ ...job, waiters: WARM_UPS }, { msMax: 600_000 }); // Else the shortest queue, the base, pays for compiling.
      const result = await runJob(job, { msMax: 600_000 });
      const measure = { scenario: "waiters", target: forelock.name, load: waitersLoad(waiters) } as const; // As many as there were: a scaled run is not judged as a whole one.
      const [enqueueMs, drainMs] = [result.enqueueMs / waiters, result.drainMs / result.drained];
      bench.ledger.add({ ...measure, metric: "enqueueMsPerWaiter" }, enqueueMs);
      bench.ledger.add({ ...measure, metric: "drainMsPerWaiter" }, drainMs);
      bench.ledger.add({ ...measure, metric: "msPerWaiter" }, enqueueMs + drainMs);
      const drained = `drain ${duration(drainMs)} each (${count(result.drained)} of them)`;
      bench.say(`${count(waiters)} waiters  enqueue ${duration(enqueueMs)} each  ${drained}`);
    } finally {
      await server.stop();
    }
  }
}
