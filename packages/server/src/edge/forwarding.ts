// forwarding.ts: who may say a Hello for somebody else: nodes of the same cluster. Not here: the proof itself (cluster/proof.ts), what
// is forwarded (cluster/).
//   F1. What is claimed is believed only with a proof that is fresh, meant for this node and new, or with the certificate of a node.
//   F2. The rights are those of this node's own table: the other node only says who it is.
//   F3. Without a principal a node asks for itself, on a connection of no session. No principal has an empty name.
import { ForelockError, type Forwarded, type Hello, Purpose } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { AGE_MS_MAX, isProof, NONCE_BYTES } from "../cluster/proof.ts";
import type { Authenticator, Peer } from "./authenticate.ts";
import type { EdgeCaller } from "./authorize.ts";
import type { ClusterOptions } from "./options.ts";

/** Proofs seen that are not too old yet; only nodes that know the secret add to them. */
const NONCES_MAX = 200_000;
const TEXT_BYTES_MAX = 256;

export class Forwarding {
  readonly #noncesMax: number;
  readonly #options: ClusterOptions;
  readonly #authenticator: Authenticator;
  readonly #clock: Clock;
  /** By nonce, when it may be forgotten; in order of arrival. */
  readonly #seen = new Map<string, number>();

  constructor(options: ClusterOptions, authenticator: Authenticator, clock: Clock, noncesMax = NONCES_MAX) {
    this.#noncesMax = noncesMax;
    this.#options = options;
    this.#authenticator = authenticator;
    this.#clock = clock;
  }

  /** @throws ForelockError `unauthenticated`, `permission_denied` when this node does not know the principal */
  authenticate(peer: Peer, hello: Hello, forwarded: Forwarded): EdgeCaller {
    const problem = this.#problem(peer, hello, forwarded);
    if (problem !== undefined) throw this.#authenticator.failed(peer.address, `hello.forwarded: ${problem}`);
    const { principal, remoteAddress, node } = forwarded;
    if (principal === "") return this.#authenticator.peer(remoteAddress, node); // F3
    return this.#authenticator.forwarded(principal, remoteAddress, node); // F2
  }

  /** F1 */
  #problem(peer: Peer, hello: Hello, forwarded: Forwarded): string | undefined {
    const { node, to, principal, remoteAddress, proof } = forwarded;
    if ([node, to, principal, remoteAddress].some((text) => text.length > TEXT_BYTES_MAX))
      return "a field is too long.";
    if (principal === "" && hello.purpose !== Purpose.SESSIONLESS) return "a session needs a principal.";
    if (to !== this.#options.nodeId) return `it is meant for node ${to}, and this one is ${this.#options.nodeId}.`;
    if (proof.length === 0) {
      const isNode = this.#options.san.some((name) => peer.san.includes(name));
      return isNode ? undefined : "neither a proof nor the certificate of a node came.";
    }
    if (this.#options.secret === "") return "this node has no cluster.secret to check a proof with.";
    if (!isProof(this.#options.secret, hello, forwarded)) return "the proof is wrong.";
    return this.#replayed(forwarded);
  }

  #replayed({ nonce, atMs }: Forwarded): string | undefined {
    const wallMs = this.#clock.wallMs();
    if (Math.abs(wallMs - atMs) > AGE_MS_MAX) {
      return `the proof is ${Math.round(wallMs - atMs)} ms old; allowed ${AGE_MS_MAX} either way. Are the clocks set?`;
    }
    if (nonce.length !== NONCE_BYTES) return `a nonce has ${NONCE_BYTES} bytes.`;
    const nowMs = this.#clock.monotonicMs();
    for (const [old, untilMs] of this.#seen) {
      if (untilMs > nowMs) break;
      this.#seen.delete(old);
    }
    const key = nonce.toString("base64url");
    if (this.#seen.has(key)) return "the proof was used before.";
    if (this.#seen.size >= this.#noncesMax) {
      throw new ForelockError("rate_limited", `${this.#seen.size} forwarded connections came within two minutes.`, {
        retryAfterMs: 1_000,
      });
    }
    this.#seen.set(key, nowMs + 2 * AGE_MS_MAX);
    return undefined;
  }
}
