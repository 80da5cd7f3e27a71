// driver/cycles.ts: the one loop that drives every target: each slot acquires and releases its own name, over and over.
// Failures are not part of a rate: the first one ends the run with its message.
//   W1. One connection is warmed with many cycles under way, whatever is measured on it: with one at a time the client and a new server
//       come to a few hundred cycles before the measurement, which then tells how fast the compiler is.

import { performance } from "node:perf_hooks";
import { LatencyRecorder } from "../statistics.ts";
import { clientOf } from "../target/all.ts";
import type { LockClient } from "../target/target.ts";
import type { CyclesResult, Job } from "./job.ts";

type CyclesJob = Extract<Job, { kind: "cycles" }>;

const EXTENSIONS_MAX = 10;
const WARMING_IN_FLIGHT = 256;

export async function runCycles(
  job: CyclesJob,
  tell: (phase: "measuring" | "measured") => void,
): Promise<CyclesResult> {
  const open = clientOf(job.target);
  const clients = await Promise.all(Array.from({ length: job.connections }, () => open(job.endpoint, job.inFlight)));
  if (clients.length === 1 && clients[0] !== undefined) await warm(clients[0], job.warmUpMs);
  const run = new Run();
  const slots: Promise<void>[] = [];
  clients.forEach((client, connection) => {
    for (let slot = 0; slot < job.inFlight; slot += 1) slots.push(run.slot(client, `bench/${connection}/${slot}`));
  });
  const failed = Promise.all(slots); // Settles early only by a failure.
  await Promise.race([failed, pause(job.warmUpMs)]);
  tell("measuring");
  const cpuBefore = process.cpuUsage();
  run.start();
  await Promise.race([failed, pause(job.measureMs)]);
  // A slow target gets until every slot has finished a cycle on average: a window shorter than a cycle measures nothing.
  const deadlineMs = performance.now() + job.measureMs * EXTENSIONS_MAX;
  while (run.cycles < slots.length && performance.now() < deadlineMs) await Promise.race([failed, pause(50)]);
  const result = run.end();
  const cpu = process.cpuUsage(cpuBefore);
  tell("measured");
  await failed;
  await Promise.all(clients.map((client) => client.close()));
  return { kind: "cycles", ...result, clientCpuMs: (cpu.user + cpu.system) / 1_000 };
}

/** W1 */
async function warm(client: LockClient, ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  const slot = async (name: string): Promise<void> => {
    while (performance.now() < untilMs) await client.release(await client.acquire(name));
  };
  await Promise.all(Array.from({ length: WARMING_IN_FLIGHT }, (_, index) => slot(`bench/warm/${index}`)));
}

class Run {
  #cycle = new LatencyRecorder();
  #acquire = new LatencyRecorder();
  #startMs = 0;
  #cycles = 0;
  #phase: "warming" | "measuring" | "ended" = "warming";

  async slot(client: LockClient, name: string): Promise<void> {
    while (this.#phase !== "ended") {
      const askedMs = performance.now();
      const grant = await client.acquire(name);
      const grantedMs = performance.now();
      await client.release(grant);
      if (this.#phase !== "measuring") continue;
      this.#cycles += 1;
      this.#acquire.add(grantedMs - askedMs);
      this.#cycle.add(performance.now() - askedMs);
    }
  }

  /** Finished since the measurement began. */
  get cycles(): number {
    return this.#cycles;
  }

  start(): void {
    this.#startMs = performance.now();
    this.#phase = "measuring";
  }

  end(): Omit<CyclesResult, "kind" | "clientCpuMs"> {
    const elapsedMs = performance.now() - this.#startMs;
    this.#phase = "ended";
    const cycle = this.#cycle.summary();
    return { cycles: cycle.count, elapsedMs, cycle, acquire: this.#acquire.summary() };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
