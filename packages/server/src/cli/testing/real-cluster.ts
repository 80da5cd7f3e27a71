// real-cluster.ts: a small real cluster for end-to-end tests: one member of etcd, and nodes as child processes of the real binary.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Members, startMembers } from "../../etcd/testing/members.ts";
import { forelock, type Running } from "./real-server.ts";

const SECRET = "the secret of an end-to-end test";

export interface RealNode {
  readonly id: string;
  readonly address: string;
  readonly running: Running;
}

export class RealCluster {
  readonly #folder: string;
  readonly #members: Members;
  readonly nodes = new Map<string, RealNode>();

  private constructor(folder: string, members: Members) {
    this.#folder = folder;
    this.#members = members;
  }

  /** Resolves when every node serves. */
  static async start(ids: readonly string[], flags: readonly string[] = []): Promise<RealCluster> {
    const cluster = new RealCluster(await mkdtemp(join(tmpdir(), "forelock-e2e-")), await startMembers({ members: 1 }));
    try {
      for (const id of ids) await cluster.join(id, flags);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async join(id: string, flags: readonly string[] = []): Promise<void> {
    const own = ["--port", "0", "--data", join(this.#folder, id), "--cluster-node-id", id];
    const running = forelock(["serve", ...own, "--cluster-etcd", this.#members.endpoints.join(","), ...flags], {
      FORELOCK_CLUSTER_SECRET: SECRET,
    });
    const address = await running.until(({ out }) => /serving on (\S+)/.exec(out)?.[1]);
    this.nodes.set(id, { id, address, running });
  }

  /** A command that asks this node. */
  run(id: string, argv: readonly string[]): Running {
    return forelock(argv, { FORELOCK_ENDPOINT: this.nodes.get(id)?.address ?? "" });
  }

  async kill(id: string): Promise<void> {
    const node = this.nodes.get(id);
    node?.running.kill("SIGKILL");
    await node?.running.ended;
  }

  async stop(): Promise<void> {
    for (const { running } of this.nodes.values()) running.kill("SIGTERM");
    await Promise.all([...this.nodes.values()].map(({ running }) => running.ended));
    await this.#members[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
