// request-ids.ts: one request id is one request, in whatever partition. Each partition tells repeated requests by itself; here those
// are told that come again with another name, and so to another partition.
import { ForelockError } from "@forelock/protocol";
import type { RequestId } from "../partition/commands.ts";
import { keptKey } from "../partition/state.ts";
import type { KnownSession } from "./sessions.ts";
import type { Shard } from "./shard.ts";

/**
 * @throws ForelockError `request_id_reused` when another partition remembers the id, `request_forgotten` when the client has said
 *   that it has the answer
 */
export function refuseReused(shards: readonly Shard[], here: Shard, known: KnownSession, request: RequestId): void {
  const { sequence, requestId } = request;
  if (requestId !== "") {
    const key = keptKey(known.principal, requestId);
    for (const shard of shards) if (shard !== here && shard.state.kept.has(key)) throw reused(requestId);
    return;
  }
  // Nearly always: sequences rise.
  if (sequence > known.highest) {
    known.highest = sequence;
    return;
  }
  if (sequence < known.lowest) {
    const message = `sequence = ${sequence} is below ${known.lowest}, the lowest that is remembered.`;
    throw new ForelockError("request_forgotten", message);
  }
  for (const partition of known.partitions) {
    const shard = shards[partition];
    if (shard === undefined || shard === here) continue;
    const session = shard.state.sessions.get(known.id);
    if (session?.done.has(sequence) === true || session?.queued.has(sequence) === true) throw reused(String(sequence));
  }
}

function reused(id: string): ForelockError {
  return new ForelockError("request_id_reused", `Request ${id} was made before with another name.`);
}
