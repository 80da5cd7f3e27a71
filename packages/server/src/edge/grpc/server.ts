// server.ts: gRPC on sockets that the listener hands over: the stream `Session` and every unary call. Not here: frames
// (stream.ts), what a call does (calls.ts). The service is described by the generated code; no .proto is read at run time.
//   V1. HTTP/2 is bounded: streams of a connection, headers, and how often a client may open streams only to reset them.
import { constants, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { HeartbeatReply, HeartbeatRequest, OpenSessionReply, OpenSessionRequest } from "@forelock/protocol";
import {
  type ConnectionInjector,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Clock } from "../../clock.ts";
import type { Peer } from "../authenticate.ts";
import type { OperationBody } from "../authorize.ts";
import { bearerOf, type CallContext, type Calls, type Codec, METHODS } from "../calls.ts";
import type { ConnectionParts } from "../connection.ts";
import { wireErrorOf } from "../wire-error.ts";
import { statusOf } from "./status.ts";
import { StreamCarrier } from "./stream.ts";

export interface GrpcParts extends ConnectionParts {
  readonly calls: Calls;
  readonly clock: Clock;
}

const PACKAGE = "/forelock.v1.Forelock/";
const STREAMS_MAX = 100;
const HEADER_LIST_BYTES_MAX = 16_384;
const HEADER_PAIRS_MAX = 64;
const INVALID_FRAMES_MAX = 100;
/** Streams a client may reset at once, and then each second: cancelled calls are normal, thousands a second are an attack. */
const RESETS_BURST = 200;
const RESETS_PER_SECOND = 50;
const PING_MS = 60_000;
const PING_ANSWER_MS = 20_000;
const NOBODY: Peer = { address: "", san: [], bearer: "" };

export class GrpcCarrier {
  readonly #parts: GrpcParts;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #peerByAddress = new Map<string, Peer>();

  constructor(parts: GrpcParts) {
    this.#parts = parts;
    this.#server = new Server({
      "grpc.max_concurrent_streams": STREAMS_MAX,
      "grpc.max_receive_message_length": parts.limits.frameBytesMax,
      "grpc.keepalive_time_ms": PING_MS,
      "grpc.keepalive_timeout_ms": PING_ANSWER_MS,
      "grpc.enable_channelz": 0,
    });
    harden(this.#server);
    const { definition, implementation } = this.#describe();
    this.#server.addService(definition, implementation);
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    for (const http2 of http2Servers(this.#server)) http2.on("session", (session) => this.#watchResets(session));
  }

  take(socket: Socket, peer: Peer): void {
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#peerByAddress.set(key, peer);
    socket.on("close", () => this.#peerByAddress.delete(key));
    this.#injector.injectConnection(socket);
  }

  /** Says goodbye; what is under way has `stopMs`. */
  stop(stopMs: number): void {
    this.#injector.drain(stopMs);
  }

  destroy(): void {
    this.#injector.destroy();
    this.#server.forceShutdown();
  }

  #describe(): { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation } {
    const { calls } = this.#parts;
    const definition: Record<string, MethodDefinition<unknown, unknown>> = {
      Session: { ...path("Session"), requestStream: true, responseStream: true, ...AS_BYTES },
      OpenSession: unary("OpenSession", OpenSessionRequest, OpenSessionReply),
      Heartbeat: unary("Heartbeat", HeartbeatRequest, HeartbeatReply),
    };
    const implementation: UntypedServiceImplementation = {
      Session: (call: ServerDuplexStream<Buffer, Buffer>) => this.#stream(call),
      OpenSession: this.#answer((context, request: OpenSessionRequest) => calls.openSession(context, request)),
      Heartbeat: this.#answer((context, request: HeartbeatRequest) => calls.heartbeat(context, request)),
    };
    for (const [$case, method] of Object.entries(METHODS)) {
      definition[method.rpc] = unary(method.rpc, method.request, method.reply);
      // The table pairs the case with the codec of its value; the compiler cannot follow the pair through the loop.
      implementation[method.rpc] = this.#operate((value) => ({ $case, value }) as OperationBody);
    }
    return { definition, implementation };
  }

  #stream(call: ServerDuplexStream<Buffer, Buffer>): void {
    this.#parts.switchboard.counters.grpc_calls_total++;
    const peer = this.#peerByAddress.get(call.getPeer()) ?? NOBODY;
    void new StreamCarrier(call, { ...peer, bearer: bearerOf(header(call.metadata, "authorization")) }, this.#parts);
  }

  #operate(bodyOf: (value: unknown) => OperationBody): handleUnaryCall<unknown, unknown> {
    return (call, respond) => {
      this.#parts.switchboard.counters.grpc_calls_total++;
      const done = this.#parts.calls.call(this.#context(call), bodyOf(call.request));
      void done.then((outcome) => {
        if (outcome.requestId !== "") call.sendMetadata(metadataOf({ "forelock-request-id": outcome.requestId }));
        if (outcome.kind === "reply") respond(null, outcome.value);
        else respond(statusOf(outcome.error));
      });
    };
  }

  #answer<Request, Answer>(
    answer: (context: CallContext, request: Request) => Answer | Promise<Answer>,
  ): handleUnaryCall<Request, Answer> {
    return (call, respond) => {
      this.#parts.switchboard.counters.grpc_calls_total++;
      new Promise<Answer>((resolve) => resolve(answer(this.#context(call), call.request))).then(
        (value) => respond(null, value),
        (error: unknown) => respond(statusOf(wireErrorOf(error))),
      );
    };
  }

  #context(call: ServerUnaryCall<unknown, unknown>): CallContext {
    const aborted = new AbortController();
    call.on("cancelled", () => aborted.abort());
    return {
      peer: this.#peerByAddress.get(call.getPeer()) ?? NOBODY,
      authorization: header(call.metadata, "authorization"),
      session: header(call.metadata, "forelock-session"),
      requestId: header(call.metadata, "forelock-request-id"),
      signal: aborted.signal,
    };
  }

  /** V1 */
  #watchResets(session: ServerHttp2Session): void {
    const { clock, switchboard } = this.#parts;
    let left = RESETS_BURST;
    let countedMs = clock.monotonicMs();
    session.on("stream", (stream: ServerHttp2Stream) => {
      stream.once("close", () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
        const nowMs = clock.monotonicMs();
        left = Math.min(RESETS_BURST, left + ((nowMs - countedMs) / 1_000) * RESETS_PER_SECOND) - 1;
        countedMs = nowMs;
        if (left >= 0 || session.destroyed) return;
        switchboard.counters.connections_slow_total++;
        session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      });
    });
  }
}

