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
  const granted: Lock[] = []; // One at most: there is one holder.
  let wake = (): void => undefined;
  let turn = 0;
  const enqueue = (): void => {
    turn = (turn + 1) % clients.length;
    // Whoever is granted, is: requests of several connections reach the server in any order.
    const waiter = clients[turn]!.lock(NAME); // In range.
    void waiter.then((lock) => {
      granted.push(lock);
      wake();
    });
  };
  const nextGrant = async (): Promise<Lock> => {
    while (granted.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return granted.pop()!; // Not empty.
  };
  let held = await clients[0]!.lock(NAME); // There is one connection or more.
  for (let waiter = 0; waiter < job.waiters; waiter += 1) enqueue();
  await settled(clients); // Q1
  for (let round = 0; round < warmUps + job.handOffs; round += 1) {
    const releasedMs = performance.now();
    const released = held.release();
    held = await nextGrant();
    if (round >= warmUps) recorder.add(performance.now() - releasedMs);
    await released;
    enqueue();
    await settled(clients); // Q1
  }
  for (let left = job.waiters; left > 0; left -= 1) {
    await held.release();
    held = await nextGrant();
  }
  await held.release();
  await Promise.all(clients.map((client) => client.close()));
  return { kind: "hand_off", handOff: recorder.summary() };
}

/** Every grant is released at once, until the queue is empty or the time is up: at 100,000 a slow server would take all day. */
export async function runDrain(job: Extract<Job, { kind: "drain" }>): Promise<DrainResult> {
  const clients = await openAll(job.endpoint, job.connections);
  const held = await clients[0]!.lock(NAME); // There is one connection or more.
  const startMs = performance.now();
  let queuedMs = startMs;
  let drained = 0;
  let finish = (): void => undefined;
  let fail = (_: unknown): void => undefined;
  const finished = new Promise<void>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  finished.catch(() => undefined); // Awaited below; until then a failure waits there.
  let isOver = false;
  for (let waiter = 0; waiter < job.waiters; waiter += 1) {
    const client = clients[waiter % clients.length]!; // In range.
    const leave = async (lock: Lock): Promise<void> => {
      if (isOver) return;
      await lock.release();
      drained += 1;
      if (drained === job.waiters || performance.now() - queuedMs > job.drainMsMax) finish();
    };
    client
      .lock(NAME)
      .then(leave)
      .catch((error: unknown) => {
        if (!isOver) fail(error); // What still waits when it is over is refused by the close below.
      });
  }
  await settled(clients); // Q1
  queuedMs = performance.now();
  await held.release();
  await finished;
  isOver = true;
  const result: DrainResult = {
    kind: "drain",
    enqueueMs: queuedMs - startMs,
    drainMs: performance.now() - queuedMs,
    drained,
  };
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
