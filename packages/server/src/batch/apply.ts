// apply.ts (batch): a lockAll whose elements lie in several partitions.
// The home partition (that of the first name) keeps the batch; each partition of an element keeps its part, found by the part's key.
//   M1. A part is reserved (blocks others, no token) until all are; only then each gets its token.
//   M2. The batch is granted when every confirmation is durable; until then any failure gives all parts up.
import { assert } from "@forelock/protocol";
import { undoEffects } from "../file/apply.ts";
import { confirmPart, endUpgrade } from "../lock/apply.ts";
import { removeGrant, removeWait } from "../lock/table.ts";
import type { BatchEvent } from "../partition/events.ts";
import { addBatch, addFence } from "../partition/hash.ts";
import type { Observer } from "../partition/observer.ts";
import { finish, remember, sessionOf } from "../partition/operations.ts";
import type { Batch, PartitionState } from "../partition/state.ts";

export function applyBatch(state: PartitionState, event: BatchEvent, observer: Observer): void {
  switch (event.kind) {
    case "batch_opened": {
      const session = sessionOf(state, event.request.session);
      const batch: Batch = {
        id: state.nextWait,
        operation: remember(state, session, event.request, undefined),
        session: session.number,
        parts: event.parts,
        deadlineMs: event.waitMs < 0 ? Number.POSITIVE_INFINITY : state.clockMs + event.waitMs,
        sinceMs: state.clockMs,
        rollback: event.rollback,
        actor: event.actor,
        stage: "taking",
      };
      state.nextWait += 1;
      state.batches.set(batch.id, batch);
      addBatch(state, 1, batch);
      return;
    }
    case "batch_confirming": {
      const batch = batchOf(state, event.batch);
      addBatch(state, -1, batch);
      batch.stage = "confirming";
      addBatch(state, 1, batch);
      return;
    }
    case "batch_cancelled": {
      const { operation } = batchOf(state, event.batch);
      finish(state, operation, { kind: "refused", code: "cancelled", message: "It was cancelled." }, observer);
      remember(state, sessionOf(state, event.request.session), event.request, { kind: "cancelled", cancelled: true });
      return;
    }
    case "batch_granted": {
      const batch = batchOf(state, event.batch);
      removeBatch(state, batch);
      if (batch.operation.outcome === undefined) {
        finish(state, batch.operation, { kind: "granted", grants: event.grants }, observer);
      }
      return;
    }
    case "batch_ended": {
      const batch = batchOf(state, event.batch);
      removeBatch(state, batch);
      if (batch.operation.outcome === undefined) {
        finish(state, batch.operation, { kind: "refused", code: event.code, message: event.message }, observer);
      }
      return;
    }
    case "part_confirmed": {
      const part = state.parts.get(event.part);
      assert(part !== undefined && "element" in part && part.reserved, "only a reserved part is confirmed");
      confirmPart(state, part, observer);
      return;
    }
    case "part_abandoned": {
      const part = state.parts.get(event.part);
      assert(part !== undefined, "only a known part is abandoned");
      state.parts.delete(event.part);
      if ("element" in part) {
        endUpgrade(state, part, observer);
        undoEffects(state, part, observer);
        removeGrant(state, part, observer);
      } else removeWait(state, part, false, observer);
      return;
    }
    case "parts_fenced": {
      const before = state.fences.get(event.home);
      if (before !== undefined) addFence(state, -1, event.home, before);
      state.fences.set(event.home, event.number);
      addFence(state, 1, event.home, event.number);
      return;
    }
  }
}

function batchOf(state: PartitionState, id: number): Batch {
  const batch = state.batches.get(id);
  assert(batch !== undefined, `event names batch ${id}, which the partition does not have`);
  return batch;
}

function removeBatch(state: PartitionState, batch: Batch): void {
  addBatch(state, -1, batch);
  state.batches.delete(batch.id);
}