const AS_BYTES = {
  requestSerialize: (bytes: unknown) => bytes as Buffer, // Never called on the server.
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: unknown) => bytes as Buffer, // Frames come encoded.
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

function path(rpc: string): { readonly path: string; readonly originalName: string } {
  return { path: `${PACKAGE}${rpc}`, originalName: rpc };
}

function unary<Request, Answer>(
  rpc: string,
  request: Codec<Request>,
  reply: Codec<Answer>,
): MethodDefinition<unknown, unknown> {
  return {
    ...path(rpc),
    requestStream: false,
    responseStream: false,
    // grpc-js hands each function what the one before made, so the casts hold by the pairing of one rpc.
    requestSerialize: (message) => Buffer.from(request.encode(message as Request).finish()),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (message) => Buffer.from(reply.encode(message as Answer).finish()),
    responseDeserialize: (bytes) => reply.decode(bytes),
  };
}

function metadataOf(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  return metadata;
}

function header(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  return typeof value === "string" ? value : "";
}

/**
 * grpc-js 1.14.7 has no option for these limits of HTTP/2 and passes on its private `commonServerOptions`, so we add to
 * those. The version is pinned, and grpc.test.ts fails when this stops working.
 */
function harden(server: Server): void {
  const options: unknown = Reflect.get(server, "commonServerOptions");
  Object.assign(options as object, {
    settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_LIST_BYTES_MAX, enablePush: false },
    maxHeaderListPairs: HEADER_PAIRS_MAX,
    maxSessionInvalidFrames: INVALID_FRAMES_MAX,
    maxSessionRejectedStreams: STREAMS_MAX,
  });
}

/** As `harden`: the servers that grpc-js made, which it keeps as the keys of a private map. */
function http2Servers(server: Server): readonly Http2Server[] {
  const servers: unknown = Reflect.get(server, "http2Servers");
  return servers instanceof Map ? [...servers.keys()] : [];
}
