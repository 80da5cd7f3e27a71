// gate.ts: the seeded proxies at one node's host: one for whoever connects to the node, one for each member of etcd that the node
// connects to. They run where the node runs (agent.ts), so that packets have the addresses that they would have without.
import type { Clock } from "../../proxy/clock.ts";
import { TcpProxy } from "../../proxy/proxy.ts";
import { forkRandom } from "../../proxy/random.ts";
import { CALM, type Weather, type WeatherCounts } from "../../proxy/weather.ts";
import type { Endpoint } from "../wire.ts";

export interface GateOrder {
  readonly seed: number;
  /** Where others reach the node. Port 0: a free one. */
  readonly inbound: Endpoint;
  readonly members: readonly Endpoint[];
}

/** `in`: to the node; else the index of a member. */
export type LinkName = "in" | number;

export interface Gate {
  readonly inbound: Endpoint;
  /** Where the node finds each member. */
  readonly etcd: readonly Endpoint[];
  /** Port of the node on its loopback; undefined: it is down. */
  aim(port: number | undefined): Promise<void>;
  /** @param weather undefined: calm */
  set(link: LinkName, weather: Weather | undefined): Promise<void>;
  /** Ends the connections of a link. @returns how many */
  reset(link: LinkName): Promise<number>;
  counts(link: LinkName): Promise<WeatherCounts>;
  close(): Promise<void>;
}

export class LocalGate implements Gate {
  readonly inbound: Endpoint;
  readonly etcd: readonly Endpoint[];
  readonly #in: TcpProxy;
  readonly #out: readonly TcpProxy[];

  private constructor(host: string, inside: TcpProxy, out: readonly TcpProxy[]) {
    this.#in = inside;
    this.#out = out;
    this.inbound = { host, port: inside.port };
    this.etcd = out.map(({ port }) => ({ host: "127.0.0.1", port }));
  }

  static async open({ seed, inbound, members }: GateOrder, clock: Clock): Promise<LocalGate> {
    const inside = await TcpProxy.open({ clock, random: forkRandom(seed, "in"), listen: inbound });
    const out: TcpProxy[] = [];
    for (const [index, { host, port }] of members.entries()) {
      const proxy = await TcpProxy.open({ clock, random: forkRandom(seed, `member ${index}`), targetHost: host });
      proxy.targetPort = port;
      out.push(proxy);
    }
    return new LocalGate(inbound.host, inside, out);
  }

  async aim(port: number | undefined): Promise<void> {
    this.#in.targetPort = port;
  }

  async set(link: LinkName, weather: Weather | undefined): Promise<void> {
    this.#link(link).weather = weather ?? CALM;
  }

  async reset(link: LinkName): Promise<number> {
    return this.#link(link).resetAll();
  }

  async counts(link: LinkName): Promise<WeatherCounts> {
    return { ...this.#link(link).counts };
  }

  async close(): Promise<void> {
    for (const proxy of [this.#in, ...this.#out]) await proxy.close();
  }

  #link(link: LinkName): TcpProxy {
    const proxy = link === "in" ? this.#in : this.#out[link];
    if (proxy === undefined) throw new Error(`there is no member ${link}`);
    return proxy;
  }
}
