// folder.ts: a data folder as source and as target of an export. No server may run on it.
//   F1. A target is made beside its place and takes it by one rename: a server finds the whole of it or nothing.
//   F2. Its first epoch is above every one of the source, by as much as for a copy: the source may have gone on.
import { readdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ForelockError } from "@forelock/protocol";
import { DiskBulkStore } from "../bulk/disk.ts";
import { nodeFiles as bulkFiles } from "../bulk/files.ts";
import type { RandomBytes } from "../clock.ts";
import type { Snapshot } from "../log/event-log.ts";
import { EPOCH_RAISE, folderIdentity, openDataFolder, readDataFormat } from "../log/segment/data-folder.ts";
import { nodeFiles } from "../log/segment/files.ts";
import { lockFolder } from "../log/segment/folder-lock.ts";
import { openSegmentEventLog } from "../log/segment/segment-event-log.ts";
import { recover } from "../shard/recovery.ts";
import type { ExportHeader, ExportSource, ImportTarget } from "./archive.ts";

export interface FolderOptions {
  readonly folder: string;
  readonly randomBytes: RandomBytes;
  readonly wallMs: number;
}

const OPEN_FILES_MAX = 16;
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** @throws ForelockError `data_in_use` while a server runs on it; `bad_argument` when there is none; `log_damaged` */
export async function openFolderSource({ folder: given, randomBytes }: FolderOptions): Promise<ExportSource> {
  const folder = resolve(given);
  if (!(await hasEntries(folder))) throw new ForelockError("bad_argument", `${folder} is no data folder.`);
  const lock = await lockFolder(folder, randomBytes);
  const closers: (() => Promise<void>)[] = [() => lock.release()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const format = await readDataFormat(nodeFiles, folder);
    if (format === undefined)
      throw new ForelockError("bad_argument", `${folder} is no data folder: it has no format.json.`);
    if ((format.streams ?? 1) > 1)
      throw new ForelockError(
        "bad_argument",
        `${folder} has ${format.streams} streams of the log, of a server with workers. Start and stop a server on it with --workers 1, which brings them together, then export.`,
      );
    const log = await openSegmentEventLog({
      folder: `${folder}/log`,
      files: nodeFiles,
      segmentBytes: SEGMENT_BYTES,
      notice: () => {},
    });
    closers.push(() => log.close());
    const bulk = await openBulk(folder);
    closers.push(() => bulk.close());
    const { states } = await recover(log, format.partitions, bulk);
    await bulk.sync();
    const { partitions, hashKey } = format;
    return {
      header: { from: "folder", partitions, hashKey, lastEpoch: Math.max(log.lastEpoch(), format.epochFloor) },
      states: states.map((state, partition) => ({ state, sequence: log.lastSequence(partition), epoch: state.epoch })),
      bulk,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws ForelockError `bad_argument` when there is something in its place; `data_in_use` while another import runs */
export async function openFolderTarget(options: FolderOptions): Promise<ImportTarget> {
  const folder = resolve(options.folder);
  if (await hasEntries(folder))
    throw new ForelockError("bad_argument", `${folder} is not empty; an import makes a folder of its own.`);
  const beside = `${folder}.importing`;
  await nodeFiles.makeFolder(beside);
  const lock = await lockFolder(beside, options.randomBytes);
  for (const name of ["log", "bulk", "format.json"]) await rm(`${beside}/${name}`, { recursive: true, force: true });
  const bulk = await openBulk(beside);
  const snapshots: Snapshot[] = [];
  let header: ExportHeader | undefined;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await bulk.close();
    await lock.release();
  };
  return {
    bulk,
    begin: async (begun) => {
      header = begun;
    },
    state: async (partition, { sequence, epoch }, state) => {
      snapshots.push({ partition, sequence, epoch, state });
    },
    finish: async () => {
      if (header === undefined) throw new Error("nothing was read");
      await close();
      await makeFolder({ ...options, folder: beside }, header, snapshots);
      await rm(folder, { recursive: true, force: true }); // Empty, or not there.
      await rename(beside, folder); // F1
      await nodeFiles.syncFolder(dirname(folder));
    },
    close,
  };
}

async function makeFolder(options: FolderOptions, header: ExportHeader, snapshots: readonly Snapshot[]): Promise<void> {
  const { folder, wallMs, randomBytes } = options;
  const { partitions, hashKey, lastEpoch } = header;
  const made = await openDataFolder({
    ...{ folder, partitions, wallMs, randomBytes, files: nodeFiles, identity: folderIdentity, lock: lockFolder },
    isRestored: false,
    imported: { hashKey, epochFloor: lastEpoch + EPOCH_RAISE }, // F2
  });
  try {
    const log = await openSegmentEventLog({
      folder: made.logFolder,
      files: nodeFiles,
      segmentBytes: SEGMENT_BYTES,
      notice: () => {},
    });
    await log.saveSnapshots(snapshots);
    await log.close();
    await nodeFiles.syncFolder(folder);
  } finally {
    await made.close();
  }
}

function openBulk(folder: string): Promise<DiskBulkStore> {
  return DiskBulkStore.open({ folder: `${folder}/bulk`, files: bulkFiles, openFilesMax: OPEN_FILES_MAX });
}

/** False where there is nothing. */
async function hasEntries(folder: string): Promise<boolean> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new ForelockError("bad_argument", `${folder} cannot be read.`, { cause: error });
  });
  return entries.length > 0;
}
