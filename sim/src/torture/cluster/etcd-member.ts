// etcd-member.ts: one real member of etcd on its host: killed, stopped, continued and started again with what it had.
import { join } from "node:path";
import { type Clock, pause } from "../../proxy/clock.ts";
import { Child } from "../child.ts";
import type { Endpoint } from "../wire.ts";
import { EtcdGateway } from "./etcd-gateway.ts";
import type { Host } from "./hosts.ts";

export interface MemberPlace {
  readonly name: string;
  readonly host: Host;
  readonly client: Endpoint;
  readonly peer: Endpoint;
}

const HEALTHY_MS_MAX = 60_000;
const LOOK_MS = 50;

const urlOf = ({ host, port }: Endpoint): string => `http://${host}:${port}`;

export class EtcdMember extends Child {
  readonly place: MemberPlace;
  readonly gateway: EtcdGateway;
  readonly #words: readonly string[];
  readonly #time: Clock;

  /** @param all the members, this one among them */
  constructor(
    place: MemberPlace,
    all: readonly MemberPlace[],
    { folder, quotaBytes, clock }: { readonly folder: string; readonly quotaBytes: number; readonly clock: Clock },
  ) {
    super(clock);
    this.place = place;
    this.gateway = new EtcdGateway(place.client);
    this.#time = clock;
    const { name, client, peer } = place;
    this.#words = [
      ...["--name", name, "--data-dir", join(folder, name), "--quota-backend-bytes", String(quotaBytes)],
      ...["--listen-client-urls", urlOf(client), "--advertise-client-urls", urlOf(client)],
      ...["--listen-peer-urls", urlOf(peer), "--initial-advertise-peer-urls", urlOf(peer)],
      ...["--initial-cluster", all.map((one) => `${one.name}=${urlOf(one.peer)}`).join(",")],
      ...["--logger", "zap", "--log-level", "error"],
    ];
  }

  up(): void {
    const [program = "etcd", ...words] = [...this.place.host.within, "etcd", ...this.#words];
    this.start({ program, words });
  }

  /** @throws when it ends, or has no leader in time */
  async healthy(): Promise<void> {
    const untilMs = this.#time.monotonicMs() + HEALTHY_MS_MAX;
    while (!(await this.gateway.isHealthy())) {
      const isLate = this.#time.monotonicMs() > untilMs;
      if (isLate || this.pid === undefined) {
        const why = isLate ? `was not healthy within ${HEALTHY_MS_MAX} ms` : (this.exit ?? "was killed");
        throw new Error(`${this.place.name} ${why}\n${this.output}`);
      }
      await pause(this.#time, LOOK_MS);
    }
  }
}
