// calls.ts: operations as single calls, for unary gRPC and HTTP/JSON: session and request id come beside the message. Not
// here: statuses and headers of either (grpc/, http/), frames (connection.ts).
//   U1. What changes something is a kept operation: its request id finds its outcome again from any session of the principal.
//   U2. A call is checked, authorised and counted like an operation in a frame.
//   U3. An acquire that ended without a grant is an error; asked about by GetOperation it is an answer.
import {
  AcknowledgeReply,
  AcknowledgeRequest,
  AcquireAllRequest,
  AcquireReply,
  AcquireRequest,
  AppendReply,
  AppendRequest,
  CancelReply,
  CancelRequest,
  ChangeClusterReply,
  ChangeClusterRequest,
  CloseSessionReply,
  CloseSessionRequest,
  DowngradeReply,
  DowngradeRequest,
  EndSessionReply,
  EndSessionRequest,
  ForceReleaseReply,
  ForceReleaseRequest,
  ForelockError,
  GetClusterReply,
  GetClusterRequest,
  GetHistoryReply,
  GetHistoryRequest,
  GetOperationRequest,
  GetPredictionReply,
  GetPredictionRequest,
  GetProfileReply,
  GetProfileRequest,
  GetStatusRequest,
  type HeartbeatReply,
  type HeartbeatRequest,
  ListFilesReply,
  ListFilesRequest,
  ListLocksReply,
  ListLocksRequest,
  ListPoliciesReply,
  ListPoliciesRequest,
  ListSessionsReply,
  ListSessionsRequest,
  type OpenSessionReply,
  type OpenSessionRequest,
  type Operation,
  OperationState,
  ReadFileReply,
  ReadFileRequest,
  ReadRecordsReply,
  ReadRecordsRequest,
  ReleaseReply,
  ReleaseRequest,
  type Reply,
  SetPolicyReply,
  SetPolicyRequest,
  StatusReply,
  UpgradeRequest,
  WarnReply,
  WarnRequest,
  WhyReply,
  WhyRequest,
  type Error as WireError,
} from "@forelock/protocol";
import type { RandomBytes } from "../clock.ts";
import type { NodeSession, Service } from "../shard/service.ts";
import type { Authenticator, Peer } from "./authenticate.ts";
import {
  authorize,
  type BodyValue,
  type EdgeCaller,
  type OperationBody,
  type OperationCase,
  ruleOf,
} from "./authorize.ts";
import { checkTtl } from "./greet.ts";
import type { Switchboard } from "./switchboard.ts";
import { requestId, text, validate } from "./validate.ts";
import { type Refusal, wireError, wireErrorOf } from "./wire-error.ts";

/** Generated code of one message, as far as calls need it. */
export interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
  toJSON(message: Message): unknown;
}

/** Operations that no unary call offers: they belong to a connection, or to nodes among themselves. */
type Streamed = "watch" | "unwatch" | "readBulk" | "peer";
export type CallCase = Exclude<OperationCase, Streamed>;
export type ReplyBody = NonNullable<Reply["body"]>;

export interface Method {
  /** In the service of the schema. */
  readonly rpc: string;
  // The table below pairs each request with its own codec; behind it the pair is opaque.
  readonly request: Codec<unknown>;
  readonly reply: Codec<unknown>;
}

function method<Case extends CallCase, Answer>(
  rpc: string,
  request: Codec<BodyValue<Case>>,
  reply: Codec<Answer>,
): Method {
  return { rpc, request, reply };
}

