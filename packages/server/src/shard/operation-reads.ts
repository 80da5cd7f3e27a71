// operation-reads.ts: GetOperation: where an operation stands, now or once it has ended.
import { ForelockError, type GetOperationRequest, type Reply } from "@forelock/protocol";
import { findTarget } from "../lock/release.ts";
import type { Operation, PartitionState } from "../partition/state.ts";
import { acquireReply, errorMessage, errorReply } from "./answers.ts";
import { etaMessage } from "./insight-messages.ts";
import type { Node } from "./node.ts";
import { parseReference, referenceOf } from "./reference.ts";
import type { Caller } from "./service.ts";

export class OperationReads {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** @throws ForelockError `operation_unknown` when the reference names none that could be, `not_owner` */
  get(caller: Caller, wanted: GetOperationRequest, sequence: number, respond: (reply: Reply) => void): void {
    const node = this.#node;
    const parsed =
      wanted.reference === ""
        ? {
            partition: node.partitionOf(wanted.name),
            target: { kind: "kept" as const, principal: caller.principal, requestId: wanted.requestId },
          }
        : parseReference(wanted.reference, caller.principal);
    if (parsed === undefined)
      throw new ForelockError("operation_unknown", `reference = ${wanted.reference} names no operation.`);
    const shard = node.shardAt(parsed.partition);
    const failed = (error: ForelockError): void => respond(errorReply(sequence, errorMessage(error)));
    shard.read((state) => {
      const operation = findTarget(state, parsed.target);
      if (operation === undefined) {
        const error = new ForelockError("operation_unknown", "No operation of this reference is remembered.");
        return () => failed(error);
      }
      if (operation.outcome === undefined && wanted.waitMs > 0) {
        const full = node.awaits.add(shard.partition, operation, wanted.waitMs, () => {
          // Asked again in a turn: what is answered must be durable, and as it is then.
          shard.read((later) => {
            const answer = this.#reply(later, operation, caller, sequence);
            return () => respond(answer);
          }, failed);
        });
        return full === undefined ? undefined : () => failed(full);
      }
      const answer = this.#reply(state, operation, caller, sequence);
      return () => respond(answer);
    }, failed);
  }

  #reply(state: PartitionState, operation: Operation, caller: Caller, sequence: number): Reply {
    const { foresight, options, partitionOf } = this.#node;
    const value = acquireReply(state, operation, caller, partitionOf);
    const { wait } = operation;
    if (wait !== undefined) value.eta = etaMessage(foresight.etas.of(wait, options.clock.monotonicMs()));
    return { sequence, body: { $case: "acquire", value } };
  }
}

/** Of what a session asked for under `sequence`, as long as it is remembered. */
export function referenceOfSequence(node: Node, sessionId: string, sequence: number): string | undefined {
  for (const partition of node.directory.get(sessionId)?.partitions ?? []) {
    const row = node.shards[partition]?.state.sessions.get(sessionId);
    const kept = [...(row?.kept ?? [])].find((one) => one.sequence === sequence);
    const operation = row?.queued.get(sequence) ?? row?.done.get(sequence) ?? kept;
    if (operation !== undefined) return referenceOf(partition, operation);
  }
  return undefined;
}
