// target/all.ts: every target by name, servers and clients. The only place that knows all of them.

import { bareDurable, bareDurableSync, bareMap, openBareClient } from "./bare.ts";
import { etcd3, openEtcd3Client } from "./etcd3.ts";
import { forelock, forelockBlind, openForelockClient } from "./forelock.ts";
import { liveMutex, openLiveMutexClient } from "./live-mutex.ts";
import { openPostgresClient, postgres } from "./postgres.ts";
import { openRedlockClient, redlockAlways, redlockOff } from "./redlock.ts";
import { openSharedLeaseClient, SHARED_LEASE } from "./shared-lease.ts";
import type { OpenClient, Target } from "./target.ts";

/** In the order of the table. */
export const OURS: readonly Target[] = [forelock, forelockBlind, bareDurable, bareDurableSync, bareMap];
export const PEERS: readonly Target[] = [redlockAlways, redlockOff, etcd3, liveMutex, postgres];

const OPEN_BY_TARGET = new Map<string, OpenClient>([
  [forelock.name, openForelockClient],
  [forelockBlind.name, openForelockClient],
  [bareDurable.name, openBareClient],
  [bareDurableSync.name, openBareClient],
  [bareMap.name, openBareClient],
  [redlockAlways.name, openRedlockClient],
  [redlockOff.name, openRedlockClient],
  [etcd3.name, openEtcd3Client],
  [SHARED_LEASE, openSharedLeaseClient],
  [liveMutex.name, openLiveMutexClient],
  [postgres.name, openPostgresClient],
]);

export function clientOf(target: string): OpenClient {
  const open = OPEN_BY_TARGET.get(target);
  if (open === undefined) throw new Error(`There is no target ${target}.`);
  return open;
}
