// session-links.ts: the sessions of clients that are connected here, and their connections to peers. Not here: which request goes where
// (session-routes.ts).
//   N1. A session has at most one link to a peer. It opens when something is first asked there or a partition of the session moves there.
//   N2. When a link is lost, notices may be lost with it: as soon as every partition has an owner again, the client is made to resume.
import type { ClusterMap, ForelockError, Notice, Welcome } from "@forelock/protocol";
import { ForelockError as Failure } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Node } from "../shard/node.ts";
import { parseReference } from "../shard/reference.ts";
import type { Caller, NodeSession, OpenSession, ResumeSession } from "../shard/service.ts";
import type { Link } from "./link.ts";
import type { Links } from "./links.ts";
import type { Owners, PeerAddress } from "./owners.ts";
import { partitionsOf, type RoutedSession } from "./routed-session.ts";

export interface SessionLinksParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly links: Links;
  readonly clock: Clock;
}

export class SessionLinks {
  readonly #parts: SessionLinksParts;
  readonly #sessions = new Map<string, RoutedSession>();
  readonly #interrupted = new Set<RoutedSession>();
  /** From whose peers a partition has moved away. */
  readonly #emptied = new Map<Link, RoutedSession>();
  /** Opened because a partition moved: notices may already have been made there. */
  readonly #following = new WeakSet<Link>();

  constructor(parts: SessionLinksParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): RoutedSession | undefined {
    return this.#sessions.get(id);
  }

  /** @throws ForelockError `session_expired` */
  known(session: NodeSession): RoutedSession {
    const routed = this.#sessions.get(session.id);
    if (routed === undefined) throw new Failure("session_expired", `Session ${session.id} is not known here any more.`);
    return routed;
  }

  /** A client opened or resumed it here. */
  add(caller: Caller, session: NodeSession, secret: Uint8Array, asked: OpenSession | ResumeSession): RoutedSession {
    const nowMs = this.#parts.clock.monotonicMs();
    const open = "open" in asked ? asked.open : undefined;
    const before = this.#sessions.get(session.id);
    if (before?.secret.equals(secret)) {
      before.usedAtMs = nowMs;
      before.application = asked.application ?? before.application;
      if (open !== undefined) before.open = open;
      return before;
    }
    if (before !== undefined) this.remove(before);
    const routed: RoutedSession = {
      ...{ id: session.id, caller, secret: Buffer.from(secret), ttlMs: session.ttlMs, client: asked.client },
      ...{ application: asked.application ?? "", links: new Map(), partitions: new Set(), batched: new Set() },
      ...{ sink: undefined, open, lowest: 0, mapVersion: 0, usedAtMs: nowMs, isGone: false },
      ...{ expiredAt: new Set(), expired: new Set() },
    };
    this.#sessions.set(session.id, routed);
    return routed;
  }

  remove(session: RoutedSession): void {
    session.isGone = true;
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
    this.#interrupted.delete(session);
    const links = [...session.links.values()];
    session.links.clear();
    for (const link of links) link.fail(new Failure("session_expired", `Session ${session.id} has ended.`));
  }

  /** N1. @throws ForelockError `connections_full`, `unavailable`, `session_expired` */
  linkTo(session: RoutedSession, peer: PeerAddress): Link {
    const link = session.links.get(peer.id);
    return link ?? this.#open(session, peer, undefined, () => {});
  }

  /** A fresh link to a peer for a client that has just resumed: resolves with all that lives there. */
  resumeAt(session: RoutedSession, peer: PeerAddress): Promise<Welcome> {
    return new Promise((resolve, reject) => {
      const before = session.links.get(peer.id);
      if (before !== undefined) {
        // What it leaves unanswered was asked on a connection that is gone; the client asks again.
        session.links.delete(peer.id);
        before.fail(new Failure("unavailable", "The session was resumed."));
      }
      this.#open(session, peer, session.open ?? [], resolve, reject);
    });
  }

  /** It asks for all of the elements at once: wherever they lie, it is to be heard from the first moment on. */
  spreads(session: NodeSession, elements: readonly { readonly name: string }[]): void {
    const { node, owners } = this.#parts;
    const partitions = new Set(elements.map(({ name }) => node.partitionOf(name)));
    const routed = this.#sessions.get(session.id);
    if (routed === undefined || partitions.size <= 1) return;
    for (const partition of partitions) {
      routed.batched.add(partition);
      const owner = owners.of(partition);
      if (owner.kind === "peer" && routed.sink !== undefined) this.#tryLinkTo(routed, owner.peer);
    }
  }

  /** Whether a batch may register it at the peer at any time. */
  isBatchedAt({ batched }: RoutedSession, { peer }: Link): boolean {
    return [...batched].some((partition) => {
      const owner = this.#parts.owners.of(partition);
      return owner.kind === "peer" && owner.peer.id === peer.id;
    });
  }

  /** What the welcome of this node itself says of batches. */
  noteBatches(session: RoutedSession, { openBatches }: Welcome): void {
    for (const { partitions } of openBatches) for (const partition of partitions) session.batched.add(partition);
  }

  /** Nothing of the session lives at the peer. */
  drop(session: RoutedSession, link: Link): void {
    if (session.links.get(link.peer.id) === link) session.links.delete(link.peer.id);
    this.#parts.links.end(link);
  }

  /** Notes who is registered in a partition that leaves this node, before the node forgets. */
  leaving(partition: number): void {
    for (const known of this.#parts.node.directory) {
      if (known.partitions.has(partition)) this.#sessions.get(known.id)?.partitions.add(partition);
    }
  }

