// threads.ts: the processor time of each thread of a server with workers, as its metrics tell it.

export interface ThreadTimes {
  /** Of the thread that has the port. */
  readonly frontMs: number;
  /** By worker. */
  readonly workerMs: readonly number[];
  /** Partitions that were moved so far. */
  readonly moves: number;
}

/** Metrics are of the last second: call it when that second was like the one that matters. */
export async function threadTimes(endpoint: string): Promise<ThreadTimes> {
  const response = await fetch(`http://${endpoint}/metrics`);
  return threadTimesIn(await response.text());
}

/** Of a page of metrics. @throws Error where there are no workers */
export function threadTimesIn(page: string): ThreadTimes {
  const values = new Map(
    [...page.matchAll(/^forelock_(\w+) (\S+)$/gm)].map(([, name = "", value = ""]) => [name, Number(value)]),
  );
  const workerMs: number[] = [];
  for (;;) {
    const seconds = values.get(`worker_${workerMs.length}_cpu_seconds_total`);
    if (seconds === undefined) break;
    workerMs.push(seconds * 1_000);
  }
  if (workerMs.length === 0) throw new Error("the server tells of no workers");
  const frontMs = (values.get("front_cpu_seconds_total") ?? 0) * 1_000;
  return { frontMs, workerMs, moves: values.get("partition_moves_total") ?? 0 };
}

/** How many times as much as the idlest the busiest took. */
export function spread(before: ThreadTimes, after: ThreadTimes): number {
  const times = after.workerMs.map((ms, worker) => ms - (before.workerMs[worker] ?? 0));
  return Math.max(...times) / Math.min(...times);
}
