// links.ts: the connections of this node to its peers: how they are opened and proven, how many there may be, which have ended without
// saying so. Not here: one of them (link.ts), which are needed (session-links.ts, asks.ts).
//   K1. At most linksMax at once; the next one is refused `connections_full`.
//   K2. A peer that could not be reached is not dialled again for a moment, whoever asks.
import type { Socket } from "node:net";
import { ForelockError, type Hello, Purpose, type Welcome } from "@forelock/protocol";
import type { Clock, RandomBytes } from "../clock.ts";
import type { Caller } from "../shard/service.ts";
import { Link, type LinkEvents } from "./link.ts";
import type { PeerAddress } from "./owners.ts";
import { NONCE_BYTES, proofOf } from "./proof.ts";

export interface LinksOptions {
  /** Of this node. */
  readonly nodeId: string;
  /** Empty: the certificate that `dial` shows must do. */
  readonly secret: string;
  readonly linksMax: number;
  readonly dial: (peer: PeerAddress) => Socket;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** The session that a link speaks for. */
export interface LinkSession {
  readonly sessionId: Buffer;
  readonly sessionSecret: Buffer;
  readonly ttlMs: number;
  readonly client: string;
  readonly application: string;
  /** Of a client that has just resumed: what it still asks about. */
  readonly open: readonly number[] | undefined;
}

const PROTOCOL_VERSION = 1;
const TROUBLE_MS = 100;
const SILENCE_MS = 5_000;

export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Set<Link>();
  readonly #troubleUntilMs = new Map<string, number>();
  #opened = 0;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#links.size;
  }

  /** So far. */
  get opened(): number {
    return this.#opened;
  }

  /** K2 */
  isInTrouble(peer: PeerAddress): boolean {
    return (this.#troubleUntilMs.get(peer.id) ?? 0) > this.#options.clock.monotonicMs();
  }

  /** @param session undefined for reads and operator commands. @throws ForelockError `connections_full`, `unavailable` */
  open(peer: PeerAddress, caller: Caller, session: LinkSession | undefined, events: LinkEvents): Link {
    const { clock, dial, linksMax } = this.#options;
    if (this.#links.size >= linksMax) {
      const message = `This node has ${linksMax} connections to its peers, which is the most.`;
      throw new ForelockError("connections_full", message, { retryAfterMs: 1_000 }); // K1
    }
    if (this.isInTrouble(peer)) throw new ForelockError("unavailable", `Node ${peer.id} cannot be reached.`);
    this.#opened += 1;
    const link: Link = new Link({
      ...{ peer, dial, clock, hello: this.#hello(peer, caller, session) },
      events: {
        welcomed: (welcome: Welcome) => {
          this.#troubleUntilMs.delete(peer.id);
          events.welcomed(welcome);
        },
        notified: (notices) => events.notified(notices),
        ended: (error) => {
          this.#links.delete(link);
          if (!link.isWelcome) this.#failedToOpen(peer, error);
          events.ended(error);
        },
      },
    });
    this.#links.add(link);
    return link;
  }

  end(link: Link): void {
    this.#links.delete(link);
    link.end();
  }

  /** Ends links to nodes that are no peers any more, and those that are silent while answers are due. */
  sweep(peers: readonly PeerAddress[]): void {
    const living = new Map(peers.map((peer) => [peer.id, peer]));
    const nowMs = this.#options.clock.monotonicMs();
    for (const link of [...this.#links]) {
      const { peer } = link;
      const now = living.get(peer.id);
      if (now === undefined || now.host !== peer.host || now.port !== peer.port)
        link.fail(new ForelockError("unavailable", `Node ${peer.id} has left the cluster.`));
      else if (link.isStalled(nowMs, SILENCE_MS))
        link.fail(new ForelockError("unavailable", `Node ${peer.id} has been silent for ${SILENCE_MS} ms.`));
    }
    for (const id of this.#troubleUntilMs.keys()) if (!living.has(id)) this.#troubleUntilMs.delete(id);
  }

  close(): void {
    for (const link of [...this.#links]) this.end(link);
  }

  #failedToOpen(peer: PeerAddress, error: ForelockError): void {
    if (error.code !== "unavailable" && error.code !== "unauthenticated" && error.code !== "rate_limited") return;
    if (error.code === "unauthenticated")
      this.#options.note("a peer does not believe this node", { peer: peer.id, error: error.plainMessage });
    this.#troubleUntilMs.set(peer.id, this.#options.clock.monotonicMs() + TROUBLE_MS);
  }

  #hello(peer: PeerAddress, caller: Caller, session: LinkSession | undefined): Hello {
    const { nodeId, secret, random, clock } = this.#options;
    const claims = {
      ...{ node: nodeId, to: peer.id, nonce: Buffer.from(random(NONCE_BYTES)), atMs: Math.floor(clock.wallMs()) },
      ...{ principal: caller.principal, remoteAddress: caller.remoteAddress, resumed: session?.open !== undefined },
    };
    const hello: Hello = {
      version: PROTOCOL_VERSION,
      purpose: session === undefined ? Purpose.SESSIONLESS : Purpose.OPERATIONS,
      token: "",
      sessionId: session?.sessionId ?? Buffer.alloc(0),
      sessionSecret: session?.sessionSecret ?? Buffer.alloc(0),
      ttlMs: session?.ttlMs ?? 0,
      open: session?.open?.map(BigInt) ?? [],
      client: session?.client ?? "",
      application: session?.application ?? "",
      forwarded: undefined,
      direct: false,
    };
    const proof = secret === "" ? Buffer.alloc(0) : proofOf(secret, claims, hello);
    return { ...hello, forwarded: { ...claims, proof } };
  }
}

/** Whether what was answered so may go well a moment later, or at another node. */
export function isPassing({ code }: { readonly code: string }): boolean {
  return code === "not_owner" || code === "unavailable" || code === "outcome_unknown";
}

/** As `isPassing`, for the end of a link: also what an operator is about to mend, and being taken over by a newer link of this node. */
export function isPassingEnd(error: { readonly code: string }): boolean {
  return (
    isPassing(error) || error.code === "cancelled" || error.code === "unauthenticated" || error.code === "rate_limited"
  );
}