  /** Notices come from the new owners from now on. @param moved partitions, with the node that owned each before, if there was one */
  follow(moved: ReadonlyMap<number, string | undefined>): void {
    if (moved.size === 0) return;
    for (const session of this.#sessions.values()) {
      for (const partition of partitionsOf(session)) {
        if (!moved.has(partition)) continue;
        const owner = this.#parts.owners.of(partition);
        if (session.sink !== undefined && owner.kind === "peer") this.#tryLinkTo(session, owner.peer);
        const before = session.links.get(moved.get(partition) ?? "");
        if (before !== undefined) this.#emptied.set(before, session);
      }
    }
  }

  /** Clients that may go to owners directly learn who they are. */
  tell(map: ClusterMap): void {
    const notice: Notice = { body: { $case: "map", value: map } };
    for (const session of this.#sessions.values()) {
      if (session.mapVersion === 0 || session.mapVersion >= map.version) continue; // Not for it, or in its Welcome.
      session.mapVersion = map.version;
      session.sink?.notify(notice);
    }
  }

  /** N2. Call some times a second and when owners have changed. */
  interrupt(): void {
    const { owners, node, links } = this.#parts;
    if (this.#interrupted.size === 0) return;
    for (let partition = 0; partition < node.shards.length; partition += 1) {
      const owner = owners.of(partition);
      if (owner.kind === "nobody" || (owner.kind === "peer" && links.isInTrouble(owner.peer))) return;
    }
    const interrupted = [...this.#interrupted];
    this.#interrupted.clear();
    for (const { sink } of interrupted) sink?.interrupt?.();
  }

  /** Sessions that this node has let go of, and those whose client is gone from here; links to nodes that a session has moved away from. */
  sweep(): void {
    const { node, clock } = this.#parts;
    for (const [link, session] of this.#emptied) this.#dropEmpty(link, session);
    this.#emptied.clear();
    const nowMs = clock.monotonicMs();
    for (const session of [...this.#sessions.values()]) {
      const isUsed = session.sink !== undefined || nowMs - session.usedAtMs <= session.ttlMs;
      if (!isUsed || node.directory.get(session.id) === undefined) this.remove(session);
    }
  }

  /** Another node says that the secret is wrong: whoever resumed it here was not its client. */
  disown(session: RoutedSession): void {
    const { directory } = this.#parts.node;
    const known = directory.get(session.id);
    if (known !== undefined && known.partitions.size === 0) directory.remove(known);
    this.remove(session);
  }

  /** So that the end of a node which nothing lives at any more interrupts nobody. What it said before has long come. */
  #dropEmpty(link: Link, session: RoutedSession): void {
    const { owners } = this.#parts;
    if (link.isEnded || !link.isQuiet || session.links.get(link.peer.id) !== link) return;
    for (const partition of partitionsOf(session)) {
      const owner = owners.of(partition);
      if (owner.kind === "nobody" || (owner.kind === "peer" && owner.peer.id === link.peer.id)) return;
    }
    this.drop(session, link);
  }

  #tryLinkTo(session: RoutedSession, peer: PeerAddress): void {
    try {
      this.#following.add(this.linkTo(session, peer));
    } catch {
      this.#interrupted.add(session); // It learns by a resume what it would have been told.
    }
  }

  #open(
    session: RoutedSession,
    peer: PeerAddress,
    open: readonly number[] | undefined,
    welcomed: (welcome: Welcome) => void,
    refused: (error: ForelockError) => void = () => {},
  ): Link {
    if (session.isGone) throw new Failure("session_expired", `Session ${session.id} has ended.`);
    const { id, secret, ttlMs, client, application } = session;
    const asSession = {
      sessionId: Buffer.from(id, "base64url"),
      sessionSecret: secret,
      ttlMs,
      client,
      application,
      open,
    };
    const link: Link = this.#parts.links.open(peer, session.caller, asSession, {
      welcomed: (welcome) => {
        this.#note(session, welcome);
        // What ended before this link was there to tell. The client passes over what it knows.
        if (open === undefined) for (const notice of welcome.missed) session.sink?.notify(notice);
        welcomed(welcome);
      },
      notified: (notices) => {
        for (const notice of notices) session.sink?.notify(notice);
      },
      ended: (error) => {
        refused(error); // First: it is the reason, and what follows from it is not.
        this.#ended(session, link, error);
      },
    });
    if (session.lowest > 0) link.acknowledge(session.lowest, []);
    session.links.set(peer.id, link);
    return link;
  }

  #note(session: RoutedSession, welcome: Welcome): void {
    const { grants, waits } = welcome;
    this.noteBatches(session, welcome);
    for (const { name } of grants) session.partitions.add(this.#parts.node.partitionOf(name));
    for (const { reference } of waits) {
      const parsed = parseReference(reference, session.caller.principal);
      if (parsed !== undefined) session.partitions.add(parsed.partition);
    }
  }

  #ended(session: RoutedSession, link: Link, error: ForelockError): void {
    if (session.links.get(link.peer.id) !== link) return;
    session.links.delete(link.peer.id);
    if (error.code === "session_unknown" && !link.isWelcome) return this.disown(session);
    if (error.code === "session_expired") return this.#expiredAt(session, link.peer);
    // One that never stood has told nothing, and so has lost nothing.
    const hasTold = link.isWelcome || this.#following.has(link);
    if (session.sink !== undefined && hasTold) this.#interrupted.add(session);
  }

  #expiredAt(session: RoutedSession, { id }: PeerAddress): void {
    session.expiredAt.add(id);
    for (const partition of session.partitions) {
      const owner = this.#parts.owners.of(partition);
      if (owner.kind !== "peer" || owner.peer.id !== id) continue;
      session.partitions.delete(partition);
      session.expired.add(partition);
    }
  }
}
