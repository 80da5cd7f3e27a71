// listener.ts: one port for every carrier: accepts, counts, unwraps TLS, sees from the first bytes what it is. Not here:
// what the carriers do (tcp/, grpc/, http/).
//   K1. Past a cap a connection is refused before anything is read or allocated for it.
//   K2. Who has not sent its first bytes in time is cut.
//   K3. With TLS configured nothing is served in plain text.

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import { ERRORS } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { type Peer, parseSan } from "./authenticate.ts";
import type { EdgeCounters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import type { EdgeLog } from "./log.ts";
import type { EdgeOptions, TlsOptions } from "./options.ts";
import { sniff } from "./sniff.ts";
import type { Refusal } from "./wire-error.ts";

/** Takes sockets of one carrier, with the bytes that were read to tell. */
export interface Carriers {
  native(socket: Socket, first: Buffer, peer: Peer): void;
  /** Answers with `refusal` and ends. */
  refuseNative(socket: Socket, refusal: Refusal): void;
  /** What was read has been put back. */
  http2(socket: Socket, peer: Peer): void;
  http1(socket: Socket, peer: Peer): void;
}

export interface ListenerParts {
  readonly options: EdgeOptions;
  readonly carriers: Carriers;
  readonly clock: Clock;
  readonly log: EdgeLog;
  readonly counters: EdgeCounters;
}

/** Accepted above the cap only to be told why they are refused; beyond, the operating system's queue is all there is. */
const REFUSED_AT_ONCE_MAX = 64;
/** Best first. Browsers offer both kinds of HTTP and want pages, which HTTP/1 serves; gRPC clients offer `h2` alone. */
const ALPN = ["forelock/1", "http/1.1", "h2"];

export class Listener {
  readonly #options: EdgeOptions;
  readonly #carriers: Carriers;
  readonly #log: EdgeLog;
  readonly #counters: EdgeCounters;
  readonly #server: Server;
  readonly #tlsServer: TlsServer | undefined;
  readonly #deadlines: Deadlines<Socket>;
  readonly #sockets = new Set<Socket>();
  readonly #countByAddress = new Map<string, number>();

  constructor({ options, carriers, clock, log, counters }: ListenerParts) {
    this.#options = options;
    this.#carriers = carriers;
    this.#log = log;
    this.#counters = counters;
    this.#deadlines = new Deadlines(clock, options.limits.helloMs, (socket) => {
      counters.connections_slow_total++; // K2
      socket.destroy();
    });
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = options.limits.connectionsMax + REFUSED_AT_ONCE_MAX;
    this.#server.on("drop", () => {
      counters.connections_dropped_total++;
    });
    this.#tlsServer = options.tls === undefined ? undefined : this.#createTls(options.tls);
  }

  /** Resolves with the port. Rejects when the address cannot be listened on. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: this.#options.host, port: this.#options.port }, () => {
        this.#server.removeListener("error", reject);
        this.#server.on("error", (error) => this.#log.error({ error }, "the listener failed"));
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : this.#options.port);
      });
    });
  }

  /** Uses other certificates for connections from now on. */
  renewTls(tls: TlsOptions): void {
    this.#tlsServer?.setSecureContext(contextOf(tls));
  }

  /** Accepts no more; what is connected stays. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Cuts what is still connected. */
  destroy(): void {
    this.#deadlines.dispose();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#counters.connections_total++;
    const address = socket.remoteAddress ?? "";
    this.#sockets.add(socket);
    this.#counters.connections = this.#sockets.size;
    const count = (this.#countByAddress.get(address) ?? 0) + 1;
    this.#countByAddress.set(address, count);
    socket.on("error", () => socket.destroy()); // A reset is the peer's affair; `close` follows.
    socket.on("close", () => this.#left(socket, address));
    const refusal = this.#refusal(count); // K1
    if (refusal !== undefined) this.#counters.connections_refused_total++;
    this.#sniff(socket, { address, san: [], bearer: "" }, refusal);
  }

  #refusal(countOfAddress: number): Refusal | undefined {
    const { connectionsMax, connectionsPerAddressMax } = this.#options.limits;
    if (this.#sockets.size > connectionsMax) {
      return { code: "connections_full", message: `This node has ${connectionsMax} connections.`, retryAfterMs: 1_000 };
    }
    if (countOfAddress <= connectionsPerAddressMax) return undefined;
    const message = `This node has ${connectionsPerAddressMax} connections from this address.`;
    return { code: "connections_full", message, retryAfterMs: 1_000 };
  }

  #left(socket: Socket, address: string): void {
    this.#deadlines.stop(socket);
    this.#sockets.delete(socket);
    this.#counters.connections = this.#sockets.size;
    const count = (this.#countByAddress.get(address) ?? 1) - 1;
    if (count === 0) this.#countByAddress.delete(address);
    else this.#countByAddress.set(address, count);
  }

  /** @param socket plain or unwrapped; nothing is allocated for it before its first byte */
  #sniff(socket: Socket, peer: Peer, refusal: Refusal | undefined): void {
    this.#deadlines.start(socket);
    let bytes: Buffer | undefined;
    const read = (chunk: Buffer): void => {
      bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
      const carrying = sniff(bytes);
      if (carrying === "undecided") return;
      socket.removeListener("data", read);
      socket.pause();
      this.#deadlines.stop(socket);
      if (refusal === undefined) this.#route(socket, carrying, bytes, peer);
      else this.#refuse(socket, carrying, refusal);
    };
    socket.on("data", read);
  }

  #route(socket: Socket, carrying: ReturnType<typeof sniff>, first: Buffer, peer: Peer): void {
    const isEncrypted = "encrypted" in socket;
    if (carrying === "tls" && this.#tlsServer !== undefined && !isEncrypted) {
      socket.unshift(first);
      this.#tlsServer.emit("connection", socket);
      return;
    }
    if (carrying === "tls" || carrying === "unknown" || carrying === "undecided") {
      this.#cut(socket);
      return;
    }
    if (this.#tlsServer !== undefined && !isEncrypted) {
      // K3
      this.#cut(socket);
      return;
    }
    if (carrying === "native") {
      this.#carriers.native(socket, first, peer);
      return;
    }
    socket.unshift(first);
    if (carrying === "http2") this.#carriers.http2(socket, peer);
    else this.#carriers.http1(socket, peer);
  }

  #refuse(socket: Socket, carrying: ReturnType<typeof sniff>, refusal: Refusal): void {
    if (this.#tlsServer !== undefined) {
      // Not worth a handshake.
      this.#cut(socket);
      return;
    }
    if (carrying === "native") this.#carriers.refuseNative(socket, refusal);
    else if (carrying === "http1") {
      const { httpStatus } = ERRORS[refusal.code];
      socket.end(`HTTP/1.1 ${httpStatus} Refused\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else this.#cut(socket);
  }

  #cut(socket: Socket): void {
    this.#counters.connections_refused_total++;
    socket.destroy();
  }

  #createTls(tls: TlsOptions): TlsServer {
    const server = createTlsServer({
      ...contextOf(tls),
      requestCert: tls.clientCa !== undefined,
      // Unverified certificates are refused when one is needed; else they name nobody.
      rejectUnauthorized: tls.clientCa !== undefined && tls.clientRequired,
      ALPNCallback: ({ protocols }) => ALPN.find((protocol) => protocols.includes(protocol)),
      handshakeTimeout: this.#options.limits.helloMs,
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      const address = socket.remoteAddress ?? "";
      const san = socket.authorized ? parseSan(socket.getPeerCertificate().subjectaltname) : [];
      socket.on("error", () => socket.destroy());
      this.#sniff(socket, { address, san, bearer: "" }, undefined);
    });
    server.on("tlsClientError", (_error, socket) => this.#cut(socket));
    return server;
  }
}

function contextOf({ key, cert, clientCa }: TlsOptions) {
  return { key, cert, ...(clientCa === undefined ? {} : { ca: clientCa }), minVersion: "TLSv1.2" } as const;
}
