// export.ts: `forelock export FILE` and `forelock import FILE`: everything of a server that is stopped, as one file, and back. Only these
// commands load that code. What the file holds: transfer/archive.ts.
import { readFile } from "node:fs/promises";
import { ForelockError } from "@forelock/protocol";
import type { Totals } from "../transfer/archive.ts";
import type { ClusterSide } from "../transfer/cluster.ts";
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatBytes, plural } from "./quantity.ts";

interface PlaceOptions {
  readonly data?: string;
  readonly clusterEtcd?: string;
  readonly clusterName?: string;
  readonly clusterEtcdCa?: string;
  readonly clusterEtcdCert?: string;
  readonly clusterEtcdKey?: string;
}

const DATA = "./data";
const CLUSTER = "forelock";
const ID_BYTES = 12;

export function exportCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "export FILE",
    summary: "Write everything of a stopped server or cluster into one file: locks, queues, sessions, policies, files",
    examples: [
      "forelock export forelock.export --data ./data",
      "forelock export forelock.export --cluster-etcd 10.0.0.1:2379 --cluster-name orders --data ./node-1",
    ],
    notes: [
      "A running server is refused. The file has its name when it is whole; a run that was broken off is simply repeated.",
      "Of a cluster, --data is the folder of a node that has all file contents; what it lacks is refused.",
    ],
  }).argument("<file>");
  return onRun<PlaceOptions>(withPlace(command), invocation, async (context, options, [file = ""]) => {
    const { writeArchive } = await import("../transfer/archive.ts");
    const { realClock, realRandom } = await import("../real-time.ts");
    const id = Buffer.from(realRandom(ID_BYTES)).toString("hex");
    return await atPlace(options, async (place) => {
      const source = await place.source();
      try {
        const totals = await writeArchive(file, source, { id, createdMs: realClock.wallMs() });
        return await report(context, "exported", file, totals);
      } finally {
        await source.close();
      }
    });
  });
}

export function importCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "import FILE",
    summary: "Make a new data folder, or a new cluster, of what export wrote",
    examples: [
      "forelock import forelock.export --data ./data",
      "forelock import forelock.export --cluster-etcd 10.0.0.1:2379 --cluster-name orders --data ./node-1",
    ],
    notes: [
      "The whole file is checked before anything is made. A folder or cluster that is not empty is refused.",
      "All tokens from then on are above every token of the source. A run that was broken off is simply repeated.",
      "Into a cluster, --data is the new folder of a node: start that node first, the others get file contents from it.",
    ],
  }).argument("<file>");
  return onRun<PlaceOptions>(withPlace(command), invocation, async (context, options, [file = ""]) => {
    const { readArchive, verifyArchive } = await import("../transfer/archive.ts");
    const { totals } = await verifyArchive(file);
    return await atPlace(options, async (place) => {
      const target = await place.target();
      try {
        await readArchive(file, target);
        return await report(context, "imported", file, totals);
      } finally {
        await target.close();
      }
    });
  });
}

function withPlace(command: ForelockCommand): ForelockCommand {
  return command
    .addOption(option("--data <dir>", "The data folder", { default: DATA }))
    .addOption(option("--cluster-etcd <endpoints>", "The members of etcd, as 10.0.0.1:2379,10.0.0.2:2379: a cluster"))
    .addOption(option("--cluster-name <name>", "What its keys in etcd begin with", { default: CLUSTER }))
    .addOption(option("--cluster-etcd-ca <file>", "Reach etcd by TLS, with this authority; PEM"))
    .addOption(option("--cluster-etcd-cert <file>", "Client certificate for etcd; PEM"))
    .addOption(option("--cluster-etcd-key <file>", "Private key of it; PEM"));
}

interface Place {
  source(): Promise<import("../transfer/archive.ts").ExportSource>;
  target(): Promise<import("../transfer/archive.ts").ImportTarget>;
}

async function atPlace(options: PlaceOptions, run: (place: Place) => Promise<number>): Promise<number> {
  const { realClock, realRandom } = await import("../real-time.ts");
  const { data: folder = DATA, clusterEtcd, clusterName: cluster = CLUSTER } = options;
  if (clusterEtcd === undefined) {
    const { openFolderSource, openFolderTarget } = await import("../transfer/folder.ts");
    const side = { folder, randomBytes: realRandom, wallMs: realClock.wallMs() };
    return await run({ source: () => openFolderSource(side), target: () => openFolderTarget(side) });
  }
  const { openClusterSource, openClusterTarget } = await import("../transfer/cluster.ts");
  const etcd = await reachEtcd(clusterEtcd, options);
  try {
    const side: ClusterSide = { etcd, cluster, folder, clock: realClock, randomBytes: realRandom };
    return await run({ source: () => openClusterSource(side), target: () => openClusterTarget(side) });
  } finally {
    await etcd.close();
  }
}

async function reachEtcd(endpoints: string, options: PlaceOptions) {
  const { GrpcEtcd } = await import("../etcd/grpc.ts");
  const { checkVersion } = await import("../log/etcd/version.ts");
  const { realClock } = await import("../real-time.ts");
  const { clusterEtcdCa, clusterEtcdCert, clusterEtcdKey } = options;
  const pem = (file: string | undefined) => (file === undefined ? undefined : readFile(file));
  const [ca, chain, key] = await Promise.all([pem(clusterEtcdCa), pem(clusterEtcdCert), pem(clusterEtcdKey)]);
  const certificate = chain === undefined || key === undefined ? {} : { certificate: { chain, key } };
  const tls = ca === undefined ? {} : { tls: { ca, ...certificate } };
  const etcd = new GrpcEtcd({ endpoints: endpoints.split(","), clock: realClock, ...tls });
  try {
    for (const { endpoint, version } of await etcd.status()) {
      const { refused } = checkVersion(version);
      if (refused !== undefined) throw new ForelockError("not_supported", `${endpoint}: ${refused}.`);
    }
    return etcd;
  } catch (error) {
    await etcd.close();
    throw error;
  }
}

async function report(context: Context, done: string, file: string, totals: Totals): Promise<number> {
  if (context.json) await context.printJson({ done, file, ...totals });
  else {
    const { partitions, files, bytes } = totals;
    const what = `${plural(partitions, "partition")}, ${plural(files, "file")} with ${formatBytes(bytes)}`;
    await context.out.line(`${context.out.palette.good(done)} ${what}: ${file}`);
  }
  return 0;
}