/** A new operation does not compile until it has its call here or is named in `Streamed`. */
export const METHODS: { readonly [Case in CallCase]: Method } = {
  acquire: method<"acquire", AcquireReply>("Acquire", AcquireRequest, AcquireReply),
  acquireAll: method<"acquireAll", AcquireReply>("AcquireAll", AcquireAllRequest, AcquireReply),
  upgrade: method<"upgrade", AcquireReply>("Upgrade", UpgradeRequest, AcquireReply),
  downgrade: method<"downgrade", DowngradeReply>("Downgrade", DowngradeRequest, DowngradeReply),
  release: method<"release", ReleaseReply>("Release", ReleaseRequest, ReleaseReply),
  cancel: method<"cancel", CancelReply>("Cancel", CancelRequest, CancelReply),
  getOperation: method<"getOperation", AcquireReply>("GetOperation", GetOperationRequest, AcquireReply),
  append: method<"append", AppendReply>("Append", AppendRequest, AppendReply),
  readFile: method<"readFile", ReadFileReply>("ReadFile", ReadFileRequest, ReadFileReply),
  readRecords: method<"readRecords", ReadRecordsReply>("ReadRecords", ReadRecordsRequest, ReadRecordsReply),
  listFiles: method<"listFiles", ListFilesReply>("ListFiles", ListFilesRequest, ListFilesReply),
  why: method<"why", WhyReply>("Why", WhyRequest, WhyReply),
  listLocks: method<"listLocks", ListLocksReply>("ListLocks", ListLocksRequest, ListLocksReply),
  listSessions: method<"listSessions", ListSessionsReply>("ListSessions", ListSessionsRequest, ListSessionsReply),
  getStatus: method<"getStatus", StatusReply>("GetStatus", GetStatusRequest, StatusReply),
  forceRelease: method<"forceRelease", ForceReleaseReply>("ForceRelease", ForceReleaseRequest, ForceReleaseReply),
  endSession: method<"endSession", EndSessionReply>("EndSession", EndSessionRequest, EndSessionReply),
  closeSession: method<"closeSession", CloseSessionReply>("CloseSession", CloseSessionRequest, CloseSessionReply),
  acknowledge: method<"acknowledge", AcknowledgeReply>("Acknowledge", AcknowledgeRequest, AcknowledgeReply),
  warn: method<"warn", WarnReply>("Warn", WarnRequest, WarnReply),
  setPolicy: method<"setPolicy", SetPolicyReply>("SetPolicy", SetPolicyRequest, SetPolicyReply),
  listPolicies: method<"listPolicies", ListPoliciesReply>("ListPolicies", ListPoliciesRequest, ListPoliciesReply),
  getProfile: method<"getProfile", GetProfileReply>("GetProfile", GetProfileRequest, GetProfileReply),
  getPrediction: method<"getPrediction", GetPredictionReply>("GetPrediction", GetPredictionRequest, GetPredictionReply),
  getHistory: method<"getHistory", GetHistoryReply>("GetHistory", GetHistoryRequest, GetHistoryReply),
  getCluster: method<"getCluster", GetClusterReply>("GetCluster", GetClusterRequest, GetClusterReply),
  changeCluster: method<"changeCluster", ChangeClusterReply>("ChangeCluster", ChangeClusterRequest, ChangeClusterReply),
};

/** What comes beside the message: gRPC metadata or HTTP headers. Absent ones are empty. */
export interface CallContext {
  readonly peer: Peer;
  /** Value of `authorization`. */
  readonly authorization: string;
  /** `<id>.<secret>` */
  readonly session: string;
  readonly requestId: string;
  /** Withdraws interest in the answer when the caller is gone. */
  readonly signal: AbortSignal;
}

export type Outcome =
  | { readonly kind: "reply"; readonly value: ReplyBody["value"]; readonly requestId: string }
  | { readonly kind: "error"; readonly error: WireError; readonly requestId: string };

export interface CallsParts {
  readonly service: Service;
  readonly authenticator: Authenticator;
  readonly switchboard: Switchboard;
  readonly random: RandomBytes;
}

const SESSION = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{22,86})$/;
const BEARER = /^bearer +(\S+)$/i;
const REQUEST_ID_BYTES = 18;
const CLIENT_BYTES_MAX = 128;
const RETRY_AFTER_MS = 100;
const FREEING: ReadonlySet<OperationCase> = new Set(["release", "cancel", "closeSession", "acknowledge"]);
const FREEING_SHARE = 2;

export class Calls {
  readonly #service: Service;
  readonly #authenticator: Authenticator;
  readonly #switchboard: Switchboard;
  readonly #random: RandomBytes;

  constructor({ service, authenticator, switchboard, random }: CallsParts) {
    this.#service = service;
    this.#authenticator = authenticator;
    this.#switchboard = switchboard;
    this.#random = random;
  }

  /** @throws ForelockError `unauthenticated`, `rate_limited` */
  caller({ peer, authorization }: Pick<CallContext, "peer" | "authorization">): EdgeCaller {
    return this.#authenticator.authenticate(peer, bearerOf(authorization));
  }

  /** @throws ForelockError */
  openSession(context: CallContext, { ttlMs, client }: OpenSessionRequest): OpenSessionReply {
    const caller = this.caller(context);
    const { ttlMsMin, ttlMsMax } = this.#switchboard.limits;
    refuseIf(checkTtl("ttlMs", ttlMs, ttlMsMin, ttlMsMax) ?? text("client", client, 0, CLIENT_BYTES_MAX));
    const { session, secret } = this.#service.openSession(caller, { ttlMs: ttlMs === 0 ? undefined : ttlMs, client });
    return { session: `${session.id}.${Buffer.from(secret ?? []).toString("base64url")}`, ttlMs: session.ttlMs };
  }

