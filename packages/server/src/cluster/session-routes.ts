// session-routes.ts: operations of sessions on their way to the owner of their partition, wherever it is, and again when it was not.
// Not here: which partition (router.ts), connections (session-links.ts, link.ts).
//   T1. Requests of a partition leave in the order in which they came. While some of it are held, the next ones wait behind them.
//   T2. What was refused because its owner had changed, or whose answer was lost, is sent again until it is answered or too old.
//   T3. A request that no node answers in time is answered `unavailable`; `not_owner` is never shown to a client.
//   T4. That a request waits is not told by who was the owner before: the next one may have told already how the wait ended, and its word
//       came by another link. It is asked again, and finds what became of it.
import { ForelockError, type Operation, OperationState, type Reply } from "@forelock/protocol";
import type { Clock, Timer } from "../clock.ts";
import { asForelockError, errorMessage, errorReply } from "../shard/answers.ts";
import type { Node } from "../shard/node.ts";
import type { Caller, NodeSession } from "../shard/service.ts";
import type { TurnedAway } from "../shard/session-request.ts";
import { notOwner } from "../shard/shard.ts";
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

/**
 * An owner that has just been named may hear of it a moment after those who ask it: it is asked again after this, then after twice as
 * long, and at last with the ticks of the router.
 */
const AGAIN_MS = 1;
const AGAIN_DOUBLINGS = 4;

export class SessionRoutes implements RequestHost {
  /** By partition, 1: this node decides, and nothing waits: what is asked goes straight to it. */
  readonly straight: Uint8Array;
  readonly #parts: SessionRoutesParts;
  readonly #held = new Held();
  /** Sent to peers and not answered, by partition, and to which node: another is asked only when it has answered all of them (T1). */
  readonly #inFlight: Uint32Array;
  readonly #askedAt: (string | undefined)[] = [];
  /** Who owns a partition, and how often that has changed: one that is back is another owner (T4). */
  readonly #ownerIds: (string | undefined)[];
  readonly #turns: Uint32Array;
  /** How often the owner was asked again since it last answered, by partition, and what asks it next. */
  readonly #doublings: Uint8Array;
  readonly #againTimers = new Map<number, Timer>();
  /** What was handed to the local node after it had waited: it may come back. */
  readonly #handed = new WeakMap<Operation, Pick<RoutedRequest, "untilMs" | "order">>();
  #order = 0;
  /** Of what the local node did not take: before all that came since. */
  #orderBefore = -Number.MAX_SAFE_INTEGER;
  forwarded = 0;
  again = 0;

