// etcd-way.ts: the way of one process to etcd: requests leave when its code runs, and what comes back is taken in only when the process
// runs. So a paused process hears nothing, and a dead one never. Not here: faults of the way (faults.ts), etcd itself (the server's fake).
import type { Etcd, WatchBatch, WatchRequest } from "forelock/internal";
import type { Process, SimulatedTime } from "../simulator/time.ts";

export function etcdFrom(etcd: Etcd, time: SimulatedTime, process: Process): Etcd {
  function taken<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => time.after(process, 0, () => resolve(value)),
        (cause: unknown) => time.after(process, 0, () => reject(cause as Error)), // As it came.
      );
    });
  }
  async function* watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchBatch, void> {
    const batches = etcd.watch(request, signal)[Symbol.asyncIterator]();
    for (;;) {
      const next = await taken(batches.next());
      if (next.done === true || signal.aborted) return;
      yield next.value;
    }
  }
  return {
    range: (request, options) => taken(etcd.range(request, options)),
    txn: (request, options) => taken(etcd.txn(request, options)),
    watch,
    leaseGrant: (request, options) => taken(etcd.leaseGrant(request, options)),
    leaseKeepAlive: (id, options) => taken(etcd.leaseKeepAlive(id, options)),
    leaseRevoke: (id, options) => taken(etcd.leaseRevoke(id, options)),
    compact: (revision, options) => taken(etcd.compact(revision, options)),
    status: (options) => taken(etcd.status(options)),
    alarms: (options) => taken(etcd.alarms(options)),
    close: () => etcd.close(),
  };
}
