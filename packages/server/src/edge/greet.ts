// greet.ts: the first message of a connection: who calls, for which session. Not here: frames (connection.ts), tokens
// (authenticate.ts), what a session is (shard/).
//   G1. Nothing of a Hello is acted on before all of it was checked; the session is looked for last.
//   G2. A direct connection is for principals with the right `direct`, in a cluster, and for a session that exists elsewhere.
import { ForelockError, type Hello, Purpose, Welcome } from "@forelock/protocol";
import type { OpenedSession, Service } from "../shard/service.ts";
import type { Authenticator, Peer } from "./authenticate.ts";
import type { EdgeCaller } from "./authorize.ts";
import type { Forwarding } from "./forwarding.ts";
import { NAME_BYTES_MAX } from "./names.ts";
import type { EdgeLimits } from "./options.ts";
import { range, text } from "./validate.ts";
import type { Refusal } from "./wire-error.ts";

export const PROTOCOL_VERSION = 1;
const SESSION_ID_BYTES = 16;
const SECRET_BYTES_MIN = 16;
const SECRET_BYTES_MAX = 64;
const CLIENT_BYTES_MAX = 128;
const APPLICATION_BYTES_MAX = 64;
const TOKEN_BYTES_MAX = 4_096;
const OPEN_MAX = 65_536;

/** What the connection is for, and in whose name. */
export type Greeting =
  | {
      readonly kind: "operations";
      readonly caller: EdgeCaller;
      readonly opened: OpenedSession;
      /** It stands for all that the client has at this node: what the session had connected before ends. */
      readonly takesOver: boolean;
    }
  | { readonly kind: "heartbeat"; readonly caller: EdgeCaller; readonly opened: OpenedSession }
  | { readonly kind: "sessionless"; readonly caller: EdgeCaller };

export interface Greeter {
  readonly service: Service;
  readonly authenticator: Authenticator;
  readonly limits: EdgeLimits;
  readonly version: string;
  /** Absent outside a cluster: then nobody speaks for others. */
  readonly forwarding?: Forwarding;
}

/** Checks the Hello and says who calls. @throws ForelockError */
export function authenticateHello(greeter: Greeter, peer: Peer, hello: Hello): EdgeCaller {
  const { authenticator, forwarding, limits } = greeter;
  if (hello.version !== PROTOCOL_VERSION) {
    throw new ForelockError("not_supported", `hello.version: ${hello.version}; this node speaks ${PROTOCOL_VERSION}.`);
  }
  const refusal = checkHello(hello, limits);
  if (refusal !== undefined) throw new ForelockError(refusal.code, refusal.message);
  if (hello.forwarded !== undefined) {
    if (forwarding === undefined)
      throw authenticator.failed(peer.address, "hello.forwarded: this node is in no cluster.");
    return forwarding.authenticate(peer, hello, hello.forwarded);
  }
  const caller = authenticator.authenticate(peer, hello.token === "" ? peer.bearer : hello.token);
  if (!hello.direct) return caller;
  if (forwarding === undefined) throw new ForelockError("not_supported", "hello.direct: this node is in no cluster.");
  if (!caller.may("direct", "")) {
    throw new ForelockError("permission_denied", `Principal "${caller.principal}" lacks the right "direct".`);
  }
  return { ...caller, isDirect: true }; // G2
}

/** Opens or resumes the session that a checked Hello asks for. @throws ForelockError */
export function openFor({ service }: Greeter, caller: EdgeCaller, hello: Hello): Greeting {
  const { sessionId, sessionSecret: secret, client, application } = hello;
  const ttlMs = hello.ttlMs === 0 ? undefined : hello.ttlMs;
  switch (hello.purpose) {
    case Purpose.SESSIONLESS:
      return { kind: "sessionless", caller };
    case Purpose.HEARTBEAT: // Forgets nothing: the operations connection says what is still open.
      return {
        kind: "heartbeat",
        caller,
        opened: service.resumeSession(caller, { sessionId, secret, open: undefined, client, ttlMs }),
      };
    default: {
      if (sessionId.length === 0) {
        const opened = service.openSession(caller, { ttlMs, client, application });
        return { kind: "operations", caller, opened, takesOver: false };
      }
      // A node that forwards does not know what is open, and a direct connection speaks for a part of it.
      const takesOver = !hello.direct && (hello.forwarded === undefined || hello.forwarded.resumed);
      const open = takesOver ? hello.open.map(Number) : undefined; // Checked to be safe.
      const opened = service.resumeSession(caller, { sessionId, secret, open, client, application, ttlMs });
      return { kind: "operations", caller, opened, takesOver };
    }
  }
}

