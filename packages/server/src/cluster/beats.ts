// beats.ts: the heartbeat of a client at one node, for every node where its session lives. Not here: what a heartbeat does (shard/).
//   B1. It is answered when every node that decides for a partition of the session has answered, and lists the partitions of all.
//   B2. A partition that is in no answer is left out only when its owner answered without it. While owners change nothing is answered:
//       the client gives up first, which is the safe side, and its next heartbeat comes within a third of the ttl.
//   B3. Where a node tells that the session lives, what another remembers of an end there is about an earlier life.
import type { HeartbeatReply } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Node } from "../shard/node.ts";
import type { NodeSession, Vitals } from "../shard/service.ts";
import type { Link } from "./link.ts";
import type { Owners, PeerAddress } from "./owners.ts";
import { partitionsOf, type RoutedSession } from "./routed-session.ts";
import type { SessionLinks } from "./session-links.ts";

export interface BeatsParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly sessions: SessionLinks;
  readonly clock: Clock;
}

export class Beats {
  readonly #parts: BeatsParts;
  #changes = 0;

  constructor(parts: BeatsParts) {
    this.#parts = parts;
  }

  /** Owners have changed. */
  changed(): void {
    this.#changes += 1;
  }

  /** @throws ForelockError `session_expired` */
  beat(session: NodeSession, number: number, vitals: Vitals, respond: (reply: HeartbeatReply) => void): void {
    const { node, sessions, clock } = this.#parts;
    const routed = sessions.known(session);
    routed.usedAtMs = clock.monotonicMs();
    const links = this.#linksOf(routed);
    if (links === undefined) {
      node.heartbeat(session, number, vitals, () => {}); // Heard here all the same.
      return;
    }
    const changes = this.#changes;
    const before = new Set(routed.partitions);
    const partitions = new Set<number>();
    const expired = new Set(routed.expired);
    let due = links.length + 1;
    const take = (reply: HeartbeatReply): void => {
      for (const partition of reply.partitions) partitions.add(partition);
      for (const partition of reply.expiredPartitions) expired.add(partition);
      due -= 1;
      if (due > 0 || this.#changes !== changes) return; // B1, B2
      const ended = [...expired].filter((partition) => !partitions.has(partition)); // B3
      respond({ number, partitions: [...partitions], expiredPartitions: ended });
      for (const partition of routed.partitions) if (!before.has(partition)) partitions.add(partition); // Used since.
      routed.partitions = partitions;
    };
    for (const link of links) {
      link.beat(vitals, (reply) => {
        if (reply.partitions.length === 0 && link.isQuiet && !sessions.isBatchedAt(routed, link))
          sessions.drop(routed, link);
        take(reply);
      });
    }
    node.heartbeat(session, number, vitals, take);
  }

  /** Where the session lives beyond this node; undefined when that is not known just now. */
  #linksOf(session: RoutedSession): readonly Link[] | undefined {
    const peers = this.#peersOf(session);
    if (peers === undefined) return undefined;
    const links: Link[] = [];
    try {
      for (const peer of peers) links.push(this.#parts.sessions.linkTo(session, peer));
    } catch {
      return undefined; // B1: one of them cannot be asked.
    }
    return links;
  }

  #peersOf(session: RoutedSession): Iterable<PeerAddress> | undefined {
    const { owners, node } = this.#parts;
    // Its operations come to other nodes: any of them may have registered it anywhere.
    if (session.sink === undefined) {
      for (let partition = 0; partition < node.shards.length; partition += 1)
        if (owners.of(partition).kind === "nobody") return undefined;
      return owners.peers().filter(({ id }) => !session.expiredAt.has(id));
    }
    const peers = new Map([...session.links.values()].map(({ peer }) => [peer.id, peer]));
    for (const partition of partitionsOf(session)) {
      const owner = owners.of(partition);
      if (owner.kind === "nobody") return undefined;
      if (owner.kind === "peer") peers.set(owner.peer.id, owner.peer);
    }
    return peers.values();
  }
}
