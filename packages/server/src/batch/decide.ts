// decide.ts (batch): steps of a lockAll over several partitions. The coordinator (shard/batches.ts) drives them and may repeat any.
//   M3. Every step is idempotent: repeated after a crash it finds what the first one did.
//   M7. A step that comes late changes nothing once a later one of its home partition was taken here: it may be of a driver that was
//       deposed, or have been given up and sent again, and its batch may be over.
import { assert } from "@forelock/protocol";
import { fullQueue, isFree } from "../lock/acquire.ts";
import type { BatchCommand, Decision, PartCommand, PartitionLimits } from "../partition/commands.ts";
import type { EventRequest, PartitionEvent } from "../partition/events.ts";
import { isLive, type PartitionState } from "../partition/state.ts";
import { NOTHING, refuse, register } from "../session/decide.ts";

export function decideBatch(state: PartitionState, command: BatchCommand, limits: PartitionLimits): Decision {
  switch (command.kind) {
    case "reserve_part":
    case "confirm_part":
    case "abandon_part":
      return decideFenced(state, command, limits);
    case "confirm_batch": {
      const batch = state.batches.get(command.batch);
      if (batch === undefined || batch.operation.outcome !== undefined)
        return refuse("cancelled", "The batch has ended.");
      return batch.stage === "confirming" ? NOTHING : only({ kind: "batch_confirming", batch: command.batch });
    }
    case "grant_batch": {
      const batch = state.batches.get(command.batch);
      if (batch === undefined) return NOTHING;
      if (batch.operation.outcome !== undefined) return refuse("cancelled", "The batch has ended.");
      return only({ kind: "batch_granted", batch: command.batch, grants: command.grants });
    }
    case "end_batch":
      if (!state.batches.has(command.batch)) return NOTHING;
      return only({ kind: "batch_ended", batch: command.batch, code: command.code, message: command.message });
  }
}

/** M7 */
function decideFenced(state: PartitionState, command: PartCommand, limits: PartitionLimits): Decision {
  const { fence } = command;
  if (fence === undefined) return decidePart(state, command, limits);
  const before = state.fences.get(fence.home) ?? 0;
  if (fence.number < before)
    return refuse("fenced", `Batches of partition ${fence.home} are driven under ${before}, not ${fence.number}.`);
  const decision = decidePart(state, command, limits);
  if (fence.number === before) return decision;
  const fenced: PartitionEvent = { kind: "parts_fenced", ...fence };
  return { ...decision, events: [fenced, ...decision.events] };
}

function decidePart(state: PartitionState, command: PartCommand, limits: PartitionLimits): Decision {
  switch (command.kind) {
    case "reserve_part":
      return reserve(state, command, limits);
    case "confirm_part": {
      const part = state.parts.get(command.part);
      if (part === undefined) return refuse("lock_lost", "The reserved element is not held any more.");
      assert("element" in part, "a part that waits is not confirmed");
      return part.reserved ? only({ kind: "part_confirmed", part: command.part }) : NOTHING; // M3
    }
    case "abandon_part":
      return state.parts.has(command.part) ? only({ kind: "part_abandoned", part: command.part }) : NOTHING;
  }
}

const only = (event: PartitionEvent): Decision => ({ events: [event], refusal: undefined });

function reserve(
  state: PartitionState,
  command: BatchCommand & { readonly kind: "reserve_part" },
  limits: PartitionLimits,
): Decision {
  if (state.parts.has(command.part)) return NOTHING; // M3
  const registered = register(state, command.session, limits);
  if (registered.kind === "refused") return registered.decision;
  const { element } = command;
  const known = state.elements.get(element.name);
  if (known !== undefined && known.taken > 0 && element.limit !== 0 && known.limit !== element.limit) {
    return refuse(
      "limit_mismatch",
      `${element.name} is in use with ${known.limit} permits; the request says permits = ${element.limit}.`,
    );
  }
  const held = registered.session === undefined ? 0 : registered.session.grants + registered.session.waits.size;
  if (held >= limits.locksMax) {
    return refuse("locks_full", `The session holds and waits for ${held} elements; it may have ${limits.locksMax}.`);
  }
  const request: EventRequest = {
    session: registered.number,
    sequence: 0,
    requestId: command.part,
    keepMs: 0,
    digest: 0,
  };
  const terms = {
    request,
    parts: [element],
    rollback: command.rollback,
    actor: command.actor,
    reserve: true,
    upgradeOf: 0n,
  };
  const arrivalMs = state.clockMs;
  // The coordinator asks, not the client: that is no sign of life, and what is not alive waits (L4 of lock/grant.ts).
  const { session } = registered;
  const opened = session === undefined ? registered.events : [];
  const isAlive = session === undefined || isLive(session, state.clockMs);
  if (isAlive && isFree(state, [element], { arrivalMs, id: state.nextWait })) {
    return { events: [...opened, { kind: "granted", ...terms }], refusal: undefined };
  }
  const full = fullQueue(state, [element], limits);
  if (full !== undefined) {
    return refuse("queue_full", `${full.name} has ${full.waiting} waiters; it may have ${limits.waitersMax}.`);
  }
  const queued: PartitionEvent = { kind: "queued", ...terms, arrivalMs, waitMs: -1, priority: 0 };
  return { events: [...opened, queued], refusal: undefined };
}
