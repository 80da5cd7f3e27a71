// close.ts: the end of a session at every node. It is not atomic: what cannot be reached now ends with the session's ttl.
import type { Operation, Reply } from "@forelock/protocol";
import { asForelockError, errorMessage, errorReply } from "../shard/answers.ts";
import type { Node } from "../shard/node.ts";
import type { NodeSession } from "../shard/service.ts";
import type { Owners, PeerAddress } from "./owners.ts";
import { partitionsOf, type RoutedSession } from "./routed-session.ts";
import type { SessionLinks } from "./session-links.ts";

export interface CloseParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly sessions: SessionLinks;
}

/** Closes it at the peers first: a client that has to ask again finds it here. Does not reject. */
export async function closeEverywhere(
  parts: CloseParts,
  routed: RoutedSession,
  session: NodeSession,
  operation: Operation,
): Promise<Reply["body"]> {
  const { node, sessions } = parts;
  const replies = await Promise.all(peersOf(parts, routed).map((peer) => closeAt(sessions, routed, peer, operation)));
  const failed = replies.find(({ body }) => body?.$case === "error" && !isGone(body.value.code));
  if (failed !== undefined) return failed.body;
  const own = await new Promise<Reply>((resolve) => node.submit(routed.caller, session, operation, resolve));
  if (own.body?.$case === "closeSession") sessions.remove(routed);
  return own.body;
}

function closeAt(
  sessions: SessionLinks,
  routed: RoutedSession,
  peer: PeerAddress,
  operation: Operation,
): Promise<Reply> {
  return new Promise((resolve) => {
    const failed = (cause: unknown): void =>
      resolve(errorReply(operation.sequence, errorMessage(asForelockError(cause))));
    try {
      sessions.linkTo(routed, peer).ask(operation, { isPatient: false, next: undefined, reply: resolve, failed });
    } catch (cause) {
      failed(cause);
    }
  });
}

/** Where its operations come here: all nodes that it lives at. Else any node may have registered it. */
function peersOf({ owners }: CloseParts, session: RoutedSession): readonly PeerAddress[] {
  const { sink, links } = session;
  if (sink === undefined) return owners.peers();
  const peers = new Map([...links.values()].map(({ peer }) => [peer.id, peer]));
  for (const partition of partitionsOf(session)) {
    const owner = owners.of(partition);
    if (owner.kind === "peer") peers.set(owner.peer.id, owner.peer);
  }
  return [...peers.values()];
}

function isGone(code: string): boolean {
  return code === "session_expired" || code === "session_closed" || code === "session_unknown";
}
