// proxy.ts: a TCP proxy in this process, whose weather is set while it runs. Needs no rights; one seed, one behaviour.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "./clock.ts";
import { Pipe } from "./pipe.ts";
import type { Random } from "./random.ts";
import { CALM, noWeather, type Weather, type WeatherCounts } from "./weather.ts";

/** A run has some tens of clients with a few connections each: more is a leak. */
const CONNECTIONS_MAX = 2_000;
const LOOPBACK = "127.0.0.1";

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly toServer: Pipe;
  readonly toClient: Pipe;
}

export interface ProxyOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Where it listens. Default: loopback, a free port. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** The host of `targetPort`. Default: loopback. */
  readonly targetHost?: string;
}

export class TcpProxy {
  readonly counts: WeatherCounts = noWeather();
  readonly #listener: Server;
  readonly #options: ProxyOptions;
  readonly #links = new Set<Link>();
  #weather: Weather = CALM;
  #targetPort: number | undefined;

  private constructor(listener: Server, options: ProxyOptions) {
    this.#listener = listener;
    this.#options = options;
    listener.on("connection", (client) => this.#accept(client));
  }

  /** @throws when the port cannot be had */
  static async open(options: ProxyOptions): Promise<TcpProxy> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(listener, options);
    const { host, port } = options.listen ?? { host: LOOPBACK, port: 0 };
    listener.listen(port, host);
    await once(listener, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return address.port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Where new connections go; undefined refuses them. Those that exist stay with their server. */
  set targetPort(port: number | undefined) {
    this.#targetPort = port;
  }

  /** For the connections there are and those to come. Connections that lost bytes are reset: TCP never skips any. */
  set weather(weather: Weather) {
    this.#weather = weather;
    for (const link of [...this.#links]) {
      const isBroken = link.toServer.isPoisoned || link.toClient.isPoisoned;
      if (isBroken && weather === CALM) this.#end(link, true);
      else {
        link.toServer.direction = weather.toServer;
        link.toClient.direction = weather.toClient;
      }
    }
  }

  /** Ends every connection with a reset, as a broken middle box does. @returns how many */
  resetAll(): number {
    const links = [...this.#links];
    for (const link of links) this.#end(link, true);
    return links.length;
  }

  /** The server is told that the clients will send no more, while answers still pass. @returns how many */
  halfCloseAll(): number {
    const links = [...this.#links];
    for (const link of links) link.toServer.halfClose();
    return links.length;
  }

  async close(): Promise<void> {
    this.resetAll();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #accept(client: Socket): void {
    client.on("error", () => {}); // Resets are this proxy's trade; `close` follows and is handled.
    if (this.#targetPort === undefined || this.#links.size >= CONNECTIONS_MAX) {
      this.counts.refused += 1;
      client.resetAndDestroy();
      return;
    }
    const server = connect({
      port: this.#targetPort,
      host: this.#options.targetHost ?? LOOPBACK,
      allowHalfOpen: true,
      noDelay: true,
    });
    server.on("error", () => client.resetAndDestroy());
    this.counts.connections += 1;
    const context = { ...this.#options, counts: this.counts, cut: () => this.#end(link, false) };
    const link: Link = {
      client,
      server,
      toServer: new Pipe(client, server, this.#weather.toServer, context),
      toClient: new Pipe(server, client, this.#weather.toClient, context),
    };
    this.#links.add(link);
    client.on("close", () => this.#end(link, false));
    server.on("close", () => this.#end(link, false));
  }

  #end(link: Link, isReset: boolean): void {
    if (!this.#links.delete(link)) return;
    link.toServer.dispose();
    link.toClient.dispose();
    if (isReset) {
      this.counts.resets += 1;
      link.client.resetAndDestroy();
      link.server.resetAndDestroy();
      return;
    }
    for (const socket of [link.client, link.server]) {
      socket.end(); // What was given is still delivered, then the connection ends.
      socket.destroySoon();
    }
  }
}