  /** @throws ForelockError */
  heartbeat(context: CallContext, { number, lagMs, health }: HeartbeatRequest): Promise<HeartbeatReply> {
    const session = this.#session(this.caller(context), context.session);
    if (session === undefined) throw new ForelockError("session_unknown", "forelock-session: missing.");
    this.#switchboard.counters.heartbeats_total++;
    return new Promise((resolve) => this.#service.heartbeat(session, number, { lagMs, health }, resolve));
  }

  /** Carries out one operation. Does not reject. */
  async call(context: CallContext, body: OperationBody): Promise<Outcome> {
    let id = "";
    try {
      const caller = this.caller(context);
      const rule = ruleOf(body);
      if (context.requestId !== "") refuseIf(requestId("forelock-request-id", context.requestId));
      if (rule.changes) id = context.requestId === "" ? this.#draw() : context.requestId; // U1
      const keep = id === "" ? undefined : { requestId: id, keepMs: 0 };
      const operation: Operation = { sequence: 0, keep, body };
      refuseIf(validate(operation, this.#switchboard.limits) ?? authorize(caller, body)); // U2
      const session = this.#session(caller, context.session);
      if (session === undefined && rule.session)
        throw new ForelockError("session_unknown", "forelock-session: missing.");
      return outcomeOf(body, await this.#submit(caller, session, operation, context.signal), id);
    } catch (error) {
      return { kind: "error", error: wireErrorOf(error), requestId: id };
    }
  }

  #session(caller: EdgeCaller, header: string): NodeSession | undefined {
    if (header === "") return undefined;
    const [, id, secret] = SESSION.exec(header) ?? [];
    // The value is a secret and is not repeated.
    if (id === undefined || secret === undefined)
      throw new ForelockError("bad_argument", "forelock-session: not <id>.<secret>.");
    const resume = { sessionId: Buffer.from(id, "base64url"), secret: Buffer.from(secret, "base64url") };
    return this.#service.resumeSession(caller, { ...resume, open: undefined, client: "", ttlMs: undefined }).session;
  }

  #submit(
    caller: EdgeCaller,
    session: NodeSession | undefined,
    operation: Operation,
    signal: AbortSignal,
  ): Promise<Reply> {
    const endCount = this.#admit(operation.body!.$case); // `validate` refused an absent body.
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        withdraw();
        endCount();
        reject(new ForelockError("cancelled", "The caller is gone."));
      };
      const withdraw = this.#service.submit(caller, session, operation, (reply) => {
        signal.removeEventListener("abort", abandon);
        endCount();
        resolve(reply);
      });
      if (signal.aborted) abandon();
      else signal.addEventListener("abort", abandon, { once: true });
    });
  }

  /** U2. @returns ends what it counted */
  #admit(kind: OperationCase): () => void {
    const { counters, limits } = this.#switchboard;
    if (kind === "getOperation") {
      if (counters.watchers >= limits.watchersMax)
        throw full("watchers_full", `${counters.watchers} watches and awaits.`);
      counters.watchers++;
      return () => {
        counters.watchers--;
      };
    }
    counters.operations_total++;
    if (counters.requests_in_flight >= limits.requestsMax * (FREEING.has(kind) ? FREEING_SHARE : 1)) {
      counters.operations_overloaded_total++;
      throw full("overloaded", `${counters.requests_in_flight} operations in flight.`);
    }
    counters.requests_in_flight++;
    return () => {
      counters.requests_in_flight--;
    };
  }

  #draw(): string {
    return Buffer.from(this.#random(REQUEST_ID_BYTES)).toString("base64url");
  }
}

/** The token of `Bearer <token>`; empty without one. */
export function bearerOf(authorization: string): string {
  return BEARER.exec(authorization)?.[1] ?? "";
}

function outcomeOf(asked: OperationBody, { body }: Reply, id: string): Outcome {
  if (body === undefined) return { kind: "error", error: wireErrorOf(undefined), requestId: id };
  if (body.$case === "error") return { kind: "error", error: body.value, requestId: id };
  if (body.$case === "acquire" && asked.$case !== "getOperation" && body.value.state === OperationState.ENDED) {
    const unknown = wireError({ code: "internal", message: "The operation ended without a reason." });
    return { kind: "error", error: body.value.error ?? unknown, requestId: id }; // U3
  }
  return { kind: "reply", value: body.value, requestId: id };
}

function refuseIf(refusal: Refusal | undefined): void {
  if (refusal !== undefined) throw new ForelockError(refusal.code, refusal.message);
}

function full(code: "watchers_full" | "overloaded", message: string): ForelockError {
  return new ForelockError(code, message, { retryAfterMs: RETRY_AFTER_MS });
}
