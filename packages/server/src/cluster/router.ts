// router.ts: the service of a node in a cluster: takes any request, and sees that the owner of its partition carries it out. Stands before
// the local Node, which knows nothing of others. Not here: who owns what (owners.ts), how requests travel (session-routes.ts, asks.ts).
//   Y1. What this node decides goes to it at the cost of one look at a table.
//   Y2. What another node has forwarded, or a client sends directly, is carried out here or answered `not_owner`: it is not forwarded.
//   Y3. Who owns what is told to clients that may go to owners directly, at most once in MAP_MS.
import type { Socket } from "node:net";
import {
  ForelockError,
  type GetOperationRequest,
  type HeartbeatReply,
  type Operation,
  type Reply,
  type Welcome,
} from "@forelock/protocol";
import type { Timer } from "../clock.ts";
import { asForelockError, errorMessage, errorReply, respondWith } from "../shard/answers.ts";
import type { Node } from "../shard/node.ts";
import { parseReference } from "../shard/reference.ts";
import { homeOf } from "../shard/requests.ts";
import type {
  Caller,
  NodeSession,
  NoticeSink,
  OpenedSession,
  OpenSession,
  ResumeSession,
  Service,
  Vitals,
} from "../shard/service.ts";
import type { Administration, AdministrationBody } from "./administration.ts";
import { Asks } from "./asks.ts";
import { Beats } from "./beats.ts";
import { fetchBulk, readBulk } from "./bulk-asks.ts";
import type { BulkSource } from "./bulk-source.ts";
import { closeEverywhere } from "./close.ts";
import type { FetchBulk } from "./filler.ts";
import { Gather } from "./gather.ts";
import { Links } from "./links.ts";
import { MapTeller } from "./map.ts";
import { idOf, type Owners, type PeerAddress } from "./owners.ts";
import { ClusterPeers } from "./peers.ts";
import { Resume } from "./resume.ts";
import { destinationOf } from "./route.ts";
import { SessionLinks } from "./session-links.ts";
import { SessionRoutes } from "./session-routes.ts";
import { Sinks } from "./sinks.ts";
import { ClusterWatches } from "./watches.ts";

export interface RouterOptions {
  /** File contents for a peer that lacks them. Undefined: this node gives none. */
  readonly bulk?: BulkSource;
  readonly node: Node;
  readonly owners: Owners;
  /** Of the cluster; empty when the certificate that `dial` shows must do. */
  readonly secret: string;
  /** Opens a connection to a peer's port. */
  readonly dial: (peer: PeerAddress) => Socket;
  /** Connections to peers at once. */
  readonly linksMax: number;
  /** How long a request may wait for an owner: a few leases of a node. */
  readonly holdMs: number;
  /** For operators. Undefined: the cluster tells nothing of itself. */
  readonly administration?: Pick<Administration, "carryOut" | "counters">;
  /** A heartbeat of the node came. */
  readonly heard?: (id: string) => void;
  /** False: owners cannot be reached by clients. */
  readonly isMapTold?: boolean;
  /** Why owners that are part of this server take no work. */
  readonly unavailable?: () => string | undefined;
}

const TICK_MS = 20;
const SWEEP_MS = 1_000;
/** An await is asked for in such pieces: a peer cannot be told that nobody waits any more. */
const AWAIT_MS = 10_000;

const NOTHING_TO_WITHDRAW = (): void => {};

/** A session whose client is connected to another node: seen from here it lives here alone. */
interface SessionHere extends NodeSession {
  readonly kind: "direct" | "forwarded";
}

export class Router implements Service {
  readonly #node: Node;
  readonly #owners: Owners;
  readonly #links: Links;
  readonly #sessions: SessionLinks;
  readonly #routes: SessionRoutes;
  readonly #straight: Uint8Array;
  readonly #asks: Asks;
  readonly #peers: ClusterPeers;
  readonly #gather: Gather;
  readonly #beats: Beats;
  readonly #resume: Resume;
  readonly #sinks: Sinks;
  readonly #watches: ClusterWatches;
  readonly #administration: RouterOptions["administration"];
  readonly #isMapTold: boolean;
  readonly #unavailable: RouterOptions["unavailable"];
  readonly #bulk: BulkSource | undefined;
  readonly #ownerIds: (string | undefined)[];
  readonly #map: MapTeller;
  readonly #endChanges: () => void;
  #timer: Timer | undefined;
  #sweepAtMs = 0;

