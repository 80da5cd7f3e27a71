// driver/queue.ts: drives the waiters of one Forelock element: hand-off at a steady length, and draining a long queue.
//   Q1. Time counts only once every waiter is known to stand in the queue.

import { performance } from "node:perf_hooks";
import { connect, type ForelockClient, type Lock } from "@forelock/client";
import { LatencyRecorder } from "../statistics.ts";
import type { DrainResult, HandOffResult, Job } from "./job.ts";

const NAME = "bench/queue";

/** The same number of waiters stands behind every hand-off, spread over the connections. */
export async function runHandOff(job: Extract<Job, { kind: "hand_off" }>): Promise<HandOffResult> {
  const clients = await openAll(job.endpoint, job.connections);
  const recorder = new LatencyRecorder();
  const warmUps = Math.ceil(job.handOffs / 5);
  const queue: Promise<Lock>[] = [];
  let next = 0;
  const enqueue = (): void => {
    next = (next + 1) % clients.length;
    queue.push(clients[next]!.lock(NAME)); // In range.
  };
  let held = await clients[0]!.lock(NAME); // There is one connection or more.
  for (let waiter = 0; waiter < job.waiters; waiter += 1) enqueue();
  await settled(clients); // Q1
  for (let round = 0; round < warmUps + job.handOffs; round += 1) {
    const releasedMs = performance.now();
    const released = held.release();
    held = await queue.shift()!; // Granted in order of arrival, and never empty here.
    if (round >= warmUps) recorder.add(performance.now() - releasedMs);
    await released;
    enqueue();
    await settled(clients); // Q1
  }
  await held.release();
  for (const waiting of queue) await (await waiting).release();
  await Promise.all(clients.map((client) => client.close()));
  return { kind: "hand_off", handOff: recorder.summary() };
}

export async function runDrain(job: Extract<Job, { kind: "drain" }>): Promise<DrainResult> {
  const clients = await openAll(job.endpoint, job.connections);
  const held = await clients[0]!.lock(NAME); // There is one connection or more.
  const startMs = performance.now();
  const drained: Promise<unknown>[] = [];
  for (let waiter = 0; waiter < job.waiters; waiter += 1) {
    const client = clients[waiter % clients.length]!; // In range.
    drained.push(client.lock(NAME).then((lock) => lock.release()));
  }
  await settled(clients); // Q1
  const queuedMs = performance.now();
  await held.release();
  await Promise.all(drained);
  const result: DrainResult = { kind: "drain", enqueueMs: queuedMs - startMs, drainMs: performance.now() - queuedMs };
  await Promise.all(clients.map((client) => client.close()));
  return result;
}

/** A try on the held name is refused only after everything that the same connection asked before was decided. */
async function settled(clients: readonly ForelockClient[]): Promise<void> {
  const tried = await Promise.all(clients.map((client) => client.tryLock(NAME)));
  if (tried.some((lock) => lock !== undefined)) throw new Error(`${NAME} was free while it should be held.`);
}

function openAll(endpoint: string, connections: number): Promise<readonly ForelockClient[]> {
  return Promise.all(Array.from({ length: connections }, () => connect(endpoint)));
}
