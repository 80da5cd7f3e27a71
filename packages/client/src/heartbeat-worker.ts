// heartbeat-worker.ts: entry of the heartbeat thread: one pulse for each session of this process.
// A thread, so that a blocked main loop does not lose its locks; how long it may block is checked by the pulse.
import { parentPort } from "node:worker_threads";
import { unreachable } from "@forelock/protocol";
import { threadEnvironment } from "./environment.ts";
import type { Heartbeats, ThreadCommand, ThreadReport } from "./session/heartbeats.ts";
import { startPulse } from "./session/pulse.ts";

const pulseBySession = new Map<number, Heartbeats>();

function report(message: ThreadReport): void {
  parentPort?.postMessage(message);
}

function obey(command: ThreadCommand): void {
  const { session } = command;
  switch (command.kind) {
    case "start":
      pulseBySession.set(
        session,
        startPulse(threadEnvironment, command.order, {
          acknowledged: (sentAtMs, partitions, expiredPartitions) =>
            report({ kind: "acknowledged", session, sentAtMs, partitions, expiredPartitions }),
          gone: (code, message) => report({ kind: "gone", session, code, message }),
        }),
      );
      return;
    case "stop":
      pulseBySession.get(session)?.stop();
      pulseBySession.delete(session);
      return;
    default:
      unreachable(command);
  }
}

parentPort?.on("message", obey);