  constructor(options: RouterOptions) {
    const { node, owners, secret, dial, linksMax, holdMs, administration, bulk, heard, isMapTold = true } = options;
    this.#bulk = bulk;
    this.#isMapTold = isMapTold;
    this.#unavailable = options.unavailable;
    this.#node = node;
    this.#owners = owners;
    this.#administration = administration;
    const { clock, random, note } = node.options;
    const links = new Links({ nodeId: owners.nodeId, secret, linksMax, dial, clock, random, note });
    const sessions = new SessionLinks({ node, owners, links, clock });
    this.#links = links;
    this.#sessions = sessions;
    this.#routes = new SessionRoutes({ node, owners, sessions, clock, holdMs });
    this.#straight = this.#routes.straight;
    this.#asks = new Asks({ node, owners, links, clock, holdMs });
    this.#peers = new ClusterPeers(this.#asks, owners, holdMs, heard ?? (() => {}));
    node.peers = this.#peers;
    node.deadlocks.join(this.#peers.others);
    const wholeness = { clock, partitions: node.shards.length, holdMs };
    this.#gather = new Gather(this.#asks, owners, () => sessions.size, wholeness);
    this.#beats = new Beats({ node, owners, sessions, clock });
    this.#resume = new Resume({ node, owners, sessions, clock, resumeMs: holdMs });
    this.#sinks = new Sinks(node);
    this.#watches = new ClusterWatches({ node, owners, asks: this.#asks, clock });
    this.#map = new MapTeller(owners, node.shards.length, clock);
    this.#ownerIds = node.shards.map(({ partition }) => idOf(owners.of(partition), owners.nodeId));
    // Sessions that are registered in it get their notices and heartbeats from its next owner.
    node.leaving = (partition) => sessions.leaving(partition);
    this.#endChanges = owners.onChange(() => this.#changed());
    this.#again();
  }

  get unavailable(): string | undefined {
    return this.#node.unavailable ?? this.#unavailable?.();
  }

  /** Nothing is forwarded any more. */
  close(): void {
    this.#endChanges();
    this.#timer?.dispose();
    this.#node.turnedAway = undefined;
    this.#node.leaving = undefined;
    this.#routes.close();
    this.#links.close();
  }

  openSession(caller: Caller, open: OpenSession): OpenedSession {
    const opened = this.#node.openSession(caller, open);
    if (opened.secret !== undefined) this.#sessions.add(caller, opened.session, opened.secret, open);
    return opened;
  }

  resumeSession(caller: Caller, resume: ResumeSession): OpenedSession {
    const opened = this.#node.resumeSession(caller, resume);
    if (!isForHere(caller)) {
      this.#sessions.add(caller, opened.session, resume.secret, resume);
      return opened;
    }
    const { id, principal, ttlMs } = opened.session;
    const session: SessionHere = { id, principal, ttlMs, kind: caller.isDirect ? "direct" : "forwarded" };
    return { session, secret: undefined };
  }

  async welcome(caller: Caller, opened: OpenedSession): Promise<Welcome> {
    if (isForHere(caller)) return this.#resume.own(caller, opened);
    const isNew = opened.secret !== undefined;
    const welcome = isNew
      ? await this.#node.welcome(caller, opened)
      : await this.#resume.everywhere(caller, opened, this.#sessions.known(opened.session));
    if (!this.#isMapTold || !caller.may("direct", "")) return welcome;
    const map = this.#map.now; // Y3
    const routed = this.#sessions.get(opened.session.id);
    if (routed !== undefined) routed.mapVersion = map.version;
    return { ...welcome, map };
  }

  listen(session: NodeSession, sink: NoticeSink): () => void {
    const end = this.#sinks.listen(session, sink, isHereAlone(session) ? session.kind : "own");
    const routed = isHereAlone(session) ? undefined : this.#sessions.get(session.id);
    if (routed === undefined) return end;
    routed.sink = sink;
    return () => {
      if (routed.sink === sink) routed.sink = undefined;
      end();
    };
  }

  heartbeat(session: NodeSession, number: number, vitals: Vitals, respond: (reply: HeartbeatReply) => void): void {
    if (isHereAlone(session)) this.#node.heartbeat(session, number, vitals, respond);
    else this.#beats.beat(session, number, vitals, respond);
  }

  acknowledge(session: NodeSession, lowestUnanswered: number, settled: readonly number[]): void {
    this.#node.acknowledge(session, lowestUnanswered, settled);
    if (isHereAlone(session)) return;
    const routed = this.#sessions.get(session.id);
    if (routed === undefined) return;
    if (lowestUnanswered > routed.lowest) routed.lowest = lowestUnanswered;
    for (const link of routed.links.values()) link.acknowledge(lowestUnanswered, settled);
  }

  submit(
    caller: Caller,
    session: NodeSession | undefined,
    operation: Operation,
    respond: (reply: Reply) => void,
  ): () => void {
    const destination = destinationOf(operation, this.#node.partitionOf);
    if (destination >= 0 && this.#straight[destination] === 1)
      return this.#node.submit(caller, session, operation, respond); // Y1
    try {
      return this.#submit(caller, session, operation, respond, destination);
    } catch (cause) {
      const reply = errorReply(operation.sequence, errorMessage(asForelockError(cause)));
      this.#node.options.defer(() => respond(reply));
      return NOTHING_TO_WITHDRAW;
    }
  }

  /** Asks a peer for file contents, whoever owns their partition. */
  readonly fetchBulk: FetchBulk = (peer, request) => fetchBulk(this.#asks, peer, request);

  /** Lets a peer hear of this node; resolves when it has answered. */
  beat(peer: PeerAddress): Promise<void> {
    return this.#peers.beat(peer);
  }

  watch(caller: Caller, pattern: string, watch: number, sink: NoticeSink): () => void {
    if (isForHere(caller)) return this.#node.watch(caller, pattern, watch, sink);
    return this.#watches.add(caller, pattern, watch, sink);
  }

  state(caller: Caller, limit: number): Promise<Readonly<Record<string, unknown>>> {
    return this.#gather.state(caller, limit);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#node.counters(),
      ...this.#administration?.counters(),
      links: this.#links.size,
      links_total: this.#links.opened,
      requests_forwarded_total: this.#routes.forwarded,
      requests_sent_again_total: this.#routes.again,
      requests_held: this.#routes.held,
    };
  }

  /** @param destination a partition of which this node does not decide, or whatever else `destinationOf` says */
  #submit(
    caller: Caller,
    session: NodeSession | undefined,
    operation: Operation,
    respond: (reply: Reply) => void,
    destination: number,
  ): () => void {
    if (isForHere(caller)) return this.#carryOutHere(caller, session, operation, respond, destination);
    if (destination >= 0) {
      if (session === undefined) throw new ForelockError("session_unknown", "The operation needs a session.");
      this.#routes.route(caller, session, operation, respond, destination);
      return NOTHING_TO_WITHDRAW;
    }
    const { body } = operation;
    switch (body?.$case) {
      case "acquireAll":
      case "cancel":
      case "closeSession":
        return this.#submitOfSession(caller, session, operation, respond);
      case "getOperation":
        return this.#await(caller, body.value, operation.sequence, respond);
      case "listLocks":
      case "listFiles":
      case "listSessions":
      case "getStatus":
      case "getPrediction":
      case "endSession":
        return withdrawable(this.#gather.ask(caller, body), operation.sequence, respond);
      case "getHistory":
        if (body.value.name === "") return withdrawable(this.#gather.ask(caller, body), operation.sequence, respond);
        return this.#askOwner(caller, operation, body.value.name, true, respond);
      case "listPolicies":
        return this.#ask(caller, operation, POLICIES_PARTITION, true, respond);
      case "setPolicy":
        return this.#ask(caller, operation, POLICIES_PARTITION, false, respond);
      case "readFile":
      case "readRecords":
        return this.#askOwner(caller, operation, body.value.file, true, respond);
      case "why":
      case "getProfile":
        return this.#askOwner(caller, operation, body.value.name, true, respond);
      case "forceRelease":
      case "warn":
        return this.#askOwner(caller, operation, body.value.name, false, respond);
      case "getCluster":
      case "changeCluster":
        return this.#administer(caller, operation, body, respond);
      default:
        return this.#node.submit(caller, session, operation, respond); // Refused there.
    }
  }

  #administer(
    caller: Caller,
    operation: Operation,
    body: AdministrationBody,
    respond: (reply: Reply) => void,
  ): () => void {
    const administration = this.#administration;
    if (administration === undefined) return this.#node.submit(caller, undefined, operation, respond);
    const ask = (peer: PeerAddress): Promise<Reply> => this.#asks.at(peer, caller, body);
    return withdrawable(administration.carryOut(caller, body, ask), operation.sequence, respond);
  }

  /** Y2 */
  #carryOutHere(
    caller: Caller,
    session: NodeSession | undefined,
    operation: Operation,
    respond: (reply: Reply) => void,
    destination: number,
  ): () => void {
    const { body } = operation;
    if (body?.$case === "readBulk" && this.#bulk !== undefined)
      return withdrawable(readBulk(this.#bulk, body.value), operation.sequence, respond);
    const partition = destination >= 0 ? destination : this.#partitionOf(caller, operation);
    if (partition !== undefined && this.#owners.of(partition).kind !== "here")
      throw new ForelockError("not_owner", `Node ${this.#owners.nodeId} does not decide for partition ${partition}.`);
    if (body?.$case === "getCluster" || body?.$case === "changeCluster")
      return this.#administer(caller, operation, body, respond);
    if (body !== undefined && TOLD_BY_EACH.has(body.$case))
      return withdrawable(this.#gather.own(caller, body), operation.sequence, respond);
    return this.#node.submit(caller, session, operation, respond);
  }

  #submitOfSession(
    caller: Caller,
    session: NodeSession | undefined,
    operation: Operation,
    respond: (reply: Reply) => void,
  ): () => void {
    const { body } = operation;
    if (session === undefined) throw new ForelockError("session_unknown", "The operation needs a session.");
    if (body?.$case === "closeSession") {
      const routed = this.#sessions.known(session);
      const parts = { node: this.#node, owners: this.#owners, sessions: this.#sessions };
      return withdrawable(closeEverywhere(parts, routed, session, operation), operation.sequence, respond);
    }
    if (body?.$case === "cancel" && body.value.reference === "")
      return this.#cancelBySequence(caller, session, operation, respond);
    if (body?.$case === "acquireAll") this.#sessions.spreads(session, body.value.elements);
    const partition = this.#partitionOf(caller, operation);
    if (partition === undefined) return this.#node.submit(caller, session, operation, respond); // Refused there.
    if (this.#straight[partition] === 1) return this.#node.submit(caller, session, operation, respond);
    this.#routes.route(caller, session, operation, respond, partition);
    return NOTHING_TO_WITHDRAW;
  }

  /** Of what has one owner that is not found by one name of an element. */
  #partitionOf({ principal }: Caller, { body }: Operation): number | undefined {
    switch (body?.$case) {
      case "acquireAll": {
        const home = homeOf(body.value.elements);
        return home === undefined ? undefined : this.#node.partitionOf(home);
      }
      case "cancel":
        return this.#partitionOfReference(body.value.reference, principal);
      case "getOperation": {
        const { reference, name } = body.value;
        return reference === "" ? this.#node.partitionOf(name) : this.#partitionOfReference(reference, principal);
      }
      case "listPolicies":
      case "setPolicy":
        return POLICIES_PARTITION;
      case "readFile":
      case "readRecords":
        return this.#node.partitionOf(body.value.file);
      case "getHistory":
        return body.value.name === "" ? undefined : this.#node.partitionOf(body.value.name);
      case "why":
      case "getProfile":
      case "forceRelease":
      case "warn":
        return this.#node.partitionOf(body.value.name);
      case "peer":
        return body.value.body?.$case === "part" ? this.#node.partitionOf(body.value.body.value.name) : undefined;
      default:
        return undefined;
    }
  }

  #partitionOfReference(reference: string, principal: string): number | undefined {
    const partition = parseReference(reference, principal)?.partition;
    return partition === undefined || partition >= this.#node.shards.length ? undefined : partition;
  }

  /** The node that knows the operation is found by asking each that the session lives at. */
  #cancelBySequence(
    caller: Caller,
    session: NodeSession,
    operation: Operation,
    respond: (reply: Reply) => void,
  ): () => void {
    const routed = this.#sessions.known(session);
    const isUnknown = ({ body }: Reply): boolean =>
      body?.$case === "error" && (body.value.code === "operation_unknown" || body.value.code === "session_expired");
    const peers = [...routed.links.values()];
    const next = (reply: Reply): void => {
      const link = isUnknown(reply) ? peers.shift() : undefined;
      if (link === undefined) return respond(reply);
      if (link.isEnded) return next(reply);
      const failed = (error: ForelockError): void => respond(errorReply(operation.sequence, errorMessage(error)));
      link.ask(operation, { isPatient: false, next: undefined, reply: next, failed });
    };
    return this.#node.submit(caller, session, operation, next);
  }

  #askOwner(
    caller: Caller,
    operation: Operation,
    name: string,
    again: boolean,
    respond: (reply: Reply) => void,
  ): () => void {
    return this.#ask(caller, operation, this.#node.partitionOf(name), again, respond);
  }

  #ask(
    caller: Caller,
    { body, sequence }: Operation,
    partition: number,
    again: boolean,
    respond: (reply: Reply) => void,
  ): () => void {
    if (body === undefined) return NOTHING_TO_WITHDRAW;
    const asked = this.#asks.owner(caller, body, partition, again);
    return withdrawable(
      asked.then((reply) => reply.body),
      sequence,
      respond,
    );
  }

  /** In pieces, each of which finds the owner of its time. */
  #await(caller: Caller, wanted: GetOperationRequest, sequence: number, respond: (reply: Reply) => void): () => void {
    const partition = this.#partitionOf(caller, {
      sequence,
      keep: undefined,
      body: { $case: "getOperation", value: wanted },
    });
    if (partition === undefined)
      throw new ForelockError("operation_unknown", `reference = ${wanted.reference} names no operation.`);
    let isWithdrawn = false;
    const { clock } = this.#node.options;
    const untilMs = clock.monotonicMs() + wanted.waitMs;
    const ask = async (): Promise<Reply["body"]> => {
      for (;;) {
        const leftMs = Math.max(0, untilMs - clock.monotonicMs());
        const value = { ...wanted, waitMs: Math.min(AWAIT_MS, Math.ceil(leftMs)) };
        const { body } = await this.#asks.owner(caller, { $case: "getOperation", value }, partition, true);
        const isQueued = body?.$case === "acquire" && body.value.state === 0;
        if (isWithdrawn || !isQueued || clock.monotonicMs() >= untilMs) return body;
      }
    };
    const withdraw = withdrawable(ask(), sequence, respond);
    return () => {
      isWithdrawn = true;
      withdraw();
    };
  }

  #changed(): void {
    const moved = new Map<number, string | undefined>();
    for (let partition = 0; partition < this.#ownerIds.length; partition += 1) {
      const id = idOf(this.#owners.of(partition), this.#owners.nodeId);
      const before = this.#ownerIds[partition];
      if (id === before) continue;
      moved.set(partition, before);
      this.#ownerIds[partition] = id;
      if (before === this.#owners.nodeId) this.#sessions.leaving(partition);
    }
    this.#beats.changed();
    this.#map.changed();
    this.#links.sweep(this.#owners.peers());
    this.#sessions.follow(moved);
    this.#routes.changed();
    this.#asks.changed();
    this.#watches.changed();
    this.#sessions.interrupt();
  }

  #again(): void {
    const { clock } = this.#node.options;
    this.#timer = clock.after(TICK_MS, () => {
      this.#again();
      this.#routes.tick();
      this.#sessions.interrupt();
      const map = this.#map.due();
      if (map !== undefined) this.#sessions.tell(map);
      const nowMs = clock.monotonicMs();
      if (nowMs < this.#sweepAtMs) return;
      this.#sweepAtMs = nowMs + SWEEP_MS;
      this.#links.sweep(this.#owners.peers());
      this.#asks.sweep();
      this.#sessions.sweep();
    });
  }
}

/** Of which each node tells its part, and says which part that is. */
const TOLD_BY_EACH: ReadonlySet<string> = new Set(["getStatus", "listLocks", "listFiles", "listSessions"]);
/** Where policies are kept. */
const POLICIES_PARTITION = 0;

/** Whether nothing of what it asks goes on to other nodes (Y2). */
function isForHere({ forwardedBy, isDirect }: Caller): boolean {
  return forwardedBy !== undefined || isDirect === true;
}

function isHereAlone(session: NodeSession): session is SessionHere {
  return "kind" in session;
}

function withdrawable(body: Promise<Reply["body"]>, sequence: number, respond: (reply: Reply) => void): () => void {
  let isWithdrawn = false;
  respondWith(body, sequence, (reply) => {
    if (!isWithdrawn) respond(reply);
  });
  return () => {
    isWithdrawn = true;
  };
}
