// authenticate.ts: who is calling, from a bearer token or a client certificate. Not here: what they may do (authorize.ts).
//   I1. Tokens are compared as SHA-256 in constant time, against every principal, whatever matches first.
//   I2. A certificate names its principal by subject alternative name, never by common name, and only when its chain was verified.
//   I3. Wrong tokens from one address are bounded in what they cost and log; other addresses notice nothing.

import { createHash, timingSafeEqual } from "node:crypto";
import { ForelockError } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { ALL_RIGHTS, type EdgeCaller, NO_RIGHTS, type Rights, rightsOf } from "./authorize.ts";
import type { EdgeCounters } from "./counters.ts";
import type { EdgeLog } from "./log.ts";
import type { PrincipalOptions } from "./options.ts";

const FAILURES_BURST = 10;
const FAILURES_PER_SECOND = 1;
const ADDRESSES_MAX = 10_000;

/** What a connection shows of itself before any message. */
export interface Peer {
  readonly address: string;
  /** Subject alternative names of a verified client certificate. */
  readonly san: readonly string[];
  /** Token that came beside the messages (gRPC metadata); empty when none did. */
  readonly bearer: string;
}

interface Principal {
  readonly name: string;
  readonly tokenHash: Buffer | undefined;
  readonly san: readonly string[];
  readonly rights: Rights;
}

interface Failures {
  tokens: number;
  countedMs: number;
  isLogged: boolean;
}

export interface AuthenticatorParts {
  readonly principals: readonly PrincipalOptions[];
  readonly clock: Clock;
  readonly log: EdgeLog;
  readonly counters: EdgeCounters;
}

export class Authenticator {
  readonly #principals: readonly Principal[];
  readonly #clock: Clock;
  readonly #log: EdgeLog;
  readonly #counters: EdgeCounters;
  readonly #failuresByAddress = new Map<string, Failures>();

  constructor({ principals, clock, log, counters }: AuthenticatorParts) {
    this.#principals = principals.map(prepare);
    this.#clock = clock;
    this.#log = log;
    this.#counters = counters;
  }

  /**
   * @param token empty when none was given: then the certificate counts
   * @throws ForelockError `unauthenticated`, or `rate_limited` past a burst of failures from one address
   */
  authenticate(peer: Peer, token: string): EdgeCaller {
    if (this.#principals.length === 0) return caller("local", ALL_RIGHTS, peer);
    const principal = token === "" ? this.#bySan(peer.san) : this.#byToken(token);
    if (principal !== undefined) return caller(principal.name, principal.rights, peer);
    throw this.failed(peer.address, token === "" ? "No token came." : "The token is not known.");
  }

  /**
   * For a principal that the node `forwardedBy` of the cluster has authenticated: with the rights that this node gives it.
   * @throws ForelockError `permission_denied` when it is not known here
   */
  forwarded(name: string, remoteAddress: string, forwardedBy: string): EdgeCaller {
    const peer = { address: remoteAddress };
    if (this.#principals.length === 0) return { ...caller("local", ALL_RIGHTS, peer), forwardedBy };
    const principal = this.#principals.find((each) => each.name === name);
    if (principal !== undefined) return { ...caller(name, principal.rights, peer), forwardedBy };
    throw new ForelockError("permission_denied", "The principal is not known to every node: their settings differ.");
  }

  /** For what the node `forwardedBy` of the cluster asks for itself: it has no rights of a principal. */
  peer(remoteAddress: string, forwardedBy: string): EdgeCaller {
    return { ...caller("", NO_RIGHTS, { address: remoteAddress }), forwardedBy, isPeer: true };
  }

  #byToken(token: string): Principal | undefined {
    const hash = createHash("sha256").update(token).digest();
    let found: Principal | undefined;
    for (const principal of this.#principals) {
      if (principal.tokenHash !== undefined && timingSafeEqual(principal.tokenHash, hash)) found = principal; // I1
    }
    return found;
  }

  #bySan(san: readonly string[]): Principal | undefined {
    return this.#principals.find((principal) => principal.san.some((name) => san.includes(name))); // I2
  }

  /** Counts a failure of `address`. @returns what it is told: `why`, or `rate_limited` past a burst (I3) */
  failed(address: string, why: string): ForelockError {
    this.#counters.authentications_failed_total++;
    const failures = this.#failures(address);
    if (failures.tokens >= 1) {
      failures.tokens--;
      return new ForelockError("unauthenticated", why);
    }
    if (!failures.isLogged) this.#log.warn({ remoteAddress: address }, "too many failed authentications");
    failures.isLogged = true; // I3
    return new ForelockError("rate_limited", "Too many attempts failed.", {
      retryAfterMs: 1_000 / FAILURES_PER_SECOND,
    });
  }

  #failures(address: string): Failures {
    const nowMs = this.#clock.monotonicMs();
    const found = this.#failuresByAddress.get(address);
    if (found === undefined) {
      const oldest = this.#failuresByAddress.keys().next();
      if (this.#failuresByAddress.size >= ADDRESSES_MAX && !oldest.done) this.#failuresByAddress.delete(oldest.value);
      const fresh = { tokens: FAILURES_BURST, countedMs: nowMs, isLogged: false };
      this.#failuresByAddress.set(address, fresh);
      return fresh;
    }
    const earned = ((nowMs - found.countedMs) / 1_000) * FAILURES_PER_SECOND;
    found.tokens = Math.min(FAILURES_BURST, found.tokens + earned);
    found.countedMs = nowMs;
    if (found.tokens >= FAILURES_BURST) found.isLogged = false;
    return found;
  }
}

/** Splits what Node reports as `subjectaltname`. A quoted entry holds odd characters made to deceive, and is left out. */
export function parseSan(subjectAltName: string | undefined): readonly string[] {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return [];
  return subjectAltName.split(", ").filter((name) => name.includes(":"));
}

function prepare({ name, token, tokenSha256, san, rights }: PrincipalOptions): Principal {
  const hash = token !== undefined ? createHash("sha256").update(token).digest() : undefined;
  return {
    name,
    tokenHash: hash ?? (tokenSha256 === undefined ? undefined : Buffer.from(tokenSha256, "hex")),
    san,
    rights: rightsOf(rights),
  };
}

function caller(principal: string, rights: Rights, peer: Pick<Peer, "address">): EdgeCaller {
  return { principal, may: rights.may, mayAnywhere: rights.mayAnywhere, remoteAddress: peer.address };
}
