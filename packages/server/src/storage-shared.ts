// storage-shared.ts: partitions in etcd, shared with other nodes: the log, this node's part in the cluster, and the way to the others.
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import { ForelockError } from "@forelock/protocol";
import type { Logger } from "pino";
import { DiskBulkStore } from "./bulk/disk.ts";
import { nodeFiles as bulkFiles } from "./bulk/files.ts";
import { SyncedMarks } from "./bulk/marks.ts";
import { Cluster } from "./cluster/cluster.ts";
import { dialer } from "./cluster/dial.ts";
import { EtcdHealth } from "./cluster/etcd-health.ts";
import type { Address } from "./cluster/membership.ts";
import type { PeerAddress } from "./cluster/owners.ts";
import { ownerName } from "./cluster/records.ts";
import { Router } from "./cluster/router.ts";
import { Upkeep } from "./cluster/upkeep.ts";
import type { EtcdTls } from "./etcd/endpoint.ts";
import type { Etcd } from "./etcd/etcd.ts";
import { GrpcEtcd } from "./etcd/grpc.ts";
import { AdmissionControl } from "./log/etcd/admission.ts";
import { openEtcdEventLog } from "./log/etcd/etcd-event-log.ts";
import { contentsIdentity, openFormat, refuseUnfinishedImport } from "./log/etcd/format.ts";
import { ClusterKeys } from "./log/etcd/keys.ts";
import { checkVersion } from "./log/etcd/version.ts";
import { folderIdentity } from "./log/segment/data-folder.ts";
import { nodeFiles } from "./log/segment/files.ts";
import { lockFolder } from "./log/segment/folder-lock.ts";
import { createState } from "./partition/state.ts";
import { realClock, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import { OPEN_FILES_MAX, type Storage } from "./storage.ts";
import { VERSION } from "./version.ts";

const BOOT_BYTES = 6;
const LINKS_MAX = 10_000;
/** The log keeps up to three snapshots' worth of records: below its budget, or appends would be refused though all replicas live. */
const SNAPSHOT_SHARE = 1 / 4;
/** How long a request waits for an owner, in leases: the old one must be missed, and the new one take over. */
const HOLD_LEASES = 4;

type Values = Settings["values"];

/** @throws ForelockError `data_in_use`, `bad_setting`, `not_supported`, `log_damaged`, `unavailable` when etcd does not answer */
export async function openShared({ values, fileNames }: Settings, logger: Logger): Promise<Storage> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  const note = (line: string, fields: Readonly<Record<string, unknown>>): void => logger.warn(fields, line);
  try {
    const folder = resolve(values.data);
    await nodeFiles.makeFolder(folder);
    const lock = await lockFolder(folder, realRandom);
    closers.push(() => lock.release());
    const etcd = new GrpcEtcd({ endpoints: values["cluster.etcd"], clock: realClock, ...(await tlsOf(values)) });
    closers.push(() => etcd.close());
    await checkMembers(etcd, logger);
    const keys = new ClusterKeys(values["cluster.name"]);
    const { partitions } = values;
    await refuseUnfinishedImport(etcd, keys);
    const format = await openFormat({ etcd, keys, partitions, wallMs: realClock.wallMs(), randomBytes: realRandom });
    const boot = Buffer.from(realRandom(BOOT_BYTES)).toString("hex");
    const self = { id: values["cluster.nodeId"], boot, version: VERSION };
    const log = await openEtcdEventLog({
      etcd,
      clock: realClock,
      cluster: values["cluster.name"],
      owner: ownerName(self),
      partitions,
      floor: (partition) => cluster.contents.floor(partition),
    });
    closers.push(() => log.close());
    const bulkFolder = `${folder}/bulk`;
    const bulk = await DiskBulkStore.open({ folder: bulkFolder, files: bulkFiles, openFilesMax: OPEN_FILES_MAX });
    closers.push(() => bulk.close());
    const identity = contentsIdentity(await folderIdentity(bulkFolder), format);
    const markStore = new SyncedMarks({ folder: bulkFolder, identity, partitions });
    const leaseMs = values["node.leaseMs"];
    const admission = new AdmissionControl({ etcd, quotaBytes: values["cluster.etcdQuotaBytes"] });
    const health = new EtcdHealth({
      etcd,
      endpoints: values["cluster.etcd"],
      quotaBytes: values["cluster.etcdQuotaBytes"],
      admission: () => admission.state,
      clock: realClock,
    });
    const dial = await dialOf(values);
    let router: Router | undefined;
    const cluster: Cluster = new Cluster({
      growthRefused: () => admission.state.why,
      cluster: values["cluster.name"],
      etcd,
      log,
      bulk,
      markStore,
      marks: await markStore.load(),
      fetch: (peer, request) => {
        if (router === undefined) throw new ForelockError("unavailable", "This node is starting.");
        return router.fetchBulk(peer, request);
      },
      beat: async (peer) => router?.beat(peer),
      fillBytesPerSecond: values["cluster.fillBytesPerSecond"],
      keptBytesMax: values["cluster.logBytes"],
      clock: realClock,
      partitions,
      replicas: values["cluster.replicas"],
      leaseMs,
      self,
      files: fileNames,
      note,
    });
    let upkeep: Upkeep | undefined;
    return {
      log,
      bulk: cluster.contents,
      states: Array.from({ length: partitions }, (_, partition) => createState(partition)),
      placementKey: Buffer.from(format.hashKey, "hex"),
      ownership: cluster.ownership,
      service: (node) => {
        router = new Router({
          node,
          owners: cluster.ownership,
          bulk: cluster.source,
          secret: values["cluster.secret"],
          dial,
          linksMax: LINKS_MAX,
          holdMs: leaseMs * HOLD_LEASES,
          administration: cluster.administration(health),
          heard: (id) => cluster.heartbeats.heard(id),
        });
        return router;
      },
      begin: {
        when: "after_port",
        run: async (node, address) => {
          await cluster.start(node, advertised(values, address));
          upkeep = new Upkeep({
            log,
            bulk: cluster.contents,
            admission,
            clock: realClock,
            led: () => node.led,
            snapshotBytes:
              Math.min(values["cluster.snapshotBytes"], values["cluster.logBytes"] * SNAPSHOT_SHARE) / partitions,
            isCompacting: () => cluster.planner.isPlanning,
            note,
          });
        },
      },
      leave: async () => {
        await upkeep?.close();
        await cluster.close();
        router?.close();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Which etcd this is. Members that do not answer now are looked at by nobody: the others decide. */
async function checkMembers(etcd: Etcd, logger: Logger): Promise<void> {
  for (const { endpoint, version } of await etcd.status()) {
    const { refused, warned } = checkVersion(version);
    if (refused !== undefined) throw new ForelockError("not_supported", `${endpoint}: ${refused}.`);
    if (warned !== undefined) logger.warn({ endpoint }, warned);
  }
}

async function tlsOf(values: Values): Promise<{ readonly tls?: EtcdTls }> {
  if (values["cluster.etcdCa"] === "") return {};
  const ca = await readFile(values["cluster.etcdCa"]);
  if (values["cluster.etcdCert"] === "") return { tls: { ca } };
  const [chain, key] = await Promise.all([readFile(values["cluster.etcdCert"]), readFile(values["cluster.etcdKey"])]);
  return { tls: { ca, certificate: { chain, key } } };
}

/** How other nodes are reached: as clients reach them, with this node's own certificate where nodes listen with TLS. */
async function dialOf(values: Values): Promise<(peer: PeerAddress) => Socket> {
  if (values["tls.cert"] === "") return dialer(undefined);
  const files = [values["tls.ca"] || values["tls.cert"], values["tls.cert"], values["tls.key"]];
  const [ca = "", cert = "", key = ""] = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return dialer({ ca, cert, key });
}

function advertised(values: Values, listening: Address): Address {
  const text = values["cluster.address"];
  if (text === "") return listening;
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}
