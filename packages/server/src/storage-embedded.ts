// storage-embedded.ts: partitions on this machine's disk: data folder, segment log, bulk store, recovery, snapshots.
import { resolve } from "node:path";
import type { Logger } from "pino";
import { DiskBulkStore } from "./bulk/disk.ts";
import { nodeFiles as bulkFiles } from "./bulk/files.ts";
import { folderIdentity, openDataFolder } from "./log/segment/data-folder.ts";
import { nodeFiles } from "./log/segment/files.ts";
import { lockFolder } from "./log/segment/folder-lock.ts";
import { openSegmentEventLog } from "./log/segment/segment-event-log.ts";
import { realClock, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import { historyInWorker } from "./shard/history.ts";
import { recover } from "./shard/recovery.ts";
import { Snapshots } from "./shard/snapshots.ts";
import { OPEN_FILES_MAX, type Storage } from "./storage.ts";
import { foldBeyond } from "./storage-workers.ts";

/** @throws ForelockError `data_in_use`, `bad_setting`, `log_damaged` */
export async function openEmbedded({ values, fileNames }: Settings, logger: Logger): Promise<Storage> {
  const folder = await openDataFolder({
    folder: resolve(values.data),
    files: nodeFiles,
    partitions: values.partitions,
    wallMs: realClock.wallMs(),
    randomBytes: realRandom,
    identity: folderIdentity,
    lock: lockFolder,
    isRestored: false,
  });
  const closers: (() => Promise<void>)[] = [() => folder.close()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    await foldBeyond(folder, values, logger); // Where there were workers before.
    const log = await openSegmentEventLog({
      folder: folder.logFolder,
      files: nodeFiles,
      segmentBytes: values["log.segmentBytes"],
      notice: (notice) => logger.warn({ kind: notice.kind, cause: String(notice.cause ?? "") }, notice.message),
    });
    closers.push(() => log.close());
    const bulk = await DiskBulkStore.open({
      folder: `${resolve(values.data)}/bulk`,
      files: bulkFiles,
      openFilesMax: OPEN_FILES_MAX,
    });
    closers.push(() => bulk.close());
    const beganMs = realClock.monotonicMs();
    let snapshotMs = 0;
    const { states, events, records } = await recover(log, values.partitions, bulk, () => {
      snapshotMs = realClock.monotonicMs() - beganMs;
    });
    const ms = realClock.monotonicMs() - beganMs;
    logger.info({ events, records, ms: Math.round(ms), snapshotMs: Math.round(snapshotMs) }, "replayed");
    let snapshots: Snapshots | undefined;
    return {
      log,
      bulk,
      states,
      placementKey: Buffer.from(folder.format.hashKey, "hex"),
      readHistory: historyInWorker(folder.logFolder, realClock),
      service: (node) => node,
      begin: {
        when: "before_port",
        run: async (node) => {
          await node.start(Math.max(folder.epochFloor, log.lastEpoch() + 1), fileNames);
          snapshots = new Snapshots({
            log,
            bulk,
            clock: realClock,
            logFolder: folder.logFolder,
            partitions: values.partitions,
            snapshotBytes: values["log.snapshotBytes"],
            note: (line, fields) => logger.info(fields, line),
          });
        },
      },
      leave: async () => snapshots?.close(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
