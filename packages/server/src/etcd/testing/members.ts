// members.ts: real etcd members for tests and benchmarks: on free ports of the loopback, in a temporary folder, ended with the test.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "../../real-time.ts";
import type { EtcdTls } from "../endpoint.ts";
import { GrpcEtcd } from "../grpc.ts";

export interface MembersOptions {
  readonly members: number;
  /** More of etcd's flags. */
  readonly flags?: readonly string[];
  /** How a client reaches them, where they speak TLS. */
  readonly tls?: EtcdTls;
}

export interface Member {
  readonly endpoint: string;
  readonly process: ChildProcess;
}

export interface Members {
  readonly endpoints: readonly string[];
  readonly members: readonly Member[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** The version of the program `etcd`, or undefined where it is missing; then a line says so. */
export function etcdVersion(): string | undefined {
  const { stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  const version = /etcd Version: (\S+)/.exec(stdout ?? "")?.[1];
  if (version === undefined) process.stdout.write("The program etcd is missing: what needs it is skipped.\n");
  return version;
}

export async function startMembers({ members: count, flags = [], tls }: MembersOptions): Promise<Members> {
  const folder = mkdtempSync(join(tmpdir(), "forelock-etcd-"));
  const ports = await freePorts(count * 2);
  const at = (index: number): string => `http://127.0.0.1:${ports[index]}`;
  const names = Array.from({ length: count }, (_, index) => `m${index}`);
  const cluster = names.map((name, index) => `${name}=${at(count + index)}`).join(",");
  const members = names.map((name, index): Member => {
    const own = ["--name", name, "--data-dir", join(folder, name), "--initial-cluster", cluster];
    const url = tls === undefined ? at(index) : at(index).replace("http:", "https:");
    const client = ["--listen-client-urls", url, "--advertise-client-urls", url];
    const peer = ["--listen-peer-urls", at(count + index), "--initial-advertise-peer-urls", at(count + index)];
    const child = spawn("etcd", [...own, ...client, ...peer, "--log-level", "error", ...flags], { stdio: "ignore" });
    return { endpoint: `127.0.0.1:${ports[index]}`, process: child };
  });
  const killAll = (): void => {
    for (const { process: child } of members) child.kill("SIGKILL");
  };
  process.once("exit", killAll); // A run that fails leaves no members behind.
  const dispose = async (): Promise<void> => {
    process.off("exit", killAll);
    await Promise.all(members.map(({ process: child }) => ended(child)));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const endpoints = members.map(({ endpoint }) => endpoint);
  try {
    await answering(endpoints, tls);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { endpoints, members, [Symbol.asyncDispose]: dispose };
}

/** Until every member answers, with a leader. */
async function answering(endpoints: readonly string[], tls: EtcdTls | undefined): Promise<void> {
  for (const endpoint of endpoints) {
    const options = { endpoints: [endpoint], clock: realClock, deadlineMs: 30_000 };
    const etcd = new GrpcEtcd(tls === undefined ? options : { ...options, tls });
    await etcd.range({ key: "/", countOnly: true }).finally(() => etcd.close());
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
      return address.port;
    }),
  );
}
