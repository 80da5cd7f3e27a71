// welcome.ts: the answer to Hello: what the session holds and waits for, in every partition where it is registered.
import type { HeldGrant, Notice, OpenBatch, Placement, WaitingOperation, Welcome } from "@forelock/protocol";
import { Mode } from "@forelock/protocol";
import type { Grant, PartitionState, Session } from "../partition/state.ts";
import { acquireReply, positionOf } from "./answers.ts";
import type { Node } from "./node.ts";
import { batchKey, batchOfPart } from "./parts.ts";
import { referenceOf } from "./reference.ts";
import type { Caller } from "./service.ts";
import type { KnownSession } from "./sessions.ts";

const MODES = [Mode.EXCLUSIVE, Mode.SHARED, Mode.PERMIT] as const;
const NAME_BYTES_MAX = 512;
const APPEND_BYTES_MAX = 196_608;

export async function welcomeOf(
  node: Node,
  caller: Caller,
  session: KnownSession,
  secret: Uint8Array | undefined,
): Promise<Welcome> {
  const grants: HeldGrant[] = [];
  const waits: WaitingOperation[] = [];
  const missed: Notice[] = [];
  const openBatches: OpenBatch[] = [];
  const lookEverywhere = (describe: (state: PartitionState, row: Session) => void): Promise<unknown> => {
    const look = (partition: number): Promise<void> =>
      new Promise((resolve, reject) => {
        node.shardAt(partition).read((state) => {
          const row = state.sessions.get(session.id);
          if (row !== undefined) describe(state, row);
          return resolve;
        }, reject);
      });
    return Promise.all([...session.partitions].map(look));
  };
  // In this order: the end of a batch whose grants are among the first is among the second, whatever its partitions.
  await lookEverywhere((state, row) => grants.push(...describeGrants(node, state, row)));
  await lookEverywhere((state, row) => {
    describeWaits(state, row, caller, { waits, missed }, node.partitionOf);
    if (node.peers !== undefined) openBatches.push(...describeBatches(state, row, node.partitionOf));
  });
  const { limits, options } = node;
  return {
    sessionId: Buffer.from(session.id, "base64url"),
    sessionSecret: Buffer.from(secret ?? new Uint8Array(0)),
    ttlMs: session.ttlMs,
    partitions: node.shards.length,
    placementKey: caller.may("direct", "") ? Buffer.from(options.placementKey) : Buffer.alloc(0),
    limits: {
      frameBytes: limits.frameBytesMax,
      frameOperations: limits.frameOperationsMax,
      nameBytes: NAME_BYTES_MAX,
      appendBytes: APPEND_BYTES_MAX,
      requestsInFlight: limits.requestsInFlightMax,
      unanswered: limits.unansweredMax,
    },
    serverVersion: options.version,
    principal: caller.principal,
    grants,
    waits,
    expiredPartitions: expiredOf(node, session),
    durable: options.isDurable,
    missed,
    ledPartitions: [],
    map: undefined,
    openBatches,
  };
}

/** Where it has expired: only the owner of a partition knows, and it may have been registered anew since. */
export function expiredOf(node: Node, { expired, partitions }: KnownSession): number[] {
  return [...expired].filter((partition) => node.leads(partition) && !partitions.has(partition));
}

/** In the same look as its waits: other nodes tell of no part of a batch that is told as waiting. */
function describeBatches(state: PartitionState, row: Session, partitionOf: Placement): readonly OpenBatch[] {
  return [...state.batches.values()]
    .filter(({ session }) => session === row.number)
    .map(({ id, parts }) => ({
      key: batchKey(state.partition, id),
      partitions: [...new Set(parts.map(({ name }) => partitionOf(name)))],
    }));
}

function describeGrants(node: Node, state: PartitionState, row: Session): readonly HeldGrant[] {
  const grants: HeldGrant[] = [];
  for (let grant = row.firstGrant; grant !== undefined; grant = grant.next) {
    if (grant.reserved || isOfOpenBatch(node, state, grant)) continue;
    const owner = { sessionId: row.id, sequence: grant.sequence, requestId: grant.requestId };
    grants.push({
      name: grant.element.name,
      token: grant.token,
      mode: MODES[grant.mode],
      sequence: grant.sequence,
      requestId: grant.requestId,
      reference: referenceOf(state.partition, owner),
    });
  }
  return grants;
}

/** Its client does not know it before the batch is granted as a whole, and would give it back as one that nobody asked for. */
function isOfOpenBatch(node: Node, state: PartitionState, grant: Grant): boolean {
  if (state.parts.get(grant.requestId) !== grant) return false;
  const { partition, batch } = batchOfPart(grant.requestId);
  return node.shardAt(partition).state.batches.has(batch);
}

interface Waits {
  readonly waits: WaitingOperation[];
  readonly missed: Notice[];
}

function describeWaits(
  state: PartitionState,
  row: Session,
  caller: Caller,
  found: Waits,
  partitionOf: Placement,
): void {
  for (const operation of [...row.queued.values(), ...row.kept]) {
    if (operation.outcome !== undefined) {
      found.missed.push({ body: { $case: "operation", value: acquireReply(state, operation, caller, partitionOf) } });
      continue;
    }
    found.waits.push({
      reference: referenceOf(state.partition, operation),
      sequence: operation.sequence,
      requestId: operation.requestId,
      position: operation.wait === undefined ? 1 : positionOf(operation.wait),
    });
  }
}
