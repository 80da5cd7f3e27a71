// edge.ts: the outside of a node: one port, three carriers, one answer to who may do what. Not here: each of these; what
// the operations do (shard/). main.ts maps the settings to EdgeOptions.
//   X1. Options are checked before a port is opened.
//   X2. `close` ends within stopMs: no more is accepted, what is in flight is answered, then every connection is told why.
import type { Socket } from "node:net";
import type { Clock, RandomBytes } from "../clock.ts";
import type { Service } from "../shard/service.ts";
import { Authenticator, type Peer } from "./authenticate.ts";
import { Calls } from "./calls.ts";
import type { Connection } from "./connection.ts";
import { createCounters, type EdgeCounters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import { Forwarding } from "./forwarding.ts";
import { FrameWriter } from "./frame/write.ts";
import { GrpcCarrier } from "./grpc/server.ts";
import { HttpCarrier } from "./http/server.ts";
import { Listener } from "./listener.ts";
import type { EdgeLog } from "./log.ts";
import { checkOptions, type EdgeOptions, type TlsOptions } from "./options.ts";
import { Switchboard } from "./switchboard.ts";
import { TcpCarrier, type TcpParts } from "./tcp/carrier.ts";
import { type Refusal, wireError } from "./wire-error.ts";

export interface Edge {
  readonly port: number;
  readonly host: string;
  /** Plain counters for metrics: name (without prefix) to value. */
  counters(): Readonly<EdgeCounters>;
  /** Uses other certificates for connections from now on. */
  renewTls(tls: TlsOptions): void;
  /** Idempotent. Resolves when every connection is gone. */
  close(): Promise<void>;
}

const LINGER_MS = 1_000;

/** Opens the port. @throws ForelockError `bad_setting`; rejects when the address cannot be listened on */
export async function startEdge(
  options: EdgeOptions,
  service: Service,
  clock: Clock,
  random: RandomBytes,
  log: EdgeLog,
): Promise<Edge> {
  checkOptions(options); // X1
  const parts = partsOf(options, service, clock, log);
  const { switchboard, authenticator } = parts;
  const { counters } = switchboard;
  const calls = new Calls({ service, authenticator, switchboard, random });
  const http = new HttpCarrier({ options, service, calls, clock, counters });
  const grpc = new GrpcCarrier({ ...parts, calls, clock });
  const listener = new Listener({
    options,
    clock,
    log,
    counters,
    carriers: {
      native: (socket, first, peer) => void new TcpCarrier(socket, first, peer, parts),
      refuseNative: (socket, refusal) => refuseNative(socket, refusal, parts),
      http2: (socket, peer) => grpc.take(socket, peer),
      http1: (socket, peer) => http.take(socket, peer),
    },
  });
  const port = await listener.listen();
  let closing: Promise<void> | undefined;
  return {
    port,
    host: options.host,
    counters: () => counters,
    renewTls: (tls) => listener.renewTls(tls),
    close: () => (closing ??= close({ listener, http, grpc, parts, clock })),
  };
}

/** Takes the sockets of nodes and clients that speak the native protocol, without a port: as they come from wherever they come. */
export function acceptNative(
  options: EdgeOptions,
  service: Service,
  clock: Clock,
  log: EdgeLog,
): (socket: Socket, peer: Peer) => void {
  checkOptions(options); // X1
  const parts = partsOf(options, service, clock, log);
  return (socket, peer) => void new TcpCarrier(socket, Buffer.alloc(0), peer, parts);
}

function partsOf(options: EdgeOptions, service: Service, clock: Clock, log: EdgeLog): TcpParts {
  const { limits, version, cluster } = options;
  const counters = createCounters();
  const authenticator = new Authenticator({ principals: options.principals, clock, log, counters });
  return {
    ...(cluster === undefined ? {} : { forwarding: new Forwarding(cluster, authenticator, clock) }),
    service,
    authenticator,
    limits,
    version,
    switchboard: new Switchboard(limits, counters),
    log,
    writer: new FrameWriter(limits.frameBytesMax),
    helloDeadlines: new Deadlines(clock, limits.helloMs, (late: Connection) =>
      late.late(`No hello came within ${limits.helloMs} ms.`),
    ),
    drainDeadlines: new Deadlines(clock, limits.frameMs, (late: Connection) => late.late("Answers were not read.")),
    frameDeadlines: new Deadlines(clock, limits.frameMs, (late: TcpCarrier) => late.late()),
    lingerDeadlines: new Deadlines(clock, LINGER_MS, (late: TcpCarrier) => late.destroy()),
  };
}

interface Closing {
  readonly listener: Listener;
  readonly http: HttpCarrier;
  readonly grpc: GrpcCarrier;
  readonly parts: TcpParts;
  readonly clock: Clock;
}

/** X2 */
async function close({ listener, http, grpc, parts, clock }: Closing): Promise<void> {
  listener.stopAccepting();
  http.stop();
  grpc.stop(parts.limits.stopMs);
  for (const connection of parts.switchboard.all()) connection.stop();
  await within(clock, parts.limits.stopMs, () => parts.switchboard.isEmpty && http.isIdle);
  for (const connection of parts.switchboard.all()) connection.stop();
  // Their last frames are on the way; `finish` gives them LINGER_MS unless the peer closes first.
  await within(clock, LINGER_MS, () => parts.switchboard.counters.connections === 0);
  http.destroy();
  grpc.destroy();
  listener.destroy();
  for (const deadlines of [parts.helloDeadlines, parts.drainDeadlines]) deadlines.dispose();
  for (const deadlines of [parts.frameDeadlines, parts.lingerDeadlines]) deadlines.dispose();
}

const POLL_MS = 10;

/** Resolves when `isDone`, looking every 10 ms, or after `boundMs`. */
function within(clock: Clock, boundMs: number, isDone: () => boolean): Promise<void> {
  const endMs = clock.monotonicMs() + boundMs;
  return new Promise((resolve) => {
    const look = (): void => {
      if (isDone() || clock.monotonicMs() >= endMs) resolve();
      else clock.after(POLL_MS, look);
    };
    look();
  });
}

function refuseNative(socket: Socket, refusal: Refusal, parts: TcpParts): void {
  parts.writer.write(
    { welcome: undefined, replies: [], notices: [], heartbeats: [], closing: wireError(refusal) },
    (frame) => socket.end(frame),
  );
  socket.resume();
}
