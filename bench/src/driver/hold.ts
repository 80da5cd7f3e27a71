// driver/hold.ts: acquires many names of Forelock and keeps them, so that throughput and memory can be measured beside them.

import { performance } from "node:perf_hooks";
import { connect } from "@forelock/client";
import type { HoldResult, Job } from "./job.ts";

const IN_FLIGHT = 1_024;

export async function runHold(job: Extract<Job, { kind: "hold" }>): Promise<HoldResult> {
  const clients = await Promise.all(Array.from({ length: job.connections }, () => connect(job.endpoint)));
  const startMs = performance.now();
  let next = 0;
  const slot = async (): Promise<void> => {
    while (next < job.elements) {
      const element = next;
      next += 1;
      await clients[element % clients.length]!.lock(`held/${job.prefix}/${element}`); // In range.
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, slot));
  return { kind: "hold", elapsedMs: performance.now() - startMs }; // The clients stay open: their heartbeats keep the locks.
}
