// session-request.ts: one operation of a session on its way through a turn: its command in, its reply out when that is durable.
// The most frequent object of a node, so it is one object and no closures.
import type { ForelockError, Operation as OperationMessage, Reply } from "@forelock/protocol";
import type { Command, Refusal, SessionCommand } from "../partition/commands.ts";
import { findOperation } from "../partition/operations.ts";
import type { PartitionState } from "../partition/state.ts";
import { acknowledgedBody, errorMessage, errorReply, operationReply, refusalMessage } from "./answers.ts";
import type { Node } from "./node.ts";
import type { Caller } from "./service.ts";
import type { Entry, Shard } from "./shard.ts";

/** An operation of a session that a partition of this node did not take, or whose outcome went with it. */
export interface TurnedAway {
  readonly caller: Caller;
  readonly sessionId: string;
  readonly operation: OperationMessage;
  readonly respond: (reply: Reply) => void;
}

/** Of a session that its client has closed. */
export function endOfClosed(sessionId: string): Command {
  return { kind: "end_session", sessionId, why: "closed", reason: "" };
}

/** What is refused first where the log has no room: all else is served, above all what gives room back. */
export function isGrowth(what: NonNullable<OperationMessage["body"]>["$case"]): boolean {
  return what === "acquire" || what === "acquireAll" || what === "append" || what === "upgrade";
}

/** Whether it becomes a SessionRequest: answered whether anybody still listens or not. */
export function isOfSession({ body }: OperationMessage): boolean {
  switch (body?.$case) {
    case "acquire":
    case "release":
    case "append":
    case "acquireAll":
    case "upgrade":
    case "downgrade":
    case "cancel":
    case "acknowledge":
      return true;
    default:
      return false;
  }
}

export class SessionRequest implements Entry {
  readonly command: SessionCommand;
  readonly #node: Node;
  readonly #shard: Shard;
  readonly #operation: OperationMessage;
  readonly #caller: Caller;
  readonly #respond: (reply: Reply) => void;
  #reply: Reply | undefined;

  constructor(
    node: Node,
    shard: Shard,
    command: SessionCommand,
    operation: OperationMessage,
    caller: Caller,
    respond: (reply: Reply) => void,
  ) {
    this.#node = node;
    this.#shard = shard;
    this.command = command;
    this.#operation = operation;
    this.#caller = caller;
    this.#respond = respond;
  }

  decided(state: PartitionState, refusal: Refusal | undefined): boolean {
    this.#reply = SessionRequest.#replyTo(this, state, refusal);
    return true;
  }

  send(): void {
    if (this.#reply !== undefined) this.#respond(this.#reply);
  }

  failed(error: ForelockError): void {
    const { session } = this.command;
    const asked = { caller: this.#caller, sessionId: session.id, operation: this.#operation, respond: this.#respond };
    if (this.#node.turnedAway?.(asked, this.#shard.partition, error) === true) return;
    this.#node.refusals += 1;
    this.#respond(errorReply(this.#operation.sequence, errorMessage(error)));
  }

  /** Static, for a request with a private method carries a mark of its class. */
  static #replyTo(request: SessionRequest, state: PartitionState, refusal: Refusal | undefined): Reply {
    const { command } = request;
    const { sequence } = request.#operation;
    if (refusal !== undefined) {
      request.#node.refusals += 1;
      return errorReply(sequence, refusalMessage(refusal));
    }
    const { id, principal } = command.session;
    const operation = findOperation(state, state.sessions.get(id), principal, command.request);
    if (operation === undefined) {
      if (command.kind === "acknowledge_warning") return { sequence, body: acknowledgedBody(state, 0, "over", "") };
      // Else only a cancel that found its operation ended leaves none.
      return { sequence, body: { $case: "cancel", value: { cancelled: false } } };
    }
    const reply = operationReply(state, sequence, operation, request.#caller, request.#node.partitionOf);
    if (operation.wait !== undefined && reply.body?.$case === "acquire") {
      operation.wait.toldPosition = reply.body.value.position;
    }
    if (command.kind === "open_batch" && operation.outcome === undefined)
      request.#node.batches.begin(request.#shard, operation);
    return reply;
  }
}
