// cluster-node.ts: one real node of the cluster: its process and the gate before it.
//   B1. A node that cannot start is started again, as whatever watches over servers does: etcd may be away just then.
import { join } from "node:path";
import { type Clock, pause } from "../../proxy/clock.ts";
import { type RunningServer, ServerProcess } from "../server-process.ts";
import type { Endpoint } from "../wire.ts";
import { type Gate, LocalGate } from "./gate.ts";
import type { Host } from "./hosts.ts";
import { RemoteGate } from "./remote-gate.ts";

export interface ClusterNodeOptions {
  readonly name: string;
  readonly host: Host;
  readonly folder: string;
  readonly script: string;
  readonly secret: string;
  readonly flags: readonly string[];
  readonly members: readonly Endpoint[];
  readonly seed: number;
  readonly clock: Clock;
}

/** Of a node with a host of its own. */
const PORT = 7_420;
const UP_MS_MAX = 90_000;
const AGAIN_MS = 300;

export class ClusterNode extends ServerProcess {
  readonly name: string;
  readonly host: Host;
  readonly gate: Gate;
  /** Of each start that came about. */
  readonly starts: number[] = [];
  readonly #options: ClusterNodeOptions;

  private constructor(options: ClusterNodeOptions, gate: Gate) {
    super(options.clock);
    this.name = options.name;
    this.host = options.host;
    this.gate = gate;
    this.#options = options;
  }

  static async open(options: ClusterNodeOptions): Promise<ClusterNode> {
    const { host, members, seed, clock } = options;
    const isOwn = host.within.length > 0;
    const order = { seed, members, inbound: { host: host.ip, port: isOwn ? PORT : 0 } };
    return new ClusterNode(options, await (isOwn ? RemoteGate.open(order, host) : LocalGate.open(order, clock)));
  }

  /** B1. @throws when it does not come up for long */
  async up(): Promise<RunningServer> {
    const { name, host, folder, script, secret, flags, clock } = this.#options;
    const { inbound, etcd } = this.gate;
    const own = ["--cluster-node-id", name, "--cluster-address", `${inbound.host}:${inbound.port}`];
    const endpoints = etcd.map((each) => `${each.host}:${each.port}`).join(",");
    const command = {
      ...{ script, dataFolder: join(folder, name), within: host.within },
      environment: { FORELOCK_CLUSTER_SECRET: secret },
      flags: [...own, "--cluster-etcd", endpoints, ...flags],
    };
    const untilMs = clock.monotonicMs() + UP_MS_MAX;
    for (;;) {
      try {
        const running = await this.serve(command);
        await this.gate.aim(running.port);
        this.starts.push(running.startMs);
        return running;
      } catch (error) {
        if (clock.monotonicMs() > untilMs) throw error;
        await pause(clock, AGAIN_MS);
      }
    }
  }

  /** Killed, as far as anybody can see. */
  async down(): Promise<void> {
    await this.kill();
    await this.gate.aim(undefined);
  }

  async close(): Promise<void> {
    await this.kill();
    await this.gate.close();
  }
}
