// session/heartbeat-thread.ts: the one heartbeat thread of this process, started with the first session, ended with the last.
// Not here: what runs in it (../heartbeat-worker.ts).
//   T1. The thread does not keep the process alive.
//   T2. When it dies, every session learns that it is gone: nobody would keep it alive.
import { Worker } from "node:worker_threads";
import { unreachable } from "@forelock/protocol";
import type { HeartbeatListener, HeartbeatOrder, Heartbeats, ThreadCommand, ThreadReport } from "./heartbeats.ts";

let thread: Worker | undefined;
let lastSession = 0;
const listenerBySession = new Map<number, HeartbeatListener>();

export function startThreadHeartbeats(order: HeartbeatOrder, listener: HeartbeatListener): Heartbeats {
  const session = ++lastSession;
  listenerBySession.set(session, listener);
  thread ??= startThread();
  command(thread, { kind: "start", session, order });
  return {
    stop: () => {
      if (!listenerBySession.delete(session)) return;
      if (thread !== undefined) command(thread, { kind: "stop", session });
      if (listenerBySession.size > 0) return;
      void thread?.terminate(); // Resolves later; nobody needs to wait for it.
      thread = undefined;
    },
  };
}

function startThread(): Worker {
  const worker = new Worker(workerFile());
  worker.unref(); // T1
  worker.on("message", hear);
  worker.on("error", (error) => failed(worker, error.message));
  worker.on("exit", () => failed(worker, "it ended."));
  return worker;
}

/** Beside the bundle; a run from the sources (tests) uses the last build, for a thread cannot load TypeScript. */
function workerFile(): URL {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? "../../dist/heartbeat-worker.js" : "./heartbeat-worker.js", import.meta.url);
}

function command(worker: Worker, message: ThreadCommand): void {
  worker.postMessage(message);
}

function hear(report: ThreadReport): void {
  const listener = listenerBySession.get(report.session);
  if (listener === undefined) return; // Stopped while the report was on its way.
  switch (report.kind) {
    case "acknowledged":
      listener.acknowledged(report.sentAtMs, report.partitions, report.expiredPartitions);
      return;
    case "gone":
      listener.gone(report.code, report.message);
      return;
    default:
      unreachable(report);
  }
}

function failed(worker: Worker, why: string): void {
  if (thread !== worker) return; // We ended it.
  thread = undefined;
  const listeners = [...listenerBySession.values()];
  listenerBySession.clear();
  for (const listener of listeners) listener.gone("internal", `The heartbeat thread failed: ${why}`); // T2
}