/** The answer to a Hello, complete with what the edge itself knows. */
export async function welcomeFor(greeter: Greeter, greeting: Greeting): Promise<Welcome> {
  switch (greeting.kind) {
    case "operations":
      return withEdge(await greeter.service.welcome(greeting.caller, greeting.opened), greeter, greeting.caller);
    case "heartbeat": {
      const { session } = greeting.opened;
      return withEdge(
        { ...Welcome.create(), sessionId: Buffer.from(session.id, "base64url"), ttlMs: session.ttlMs },
        greeter,
        greeting.caller,
      );
    }
    case "sessionless":
      return withEdge(Welcome.create(), greeter, greeting.caller);
  }
}

function checkHello(hello: Hello, { ttlMsMin, ttlMsMax }: EdgeLimits): Refusal | undefined {
  const { purpose, sessionId, sessionSecret, ttlMs, open, direct, forwarded } = hello;
  if (purpose < Purpose.OPERATIONS || purpose > Purpose.SESSIONLESS) return range("hello.purpose", purpose, 0, 2);
  const isNew = sessionId.length === 0 && purpose !== Purpose.HEARTBEAT;
  if (!isNew && purpose !== Purpose.SESSIONLESS) {
    if (sessionId.length !== SESSION_ID_BYTES)
      return range("hello.session_id bytes", sessionId.length, SESSION_ID_BYTES, SESSION_ID_BYTES);
    const secretBytes = sessionSecret.length;
    if (secretBytes < SECRET_BYTES_MIN || secretBytes > SECRET_BYTES_MAX) {
      return range("hello.session_secret bytes", secretBytes, SECRET_BYTES_MIN, SECRET_BYTES_MAX);
    }
  }
  if (direct && (sessionId.length === 0 || purpose === Purpose.SESSIONLESS || forwarded !== undefined)) {
    return { code: "bad_argument", message: "hello.direct: only for a session, by its client." }; // G2
  }
  if (open.length > OPEN_MAX) return range("hello.open length", open.length, 0, OPEN_MAX);
  if (open.some((sequence) => sequence > BigInt(Number.MAX_SAFE_INTEGER))) {
    return { code: "bad_argument", message: "hello.open: a sequence is above 2^53 - 1." };
  }
  return (
    checkTtl("hello.ttl_ms", ttlMs, ttlMsMin, ttlMsMax) ??
    text("hello.client", hello.client, 0, CLIENT_BYTES_MAX) ??
    text("hello.application", hello.application, 0, APPLICATION_BYTES_MAX) ??
    text("hello.token", hello.token, 0, TOKEN_BYTES_MAX)
  );
}

export function checkTtl(field: string, ttlMs: number, min: number, max: number): Refusal | undefined {
  return ttlMs === 0 || (ttlMs >= min && ttlMs <= max) ? undefined : range(field, ttlMs, min, max);
}

function withEdge(welcome: Welcome, { limits, version }: Greeter, caller: EdgeCaller): Welcome {
  return {
    ...welcome,
    principal: caller.principal,
    serverVersion: version,
    limits: {
      frameBytes: limits.frameBytesMax,
      frameOperations: limits.frameOperationsMax,
      nameBytes: NAME_BYTES_MAX,
      appendBytes: limits.appendBytesMax,
      requestsInFlight: limits.requestsPerConnectionMax,
      unanswered: limits.unansweredMax,
    },
  };
}
