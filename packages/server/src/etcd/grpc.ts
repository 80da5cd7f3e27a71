// grpc.ts: GrpcEtcd, the client of real members. Not here: messages (wire.ts), what an error means (grpc-error.ts).
//   R1. A request that changes something is sent again only when it certainly was not done.
//   R2. A member that does not answer in `attemptMs` is left for the next one; so is one that lost its leader.
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { type Clock, pauseFor } from "../clock.ts";
import { Endpoint, type EtcdTls, type MessageCodec, type Method } from "./endpoint.ts";
import {
  type CallOptions,
  type Etcd,
  EtcdError,
  type LeaseAnswer,
  type LeaseId,
  type LeaseRequest,
  type MemberAlarm,
  type MemberStatus,
  type RangeAnswer,
  type RangeRequest,
  safeRevision,
  type TxnAnswer,
  type TxnRequest,
  type WatchBatch,
  type WatchRequest,
} from "./etcd.ts";
import * as wire from "./generated/etcd.ts";
import { type CallFailure, failureOf } from "./grpc-error.ts";
import { InFlight } from "./in-flight.ts";
import { watchOn } from "./watch-stream.ts";
import { rangeFromWire, rangeToWire, txnFromWire, txnToWire } from "./wire.ts";

export interface GrpcEtcdOptions {
  /** Such as "127.0.0.1:2379" or "https://etcd-1:2379"; at least one. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  readonly tls?: EtcdTls;
  readonly user?: { readonly name: string; readonly password: string };
  /** How long a request may take, attempts on all members included. Default: 5,000. */
  readonly deadlineMs?: number;
  /** How long one member may take to answer. Default: 1,000. */
  readonly attemptMs?: number;
  /** Requests under way at once. Default: 64. */
  readonly requestsMax?: number;
  /** Requests that wait for one to end. Default: 4,096. */
  readonly waitingMax?: number;
}

const DEADLINE_MS = 5_000;
const ATTEMPT_MS = 1_000;
const REQUESTS_MAX = 64;
const WAITING_MAX = 4_096;
/** Between attempts once every member was tried. */
const PAUSE_MS = 50;

const unary = <Request, Answer>(
  path: string,
  request: MessageCodec<Request>,
  answer: MessageCodec<Answer>,
): Method<Request, Answer> => ({ path: `/etcdserverpb.${path}`, request, answer });

const RANGE = unary("KV/Range", wire.RangeRequest, wire.RangeResponse);
const TXN = unary("KV/Txn", wire.TxnRequest, wire.TxnResponse);
const COMPACT = unary("KV/Compact", wire.CompactionRequest, wire.CompactionResponse);
const WATCH = unary("Watch/Watch", wire.WatchRequest, wire.WatchResponse);
const LEASE_GRANT = unary("Lease/LeaseGrant", wire.LeaseGrantRequest, wire.LeaseGrantResponse);
const LEASE_REVOKE = unary("Lease/LeaseRevoke", wire.LeaseRevokeRequest, wire.LeaseRevokeResponse);
const LEASE_KEEP_ALIVE = unary("Lease/LeaseKeepAlive", wire.LeaseKeepAliveRequest, wire.LeaseKeepAliveResponse);
const ALARM = unary("Maintenance/Alarm", wire.AlarmRequest, wire.AlarmResponse);
const STATUS = unary("Maintenance/Status", wire.StatusRequest, wire.StatusResponse);
const AUTHENTICATE = unary("Auth/Authenticate", wire.AuthenticateRequest, wire.AuthenticateResponse);

interface Attempt<Request, Answer> {
  readonly method: Method<Request, Answer>;
  readonly request: Request;
  readonly isRead: boolean;
  readonly options: CallOptions | undefined;
}

export class GrpcEtcd implements Etcd {
  readonly #options: GrpcEtcdOptions;
  readonly #endpoints: readonly Endpoint[];
  readonly #inFlight: InFlight;
  readonly #closing = new AbortController();
  #current = 0;
  /** Watches go round, so that one that stands still is tried elsewhere next. */
  #nextWatch = 0;
  #token: Promise<string> | undefined;

