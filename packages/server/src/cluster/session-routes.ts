// session-routes.ts: operations of sessions on their way to the owner of their partition, wherever it is, and again when it was not.
// Not here: which partition (router.ts), connections (session-links.ts, link.ts).
//   T1. Requests of a partition leave in the order in which they came. While some of it are held, the next ones wait behind them.
//   T2. What was refused because its owner had changed, or whose answer was lost, is sent again until it is answered or too old.
//   T3. A request that no node answers in time is answered `unavailable`; `not_owner` is never shown to a client.
import { ForelockError, type Operation, type Reply } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { asForelockError, errorMessage, errorReply } from "../shard/answers.ts";
import type { Node } from "../shard/node.ts";
import type { Caller, NodeSession } from "../shard/service.ts";
import type { TurnedAway } from "../shard/session-request.ts";
import { Held } from "./held.ts";
import { errorOf } from "./link.ts";
import { isPassing, isPassingEnd } from "./links.ts";
import type { Owners } from "./owners.ts";
import { type RequestHost, RoutedRequest } from "./routed-request.ts";
import type { SessionLinks } from "./session-links.ts";

export interface SessionRoutesParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly sessions: SessionLinks;
  readonly clock: Clock;
  /** How long a request may wait for an answer of an owner. */
  readonly holdMs: number;
}

export class SessionRoutes implements RequestHost {
  /** By partition, 1: this node decides, and nothing waits: what is asked goes straight to it. */
  readonly straight: Uint8Array;
  readonly #parts: SessionRoutesParts;
  readonly #held = new Held();
  /** What was handed to the local node after it had waited, until when: it may come back. */
  readonly #untilMs = new WeakMap<Operation, number>();
  forwarded = 0;
  again = 0;

  constructor(parts: SessionRoutesParts) {
    this.#parts = parts;
    this.straight = new Uint8Array(parts.node.shards.length);
    for (let partition = 0; partition < this.straight.length; partition += 1) this.#straighten(partition);
    parts.node.turnedAway = (asked, partition, error) => this.#turnedAway(asked, partition, error);
  }

  /** Requests that wait for an owner. */
  get held(): number {
    return this.#held.size;
  }

  route(
    caller: Caller,
    session: NodeSession,
    operation: Operation,
    respond: (reply: Reply) => void,
    partition: number,
  ): void {
    const { clock, holdMs } = this.#parts;
    const untilMs = this.#untilMs.get(operation) ?? clock.monotonicMs() + holdMs;
    const request = new RoutedRequest(this, { caller, session, operation, respond, partition, untilMs });
    if (this.#held.has(partition) || !this.#send(request)) this.#hold(request); // T1
  }

  /** Owners have changed: what waits may go. */
  changed(): void {
    for (const partition of this.#held.partitions()) this.#drain(partition);
    for (let partition = 0; partition < this.straight.length; partition += 1) this.#straighten(partition);
  }

  /** Call some times a second. */
  tick(): void {
    for (const request of this.#held.takeOverdue(this.#parts.clock.monotonicMs())) this.#giveUp(request);
    for (const partition of this.#held.partitions()) this.#drain(partition);
  }

  replied(request: RoutedRequest, reply: Reply): void {
    const { body } = reply;
    if (body?.$case === "error" && isPassing(body.value)) this.#again(request, errorOf(body.value));
    else request.respond(reply);
  }

  failed(request: RoutedRequest, error: ForelockError): void {
    if (isPassingEnd(error)) this.#again(request, error);
    else this.#refuse(request, error);
  }

  /** A partition of this node did not take it, or stopped with its outcome. */
  #turnedAway(asked: TurnedAway, partition: number, error: ForelockError): boolean {
    const { caller, sessionId, operation, respond } = asked;
    const { node, sessions, owners } = this.#parts;
    if (caller.forwardedBy !== undefined) return false; // The node that forwarded it sends it on.
    const isGivenUp = node.shardAt(partition).stopped?.code === "not_owner" || owners.of(partition).kind !== "here";
    if (error.code !== "not_owner" && !(error.code === "outcome_unknown" && isGivenUp)) return false;
    const session = sessions.get(sessionId);
    if (session === undefined) return false;
    const untilMs = this.#untilMs.get(operation) ?? this.#parts.clock.monotonicMs() + this.#parts.holdMs;
    const { id, ttlMs } = session;
    const of = { id, principal: session.caller.principal, ttlMs };
    const request = new RoutedRequest(this, { caller, session: of, operation, respond, partition, untilMs });
    request.askedAt = owners.nodeId;
    this.#again(request, error);
    return true;
  }

  /** @returns whether it is on its way; else it must wait */
  #send(request: RoutedRequest): boolean {
    const { owners, node, sessions } = this.#parts;
    const { caller, session, operation, respond, partition } = request;
    const owner = owners.of(partition);
    switch (owner.kind) {
      case "nobody":
        return false;
      case "here":
        this.#untilMs.set(operation, request.untilMs);
        request.askedAt = owners.nodeId;
        node.submit(caller, session, operation, respond);
        return true;
      case "peer":
        try {
          const routed = sessions.known(session);
          request.askedAt = owner.peer.id;
          sessions.linkTo(routed, owner.peer).ask(operation, request);
          routed.partitions.add(partition);
          this.forwarded += 1;
        } catch (cause) {
          const error = asForelockError(cause);
          if (isPassing(error)) return false;
          this.#refuse(request, error);
        }
        return true;
    }
  }

  /** T2 */
  #again(request: RoutedRequest, error: ForelockError): void {
    this.again += 1;
    if (request.untilMs > this.#parts.clock.monotonicMs()) {
      // To another owner at once; to the same one after a pause.
      const isElsewhere = this.#ownerOf(request.partition) !== request.askedAt && !this.#held.has(request.partition);
      if (!isElsewhere || !this.#send(request)) this.#hold(request);
    } else if (error.code === "not_owner") this.#giveUp(request);
    else this.#refuse(request, error);
  }

  /** Its id; undefined while there is none. */
  #ownerOf(partition: number): string | undefined {
    const owner = this.#parts.owners.of(partition);
    if (owner.kind === "nobody") return undefined;
    return owner.kind === "here" ? this.#parts.owners.nodeId : owner.peer.id;
  }

  #hold(request: RoutedRequest): void {
    try {
      this.#held.add(request);
      this.straight[request.partition] = 0;
    } catch (cause) {
      this.#refuse(request, asForelockError(cause));
    }
  }

  #drain(partition: number): void {
    this.#held.drain(partition, (request) => this.#send(request));
    this.#straighten(partition);
  }

  #straighten(partition: number): void {
    const isHere = this.#parts.owners.of(partition).kind === "here" && !this.#held.has(partition);
    this.straight[partition] = isHere ? 1 : 0;
  }

  /** T3 */
  #giveUp(request: RoutedRequest): void {
    const message = `No node has answered for partition ${request.partition} within ${this.#parts.holdMs} ms.`;
    this.#refuse(request, new ForelockError("unavailable", message, { retryAfterMs: 500 }));
  }

  /** Never within the call that asked. */
  #refuse(request: RoutedRequest, error: ForelockError): void {
    const reply = errorReply(request.operation.sequence, errorMessage(error));
    this.#parts.node.options.defer(() => request.respond(reply));
  }
}
