// cluster.ts: a cluster in etcd as source and as target of an export, with no node running. File contents do not rest in etcd but on the
// disks of nodes: they are read from, and written to, the data folder of one of them.
//   C1. While a node is registered nothing is read or written: partitions would not be of one moment, and two would write.
//   C2. Until an import is finished a key says so, and no node starts. One that was broken off is begun anew.
//   C3. Every partition has an epoch record above all epochs of the source before anything else of it is there.
import { resolve } from "node:path";
import { ForelockError } from "@forelock/protocol";
import { DiskBulkStore } from "../bulk/disk.ts";
import { nodeFiles as bulkFiles } from "../bulk/files.ts";
import { SyncedMarks } from "../bulk/marks.ts";
import type { Clock, RandomBytes } from "../clock.ts";
import { MemberKeys } from "../cluster/records.ts";
import { type Etcd, prefixEnd } from "../etcd/etcd.ts";
import { putEpoch } from "../log/etcd/epoch.ts";
import { openEtcdEventLog } from "../log/etcd/etcd-event-log.ts";
import { contentsIdentity, encodeFormat, readFormat } from "../log/etcd/format.ts";
import { ClusterKeys } from "../log/etcd/keys.ts";
import { EPOCH_RAISE, folderIdentity } from "../log/segment/data-folder.ts";
import { nodeFiles } from "../log/segment/files.ts";
import { lockFolder } from "../log/segment/folder-lock.ts";
import { bulkObserver, recoverPartition } from "../shard/recovery.ts";
import type { ExportedState, ExportHeader, ExportSource, ImportTarget } from "./archive.ts";

export interface ClusterSide {
  readonly etcd: Etcd;
  readonly cluster: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** The data folder of a node. */
  readonly folder: string;
}

const OPEN_FILES_MAX = 16;
const EPOCHS_OF_STEP = 64;

/** @throws ForelockError `data_in_use` while nodes are registered; `bad_argument` when there is no such cluster */
export async function openClusterSource(side: ClusterSide): Promise<ExportSource> {
  const { etcd, cluster, clock } = side;
  const keys = new ClusterKeys(cluster);
  await refuseNodes(side);
  const format = await readFormat(etcd, keys);
  if (format === undefined) throw new ForelockError("bad_argument", `There is no cluster ${cluster} in this etcd.`);
  const { partitions, hashKey } = format;
  const contents = await openContents(side);
  try {
    const identity = contentsIdentity(await folderIdentity(contents.folder), format);
    const marks = await new SyncedMarks({ folder: contents.folder, identity, partitions }).load();
    const log = await openEtcdEventLog({ etcd, clock, cluster, owner: "", partitions });
    const states: ExportedState[] = [];
    for (let partition = 0; partition < partitions; partition += 1) {
      const snapshot = await log.loadSnapshot(partition, marks[partition] ?? 0);
      states.push(
        await recoverPartition(log, partition, snapshot, {
          observer: bulkObserver(contents.bulk, partition),
          rest: async () => {
            if (contents.bulk.pendingBytes > 0) await contents.bulk.sync();
          },
        }),
      );
    }
    const lastEpoch = log.lastEpoch();
    await log.close();
    await refuseNodes(side); // C1, also now.
    const header = { from: "cluster", partitions, hashKey, lastEpoch } as const;
    return { header, states, bulk: contents.bulk, close: contents.close };
  } catch (error) {
    await contents.close();
    throw error;
  }
}

/** @throws ForelockError `bad_argument` when the cluster or the folder is there; `data_in_use` while nodes are registered */
export async function openClusterTarget(side: ClusterSide): Promise<ImportTarget> {
  const { etcd, cluster, clock } = side;
  const keys = new ClusterKeys(cluster);
  await refuseNodes(side);
  await refuseCluster(etcd, keys);
  const contents = await openContents(side);
  const snapshots = new Map<number, number>();
  let header: ExportHeader | undefined;
  let log: Awaited<ReturnType<typeof openEtcdEventLog>> | undefined;
  const close = async (): Promise<void> => {
    await log?.close();
    log = undefined;
    await contents.close();
  };
  return {
    bulk: contents.bulk,
    begin: async (begun) => {
      header = begun;
      const { partitions } = begun;
      const marker = Buffer.from(JSON.stringify({ id: begun.id }));
      const clean = { kind: "delete", ...keys.all } as const;
      await etcd.txn({ compare: [], success: [clean] });
      await etcd.txn({ compare: [], success: [{ kind: "put", key: keys.importing, value: marker }] }); // C2
      const epoch = begun.lastEpoch + EPOCH_RAISE;
      for (let from = 0; from < partitions; from += EPOCHS_OF_STEP) {
        const numbers = Array.from({ length: Math.min(EPOCHS_OF_STEP, partitions - from) }, (_, index) => from + index);
        const success = numbers.map((partition) => putEpoch(keys, { partition, epoch, owner: "" }));
        await etcd.txn({ compare: [], success }); // C3
      }
      log = await openEtcdEventLog({ etcd, clock, cluster, owner: "", partitions });
    },
    state: async (partition, { sequence, epoch }, state) => {
      if (sequence === 0) return; // Nothing was ever there.
      await log?.saveSnapshots([{ partition, sequence, epoch, state }]);
      snapshots.set(partition, sequence);
    },
    finish: async () => {
      if (header === undefined) throw new Error("nothing was read");
      const { partitions, hashKey } = header;
      const made = { partitions, hashKey, createdMs: clock.wallMs() };
      const identity = contentsIdentity(await folderIdentity(contents.folder), made);
      const marks = Array.from({ length: partitions }, (_, partition) => snapshots.get(partition) ?? 0);
      await new SyncedMarks({ folder: contents.folder, identity, partitions }).save(marks);
      const success = [
        { kind: "put", key: keys.format, value: encodeFormat(made) } as const,
        { kind: "delete", key: keys.importing } as const,
      ];
      await etcd.txn({ compare: [], success });
      await close();
    },
    close,
  };
}

/** C1 */
async function refuseNodes({ etcd, cluster }: ClusterSide): Promise<void> {
  const { nodes } = new MemberKeys(cluster);
  const { entries } = await etcd.range({ key: nodes, end: prefixEnd(nodes), keysOnly: true });
  if (entries.length === 0) return;
  const names = entries.map(({ key }) => key.slice(nodes.length)).join(", ");
  const message = `Nodes of cluster ${cluster} are registered: ${names}. Stop them; one that died is forgotten after a minute.`;
  throw new ForelockError("data_in_use", message);
}

async function refuseCluster(etcd: Etcd, keys: ClusterKeys): Promise<void> {
  const { entries } = await etcd.range({ ...keys.all, limit: 1, keysOnly: true });
  if (entries.length === 0) return;
  const { entries: begun } = await etcd.range({ key: keys.importing });
  if (begun.length > 0) return; // C2
  throw new ForelockError(
    "bad_argument",
    `There is something under ${keys.all.key} in etcd; an import makes a cluster of its own.`,
  );
}

async function openContents({ folder: given, randomBytes }: ClusterSide) {
  const folder = resolve(given);
  await nodeFiles.makeFolder(folder);
  const lock = await lockFolder(folder, randomBytes);
  const bulkFolder = `${folder}/bulk`;
  const bulk = await DiskBulkStore.open({ folder: bulkFolder, files: bulkFiles, openFilesMax: OPEN_FILES_MAX });
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await bulk.close();
    await lock.release();
  };
  return { bulk, folder: bulkFolder, close };
}
