// endpoint.ts: the connection to one member. Not here: which member is asked (grpc.ts).

import type { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  credentials,
  type CallOptions as GrpcCallOptions,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";

/** Without it the connection is not encrypted. */
export interface EtcdTls {
  /** PEM of who signs the members' certificates; default: what the system trusts. */
  readonly ca?: Uint8Array;
  /** PEM of the client's own certificate and key, where members ask for one. */
  readonly certificate?: { readonly chain: Uint8Array; readonly key: Uint8Array };
  /** The name in the members' certificates, where it is not the one they are reached by. */
  readonly serverName?: string;
}

export interface MessageCodec<Message> {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
  decode(input: BinaryReader | Uint8Array, length?: number): Message;
}

export interface Method<Request, Answer> {
  readonly path: string;
  readonly request: MessageCodec<Request>;
  readonly answer: MessageCodec<Answer>;
}

/** Members refuse pings more often than every 5 s (--grpc-keepalive-min-time). */
const PING_MS = 6_000;
const PING_ANSWER_MS = 2_000;
const RECONNECT_MS = 100;
const RECONNECT_MS_MAX = 2_000;
/** A range of records may be large; a caller that reads much sets a limit of entries. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

export class Endpoint {
  readonly address: string;
  readonly #client: Client;
  readonly #calls = new Set<{ cancel(): void }>();

  constructor(address: string, tls: EtcdTls | undefined) {
    this.address = address.replace(/^https?:\/\//, "").replace(/\/$/, "");
    this.#client = new Client(this.address, credentialsFor(tls), optionsFor(tls));
  }

  unary<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
    call: { readonly metadata: Metadata; readonly options: GrpcCallOptions; readonly signal: AbortSignal | undefined },
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { signal } = call;
      const { path } = method;
      const onAnswer = (error: ServiceError | null, answer?: Answer): void => {
        signal?.removeEventListener("abort", cancel);
        this.#calls.delete(sent);
        if (error === null && answer !== undefined) resolve(answer);
        else reject(error);
      };
      const sent = this.#client.makeUnaryRequest(
        path,
        encoder(method.request),
        decoder(method.answer),
        request,
        call.metadata,
        call.options,
        onAnswer,
      );
      this.#calls.add(sent);
      const cancel = (): void => sent.cancel();
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  stream<Request, Answer>(
    method: Method<Request, Answer>,
    metadata: Metadata,
    options: GrpcCallOptions,
  ): ClientDuplexStream<Request, Answer> {
    const { path, request, answer } = method;
    const stream = this.#client.makeBidiStreamRequest(path, encoder(request), decoder(answer), metadata, options);
    this.#calls.add(stream);
    return stream.once("close", () => this.#calls.delete(stream));
  }

  /** Cancels what is under way. */
  close(): void {
    for (const call of this.#calls) call.cancel();
    this.#client.close();
  }
}

function encoder<Message>(codec: MessageCodec<Message>): (message: Message) => Buffer {
  return (message) => {
    const bytes = codec.encode(message).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function decoder<Message>(codec: MessageCodec<Message>): (bytes: Buffer) => Message {
  return (bytes) => codec.decode(bytes);
}

function credentialsFor(tls: EtcdTls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const { ca, certificate } = tls;
  const asBuffer = (pem: Uint8Array | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(asBuffer(ca), asBuffer(certificate?.key), asBuffer(certificate?.chain));
}

function optionsFor(tls: EtcdTls | undefined): ClientOptions {
  return {
    "grpc.keepalive_time_ms": PING_MS,
    "grpc.keepalive_timeout_ms": PING_ANSWER_MS,
    "grpc.keepalive_permit_without_calls": 0, // Members refuse pings of a connection without a call.
    "grpc.initial_reconnect_backoff_ms": RECONNECT_MS,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.enable_retries": 0, // Whether a call may be sent again is ours to say.
    "grpc.enable_http_proxy": 0, // Members are in one's own network, whatever the environment says of the outside.
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...(tls?.serverName === undefined ? {} : { "grpc.ssl_target_name_override": tls.serverName }),
  };
}
