// server.ts: HTTP/1 on sockets that the listener hands over. Not here: what the paths do (routes.ts).
//   H1. Headers come within helloMs, a request within frameMs; headers are at most 16 KiB.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Peer } from "../authenticate.ts";
import { Metrics } from "./metrics.ts";
import { Routes, type RoutesParts } from "./routes.ts";

const HEADER_BYTES_MAX = 16_384;
const KEEP_ALIVE_MS = 15_000;
const CHECK_MS = 1_000;
const NOBODY: Peer = { address: "", san: [], bearer: "" };

export type HttpParts = Omit<RoutesParts, "metrics">;

export class HttpCarrier {
  readonly #parts: HttpParts;
  readonly #routes: Routes;
  readonly #server: Server;
  readonly #peers = new WeakMap<Socket, Peer>();
  #underWay = 0;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    const { service, counters } = parts;
    const edgeCounters = () =>
      Object.fromEntries(Object.entries(counters).map(([name, value]) => [`edge_${name}`, value]));
    this.#routes = new Routes({ ...parts, metrics: new Metrics([() => service.counters(), edgeCounters]) });
    const { helloMs, frameMs } = parts.options.limits;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: Math.min(helloMs, frameMs), // H1
        requestTimeout: frameMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.emit("listening"); // Starts the check of the two timeouts: this server never listens itself.
  }

  /** Streams of events count as idle: they end when the node does. */
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#parts.counters.http_requests_total++;
    this.#underWay++;
    response.on("error", () => response.destroy()); // The reader left; `close` follows.
    await this.#routes.serve(request, response, this.#peers.get(request.socket) ?? NOBODY);
    this.#underWay--;
  }
}