  constructor(parts: SessionRoutesParts) {
    this.#parts = parts;
    this.straight = new Uint8Array(parts.node.shards.length);
    this.#inFlight = new Uint32Array(parts.node.shards.length);
    this.#turns = new Uint32Array(parts.node.shards.length);
    this.#ownerIds = parts.node.shards.map(({ partition }) => this.#ownerOf(partition));
    this.#doublings = new Uint8Array(parts.node.shards.length);
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
    const handed = this.#handed.get(operation);
    const untilMs = handed?.untilMs ?? clock.monotonicMs() + holdMs;
    const order = handed?.order ?? ++this.#order;
    const request = new RoutedRequest(this, { caller, session, operation, respond, partition, untilMs, order });
    if (this.#held.has(partition) || !this.#isFollowing(partition) || !this.#send(request)) this.#hold(request); // T1
  }

  close(): void {
    for (const timer of this.#againTimers.values()) timer.dispose();
    this.#againTimers.clear();
  }

  /** Owners have changed: what waits may go. */
  changed(): void {
    for (let partition = 0; partition < this.straight.length; partition += 1) {
      const id = this.#ownerOf(partition);
      if (id !== this.#ownerIds[partition]) this.#turns[partition]! += 1; // Of a partition that there is.
      this.#ownerIds[partition] = id;
    }
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
    this.#inFlight[request.partition]! -= 1; // Of a partition that there is.
    if (body?.$case === "error" && isPassing(body.value)) this.#again(request, errorOf(body.value));
    else if (this.#isOutdated(request, reply)) this.#again(request, notOwner(request.partition));
    else {
      this.#doublings[request.partition] = 0;
      request.respond(reply);
    }
    this.#goOn(request.partition);
  }

  /** T4 */
  #isOutdated({ partition, askedTurn }: RoutedRequest, { body }: Reply): boolean {
    const isQueued = body?.$case === "acquire" && body.value.state === OperationState.QUEUED;
    return isQueued && askedTurn !== this.#turns[partition];
  }

  failed(request: RoutedRequest, error: ForelockError): void {
    this.#inFlight[request.partition]! -= 1; // As above.
    if (isPassingEnd(error)) this.#again(request, error);
    else this.#refuse(request, error);
    this.#goOn(request.partition);
  }

  /** A partition of this node did not take it, or stopped with its outcome. */
  #turnedAway(asked: TurnedAway, partition: number, error: ForelockError): boolean {
    const { caller, sessionId, operation, respond } = asked;
    const { node, sessions, owners } = this.#parts;
    if (caller.forwardedBy !== undefined || caller.isDirect) return false; // Who sent it here sends it on.
    const isGivenUp = node.shardAt(partition).stopped?.code === "not_owner" || owners.of(partition).kind !== "here";
    if (error.code !== "not_owner" && !(error.code === "outcome_unknown" && isGivenUp)) return false;
    const session = sessions.get(sessionId);
    if (session === undefined) return false;
    const handed = this.#handed.get(operation);
    const untilMs = handed?.untilMs ?? this.#parts.clock.monotonicMs() + this.#parts.holdMs;
    const order = handed?.order ?? ++this.#orderBefore;
    const { id, ttlMs } = session;
    const of = { id, principal: session.caller.principal, ttlMs };
    const request = new RoutedRequest(this, { caller, session: of, operation, respond, partition, untilMs, order });
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
        this.#handed.set(operation, request);
        request.askedAt = owners.nodeId;
        node.submit(caller, session, operation, respond);
        return true;
      case "peer":
        try {
          const routed = sessions.known(session);
          request.askedAt = owner.peer.id;
          request.askedTurn = this.#turns[partition] ?? 0;
          sessions.linkTo(routed, owner.peer).ask(operation, request);
          this.#inFlight[partition]! += 1; // Of a partition that there is.
          this.#askedAt[partition] = owner.peer.id;
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
      this.#hold(request);
      // To another owner as soon as may be; to the same one after a pause.
      if (this.#ownerOf(request.partition) !== request.askedAt) this.#drain(request.partition);
      else if (error.code === "not_owner") this.#drainSoon(request.partition);
    } else if (error.code === "not_owner") this.#giveUp(request);
    else this.#refuse(request, error);
  }

  #drainSoon(partition: number): void {
    const doublings = this.#doublings[partition] ?? 0;
    if (doublings >= AGAIN_DOUBLINGS || this.#againTimers.has(partition)) return;
    this.#doublings[partition] = doublings + 1;
    const timer = this.#parts.clock.after(AGAIN_MS * 2 ** doublings, () => {
      this.#againTimers.delete(partition);
      this.#drain(partition);
    });
    this.#againTimers.set(partition, timer);
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

  /** Whether what is sent now comes behind what was sent before. */
  #isFollowing(partition: number): boolean {
    return this.#inFlight[partition] === 0 || this.#askedAt[partition] === this.#ownerOf(partition);
  }

  /** All that was on its way to an owner of before is back. */
  #goOn(partition: number): void {
    if (this.#inFlight[partition] !== 0 || this.#askedAt[partition] === this.#ownerOf(partition)) return;
    if (this.#held.has(partition)) this.#drain(partition);
    else this.#straighten(partition);
  }

  #drain(partition: number): void {
    if (this.#inFlight[partition] !== 0) return; // T1
    this.#held.drain(partition, (request) => this.#send(request));
    this.#straighten(partition);
  }

  #straighten(partition: number): void {
    const isFree = this.#inFlight[partition] === 0 && !this.#held.has(partition);
    const isHere = isFree && this.#parts.owners.of(partition).kind === "here";
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
