// apply.ts: the next state, in place. Looks at nothing but the state and the event: replaying the log gives the same tables.
// Not here: whether an event may happen (decide.ts).
import { applyBatch } from "../batch/apply.ts";
import { applyFile } from "../file/apply.ts";
import { applyLock } from "../lock/apply.ts";
import { applyPreempt } from "../preempt/apply.ts";
import { restartCountdowns } from "../preempt/table.ts";
import { applySession, restartSessions } from "../session/apply.ts";
import type { PartitionEvent } from "./events.ts";
import type { Observer } from "./observer.ts";
import { forgetKept, remember, sessionOf } from "./operations.ts";
import type { PartitionState } from "./state.ts";

export function apply(state: PartitionState, event: PartitionEvent, observer: Observer): void {
  switch (event.kind) {
    case "started":
      state.epoch = event.epoch;
      restartSessions(state);
      restartCountdowns(state);
      return;
    case "session_opened":
    case "session_silent":
    case "session_heard":
    case "session_ended":
    case "acknowledged":
    case "tombstones_dropped":
      applySession(state, event, observer);
      return;
    case "queued":
    case "granted":
    case "wait_granted":
    case "wait_ended":
    case "reentered":
    case "released":
    case "downgraded":
    case "forced":
    case "cancelled":
      applyLock(state, event, observer);
      return;
    case "file_created":
    case "appended":
      applyFile(state, event, observer);
      return;
    case "noted":
      remember(state, sessionOf(state, event.request.session), event.request, {
        kind: "refused",
        code: event.code,
        message: event.message,
      });
      return;
    case "kept_forgotten":
      for (const key of event.keys) forgetKept(state, key);
      return;
    case "batch_opened":
    case "batch_confirming":
    case "batch_cancelled":
    case "batch_granted":
    case "batch_ended":
    case "part_confirmed":
    case "part_abandoned":
    case "parts_fenced":
      applyBatch(state, event, observer);
      return;
    default:
      applyPreempt(state, event, observer); // A new event of another kind fails to compile here.
  }
}
