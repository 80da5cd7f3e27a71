// options.ts: what the edge is told, and what it refuses before a port is opened. Not here: where the values come from
// (settings/), who a token belongs to (authenticate.ts).
//   O1. Nothing listens beyond loopback without principals and TLS, unless `allowInsecure` says so.

import { isIP } from "node:net";
import { ForelockError } from "@forelock/protocol";
import type { Right } from "../shard/service.ts";
import { nameProblem } from "./names.ts";

export interface EdgeOptions {
  /** Address or host name to listen on; "127.0.0.1" unless the operator says otherwise. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Listen beyond loopback without principals or TLS. */
  readonly allowInsecure: boolean;
  /** Further names by which browsers may reach a loopback port (in the header Host), without port. */
  readonly hostNames: readonly string[];
  readonly tls: TlsOptions | undefined;
  /** Empty: every connection is the principal `local` with all rights. */
  readonly principals: readonly PrincipalOptions[];
  readonly limits: EdgeLimits;
  /** Path to static page, `/` and `/assets/...`. */
  readonly pages: ReadonlyMap<string, Page>;
  readonly version: string;
  /** Whose nodes may speak for clients of theirs. Undefined: nobody may. */
  readonly cluster?: ClusterOptions;
}

export interface ClusterOptions {
  /** Of this node. */
  readonly nodeId: string;
  /** Known to all nodes, at least 16 characters. Empty: only certificates count. */
  readonly secret: string;
  /** Subject alternative names of the nodes' certificates, as `DNS:node-1`. */
  readonly san: readonly string[];
}

/** PEM texts. */
export interface TlsOptions {
  readonly key: string;
  readonly cert: string;
  /** Who signs client certificates. Undefined: none are asked for. */
  readonly clientCa: string | undefined;
  /** Refuse connections without a client certificate; needs `clientCa`. */
  readonly clientRequired: boolean;
}

export interface PrincipalOptions {
  readonly name: string;
  /** At least 16 characters. */
  readonly token: string | undefined;
  /** SHA-256 of the token, 64 hexadecimal digits: instead of `token`. */
  readonly tokenSha256: string | undefined;
  /** Subject alternative names of client certificates, as `DNS:worker-1` or `URI:spiffe://cluster/worker`. */
  readonly san: readonly string[];
  readonly rights: readonly RightOptions[];
}

export interface RightOptions {
  readonly right: Right;
  /** Whole path parts: `orders` covers `orders` and `orders/42`, not `orders2`. Empty covers everything. */
  readonly prefix: string;
}

export interface EdgeLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  readonly connectionsPerPrincipalMax: number;
  /** Operations in flight over all connections. */
  readonly requestsMax: number;
  readonly requestsPerConnectionMax: number;
  /** Unsent bytes after which a connection is cut. */
  readonly writeBufferBytesMax: number;
  /** From the connection's first moment to its first whole frame. */
  readonly helloMs: number;
  /** From a frame's first byte to its last, and from a full write buffer to an empty one. */
  readonly frameMs: number;
  /** For finishing what is in flight when the edge closes. */
  readonly stopMs: number;
  /** Watches and awaits over all connections. */
  readonly watchersMax: number;
  readonly watchersPerConnectionMax: number;
  readonly frameBytesMax: number;
  readonly frameOperationsMax: number;
  readonly appendBytesMax: number;
  readonly waitMsMax: number;
  readonly keepMsMax: number;
  readonly ttlMsMin: number;
  readonly ttlMsMax: number;
  /** Results a session may leave unacknowledged: told to clients, kept by the shard. */
  readonly unansweredMax: number;
}

export interface Page {
  /** Content type. */
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Of `cluster.secret`, in characters: fewer can be guessed. */
export const SECRET_LENGTH_MIN = 16;

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1" || host === "[::1]") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** @throws ForelockError `bad_setting`, naming the key, the value and the range */
export function checkOptions(options: EdgeOptions): void {
  const { limits } = options;
  checkExposure(options); // O1
  for (const [key, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) throw bad(`edge limit ${key}: ${value}; allowed 1 or more.`);
  }
  // Above 16 MiB the first byte of a frame is not 0 any more, and the carriers of one port could not be told apart.
  if (limits.frameBytesMax > 0xff_ffff) throw bad(`frame.bytesMax: ${limits.frameBytesMax}; allowed up to 16,777,215.`);
  const secretLength = options.cluster?.secret.length ?? 0;
  if (secretLength > 0 && secretLength < SECRET_LENGTH_MIN)
    throw bad(`cluster.secret: ${secretLength} characters; allowed ${SECRET_LENGTH_MIN} or more, or none.`);
  const names = new Set<string>();
  for (const principal of options.principals) {
    if (names.has(principal.name)) throw bad(`auth.principals: "${principal.name}" is there twice.`);
    names.add(principal.name);
    checkPrincipal(principal);
  }
}

function checkExposure(options: EdgeOptions): void {
  if (isLoopback(options.host) || options.allowInsecure) return;
  const missing = [
    ...(options.principals.length === 0 ? ["authentication (auth.principals)"] : []),
    ...(options.tls === undefined ? ["TLS (tls.cert, tls.key)"] : []),
  ];
  if (missing.length === 0) return;
  throw bad(
    `host: "${options.host}" can be reached from other machines, and ${missing.join(" and ")} is not set. ` +
      "Listen on 127.0.0.1, set both, or set allowInsecure.",
  );
}

function checkPrincipal(principal: PrincipalOptions): void {
  const key = `auth.principals "${principal.name}"`;
  if (!/^[\w.@:-]{1,64}$/.test(principal.name)) throw bad(`${key}: a name is 1 to 64 of letters, digits and _ . @ : -`);
  if (principal.token !== undefined && principal.token.length < 16) throw bad(`${key} token: below 16 characters.`);
  if (principal.tokenSha256 !== undefined && !/^[0-9a-f]{64}$/i.test(principal.tokenSha256)) {
    throw bad(`${key} tokenSha256: not 64 hexadecimal digits.`);
  }
  if (principal.token === undefined && principal.tokenSha256 === undefined && principal.san.length === 0) {
    throw bad(`${key}: has neither token, tokenSha256 nor san, so nobody could be it.`);
  }
  for (const { prefix } of principal.rights) {
    const problem = prefix === "" ? undefined : nameProblem(prefix);
    if (problem !== undefined) throw bad(`${key} prefix: ${problem}`);
  }
}

function bad(message: string): ForelockError {
  return new ForelockError("bad_setting", message);
}