  constructor(options: GrpcEtcdOptions) {
    if (options.endpoints.length === 0) throw new RangeError("etcd needs at least one endpoint");
    this.#options = options;
    this.#endpoints = options.endpoints.map((address) => new Endpoint(address, options.tls));
    const { requestsMax = REQUESTS_MAX, waitingMax = WAITING_MAX } = options;
    this.#inFlight = new InFlight({ requestsMax, waitingMax });
  }

  async range(request: RangeRequest, options?: CallOptions): Promise<RangeAnswer> {
    return rangeFromWire(await this.#call({ method: RANGE, request: rangeToWire(request), isRead: true, options }));
  }

  async txn(request: TxnRequest, options?: CallOptions): Promise<TxnAnswer> {
    const isRead = [...request.success, ...(request.failure ?? [])].every(({ kind }) => kind === "range");
    return txnFromWire(await this.#call({ method: TXN, request: txnToWire(request), isRead, options }));
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchBatch, void> {
    this.#assertOpen();
    const metadata = await this.#metadata();
    this.#assertOpen();
    const stream = this.#endpointAt(this.#nextWatch++).stream(WATCH, metadata, {});
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    yield* watchOn(stream, request, ended);
    if (!signal.aborted) this.#assertOpen();
  }

  async leaseGrant({ ttlSeconds }: LeaseRequest, options?: CallOptions): Promise<LeaseAnswer> {
    const request = { TTL: BigInt(ttlSeconds), ID: 0n };
    const answer = await this.#call({ method: LEASE_GRANT, request, isRead: false, options });
    return { id: answer.ID, ttlSeconds: Number(answer.TTL) };
  }

  async leaseKeepAlive(id: LeaseId, options?: CallOptions): Promise<LeaseAnswer> {
    const answer = await this.#attempts(true, options, async (endpoint, attemptMs) => {
      const metadata = await this.#metadata();
      this.#assertOpen();
      const stream = endpoint.stream(LEASE_KEEP_ALIVE, metadata, this.#grpcOptions(attemptMs));
      stream.write({ ID: id });
      for await (const one of stream) {
        stream.on("error", () => {}); // What cancelling reports.
        stream.cancel();
        return one as wire.LeaseKeepAliveResponse; // The stream's answers have no type of their own as a Readable.
      }
      throw new EtcdError("unavailable", "the member ended the stream of keep-alives");
    });
    return { id, ttlSeconds: Math.max(0, Number(answer.TTL)) };
  }

  async leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void> {
    try {
      await this.#call({ method: LEASE_REVOKE, request: { ID: id }, isRead: false, options });
    } catch (error) {
      if (error instanceof EtcdError && /lease not found/.test(error.message)) return;
      throw error;
    }
  }

  async compact(revision: number, options?: CallOptions): Promise<void> {
    const request = { revision: BigInt(revision), physical: false };
    await this.#call({ method: COMPACT, request, isRead: false, options });
  }

  async status(options?: CallOptions): Promise<readonly MemberStatus[]> {
    this.#assertOpen();
    const answers = await Promise.allSettled(this.#endpoints.map((endpoint) => this.#statusOf(endpoint, options)));
    const healthy = answers.filter((answer) => answer.status === "fulfilled").map(({ value }) => value);
    const failed = answers.find((answer) => answer.status === "rejected");
    if (healthy.length === 0)
      throw new EtcdError("unavailable", "no member tells its status", { cause: failed?.reason });
    return healthy;
  }

  async alarms(options?: CallOptions): Promise<readonly MemberAlarm[]> {
    const request = { action: wire.AlarmRequest_AlarmAction.GET };
    const { alarms } = await this.#call({ method: ALARM, request, isRead: true, options });
    return alarms.map(({ memberID, alarm }) => ({
      memberId: memberID.toString(16),
      kind: alarm === wire.AlarmMember_AlarmType.CORRUPT ? "corrupt" : "no_space",
    }));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  #call<Request, Answer>({ method, request, isRead, options }: Attempt<Request, Answer>): Promise<Answer> {
    const signal = options?.signal;
    return this.#attempts(isRead, options, async (endpoint, attemptMs) => {
      const metadata = await this.#metadata();
      this.#assertOpen();
      return endpoint.unary(method, request, { metadata, options: this.#grpcOptions(attemptMs), signal });
    });
  }

  #attempts<Answer>(
    isRead: boolean,
    options: CallOptions | undefined,
    send: (endpoint: Endpoint, attemptMs: number) => Promise<Answer>,
  ): Promise<Answer> {
    this.#assertOpen();
    const { clock, deadlineMs = DEADLINE_MS, attemptMs = ATTEMPT_MS } = this.#options;
    const untilMs = clock.monotonicMs() + (options?.deadlineMs ?? deadlineMs);
    return this.#inFlight.run(async () => {
      let hasNewToken = false;
      for (let attempt = 1; ; attempt++) {
        this.#assertOpen();
        const at = this.#current;
        const leftMs = untilMs - clock.monotonicMs();
        try {
          return await send(this.#endpointAt(at), Math.max(1, Math.min(attemptMs, leftMs)));
        } catch (cause) {
          const failure = this.#failureOf(cause, isRead);
          if (failure.needsToken && !hasNewToken) {
            hasNewToken = true;
            this.#token = undefined;
            continue;
          }
          this.#leave(at, failure); // R2
          const isOver = options?.signal?.aborted || clock.monotonicMs() + PAUSE_MS >= untilMs;
          if (!failure.mayRetry || isOver || this.#closing.signal.aborted) throw failure.error; // R1
          if (attempt % this.#endpoints.length === 0) await pauseFor(this.#options.clock, PAUSE_MS);
        }
      }
    });
  }

  #failureOf(cause: unknown, isRead: boolean): CallFailure {
    if (cause instanceof EtcdError) return { error: cause, mayRetry: cause.kind === "unavailable", needsToken: false };
    return failureOf(cause as ServiceError, isRead); // Whatever else a call fails with is grpc-js's.
  }

  #leave(at: number, { error }: CallFailure): void {
    const isItsFault = error.kind === "unavailable" || error.kind === "outcome_unknown";
    if (isItsFault && at === this.#current) this.#current += 1; // Others that failed on it do not step over the next one.
  }

  async #statusOf(endpoint: Endpoint, options: CallOptions | undefined): Promise<MemberStatus> {
    const attemptMs = options?.deadlineMs ?? this.#options.attemptMs ?? ATTEMPT_MS;
    const answer = await endpoint.unary(
      STATUS,
      {},
      { metadata: await this.#metadata(), options: this.#grpcOptions(attemptMs), signal: options?.signal },
    );
    const memberId = answer.header?.memberId ?? 0n;
    return {
      endpoint: endpoint.address,
      memberId: memberId.toString(16),
      version: answer.version,
      dbBytes: Number(answer.dbSize),
      dbInUseBytes: Number(answer.dbSizeInUse),
      quotaBytes: Number(answer.dbSizeQuota),
      isLeader: answer.leader === memberId,
      hasLeader: answer.leader !== 0n,
      isLearner: answer.isLearner,
      raftTerm: safeRevision(answer.raftTerm),
      raftIndex: safeRevision(answer.raftIndex),
      errors: answer.errors,
    };
  }

  /** A member without a leader is told to refuse at once, and to end its watches. */
  async #metadata(): Promise<Metadata> {
    const metadata = new Metadata();
    metadata.set("hasleader", "true");
    if (this.#options.user === undefined) return metadata;
    this.#token ??= this.#authenticate();
    metadata.set("token", await this.#token);
    return metadata;
  }

  async #authenticate(): Promise<string> {
    const { user, attemptMs = ATTEMPT_MS } = this.#options;
    const options = this.#grpcOptions(attemptMs);
    try {
      const answer = await this.#endpointAt(this.#current).unary(
        AUTHENTICATE,
        { name: user?.name ?? "", password: user?.password ?? "" },
        { metadata: new Metadata(), options, signal: undefined },
      );
      return answer.token;
    } catch (cause) {
      this.#token = undefined;
      throw failureOf(cause as ServiceError, true).error; // `unary` rejects with nothing else.
    }
  }

  #grpcOptions(attemptMs: number): { readonly deadline: number } {
    return { deadline: this.#options.clock.wallMs() + attemptMs };
  }

  #endpointAt(index: number): Endpoint {
    return this.#endpoints[index % this.#endpoints.length]!; // The constructor saw one at least.
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new EtcdError("closed", "the client is closed");
  }
}
