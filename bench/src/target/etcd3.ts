// target/etcd3.ts: the lock of the etcd3 package, on one etcd member or several. Each acquire is a lease and a transaction, each
// release revokes the lease: that is what the package does.

import { accepts, freePort, startServer } from "../server-process.ts";
import { loadPackage, packageAbsence, packageVersion } from "./package.ts";
import { findProgram, programAbsence, programVersion } from "./program.ts";
import type { LockClient, Target } from "./target.ts";

interface Etcd3 {
  lock(name: string): Etcd3Lock;
  close(): void;
}
interface Etcd3Lock {
  acquire(): Promise<Etcd3Lock>;
  release(): Promise<void>;
}

export const etcd3: Target = {
  name: "etcd3",
  durable: true,
  how: "lock() of the etcd3 package on one etcd member",
  absence: () => programAbsence("etcd") ?? packageAbsence(["etcd3"]),
  async start(folder) {
    const program = findProgram("etcd")!; // Not absent.
    const [port, peerPort] = [await freePort(), await freePort()];
    const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
    const words = ["--data-dir", `${folder}/data`, "--name", "bench", "--initial-cluster", `bench=${peer}`];
    words.push("--listen-client-urls", client, "--advertise-client-urls", client);
    words.push(
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--logger",
      "zap",
      "--log-level",
      "warn",
    );
    const server = await startServer({ command: program, words, folder, isUp: () => accepts(port), upMsMax: 30_000 });
    const version = `etcd3 ${packageVersion("etcd3")}, etcd ${programVersion(program)}`;
    return { endpoint: `127.0.0.1:${port}`, version, server };
  },
};

/** @param endpoint of one member, or of several with commas between */
export async function openEtcd3Client(endpoint: string): Promise<LockClient> {
  const { Etcd3 } = loadPackage("etcd3") as { Etcd3: new (options: { hosts: readonly string[] }) => Etcd3 }; // As its page documents.
  const client = new Etcd3({ hosts: endpoint.split(",").map((member) => `http://${member}`) });
  return {
    acquire: (name) => client.lock(name).acquire(),
    release: (grant) => (grant as Etcd3Lock).release(), // It came from acquire.
    close: async () => client.close(),
  };
}
