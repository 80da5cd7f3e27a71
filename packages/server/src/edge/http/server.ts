// server.ts: HTTP/1 on sockets that the listener hands over. Not here: what the paths do (routes.ts), who may ask (guard.ts).
//   H1. Headers come within helloMs, a request within frameMs; headers are at most 16 KiB.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock, RandomBytes } from "../../clock.ts";
import type { Service } from "../../shard/service.ts";
import type { Authenticator, Peer } from "../authenticate.ts";
import type { EdgeCounters } from "../counters.ts";
import type { EdgeLog } from "../log.ts";
import type { EdgeOptions } from "../options.ts";

export interface HttpParts {
  readonly options: EdgeOptions;
  readonly service: Service;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: EdgeLog;
  readonly counters: EdgeCounters;
}

const HEADER_BYTES_MAX = 16_384;
const KEEP_ALIVE_MS = 15_000;
const CHECK_MS = 1_000;

export class HttpCarrier {
  readonly #parts: HttpParts;
  readonly #server: Server;
  readonly #peers = new WeakMap<Socket, Peer>();
  #underWay = 0;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    const { helloMs, frameMs } = parts.options.limits;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: helloMs, // H1
        requestTimeout: frameMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => this.#serve(request, response),
    );
    this.#server.emit("listening"); // Starts the check of the two timeouts: this server never listens itself.
  }

  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  take(socket: Socket, peer: Peer): void {
    this.#peers.set(socket, peer);
    this.#server.emit("connection", socket);
    socket.resume();
  }

  stop(): void {
    this.#server.closeIdleConnections();
  }

  destroy(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.#parts.counters.http_requests_total++;
    this.#underWay++;
    response.on("close", () => {
      this.#underWay--;
    });
    const { unavailable } = this.#parts.service;
    if (request.url === "/healthz") response.end("ok\n");
    else if (request.url === "/readyz")
      response.writeHead(unavailable === undefined ? 200 : 503).end(unavailable ?? "ready\n");
    else response.writeHead(404).end();
  }
}
