// storage-workers.ts: partitions on this machine's disk, spread over worker threads with a stream of the log each. This thread has the port,
// and sends what is asked to the worker that decides.
//   S1. A folder is opened with whatever number of streams it has: what has no worker any more is brought to the others first (fold.ts).
//   S2. The format record names a stream before a partition is taken into it, and until all of it is elsewhere.
import { resolve } from "node:path";
import type { Logger } from "pino";
import { DiskBulkStore } from "./bulk/disk.ts";
import { nodeFiles as bulkFiles } from "./bulk/files.ts";
import { MemoryBulkStore } from "./bulk/memory.ts";
import { Router } from "./cluster/router.ts";
import { MemoryEventLog, MemoryLogDisk } from "./log/memory.ts";
import { type DataFolder, folderIdentity, openDataFolder } from "./log/segment/data-folder.ts";
import { nodeFiles } from "./log/segment/files.ts";
import { lockFolder } from "./log/segment/folder-lock.ts";
import { createState } from "./partition/state.ts";
import { realClock, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import { OPEN_FILES_MAX, type Storage } from "./storage.ts";
import { VERSION } from "./version.ts";
import { Channel } from "./workers/channel.ts";
import { threadCpuMs } from "./workers/cpu.ts";
import { foldFolder } from "./workers/fold.ts";
import { holdersOf, withAllHeld } from "./workers/holders.ts";
import type { Sample } from "./workers/messages.ts";
import { Mover } from "./workers/mover.ts";
import { HOLD_MS, WORKER_OWNERSHIP, WorkerOwners } from "./workers/owners.ts";
import { Steward } from "./workers/steward.ts";
import { type Opened, Workers } from "./workers/workers.ts";

type Values = Settings["values"];

/** @throws ForelockError `data_in_use`, `bad_setting`, `log_damaged` */
export async function openWorkers(settings: Settings, logger: Logger): Promise<Storage> {
  const { values } = settings;
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
    await foldBeyond(folder, values, logger);
    const workers = await startWorkers(folder, settings, logger);
    closers.push(() => workers.close());
    const opened = await workers.opened();
    await folder.keepStreams(values.workers); // S2
    return new WorkersStorage({ settings, logger, folder, workers, opened, close }).storage();
  } catch (error) {
    await close();
    throw error;
  }
}

/** S1. Also for a server without workers. */
export async function foldBeyond(folder: DataFolder, values: Values, logger: Logger): Promise<void> {
  const path = resolve(values.data);
  const { streams } = folder;
  const { workers, partitions } = values;
  const folded = await foldFolder({
    ...{ folder, path, files: nodeFiles, streams: workers, partitions, segmentBytes: values["log.segmentBytes"] },
    notice: (notice) => logger.warn({ kind: notice.kind, cause: String(notice.cause ?? "") }, notice.message),
    openBulk: () => DiskBulkStore.open({ folder: `${path}/bulk`, files: bulkFiles, openFilesMax: OPEN_FILES_MAX }),
  });
  if (folded !== undefined)
    logger.info({ streams, workers, partitions: folded }, "streams without a worker brought over");
}

async function startWorkers(folder: DataFolder, settings: Settings, logger: Logger): Promise<Workers> {
  const { values, principals, fileNames } = settings;
  const data = resolve(values.data);
  const starts = [];
  for (let stream = 0; stream < values.workers; stream += 1) {
    const logFolder = stream === 0 ? folder.logFolder : await folder.makeStream(stream);
    const own = { values: { ...values, data }, principals, fileNames };
    starts.push({ settings: own, logFolder, placementKey: folder.format.hashKey });
  }
  return new Workers({ starts, entry: threadUrl(), log: (line) => passOn(logger, line) });
}

/** A line that a worker has already made. */
function passOn(logger: Logger, line: string): void {
  const { level, msg, time: _, ...fields } = JSON.parse(line) as { level: number; msg: string; time: number }; // As pino writes it.
  const name = logger.levels.labels[level];
  if (name === "info" || name === "warn" || name === "error" || name === "debug" || name === "trace")
    logger[name](fields, msg);
}

interface WorkersStorageParts {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly folder: DataFolder;
  readonly workers: Workers;
  readonly opened: readonly Opened[];
  readonly close: () => Promise<void>;
}

class WorkersStorage {
  readonly #parts: WorkersStorageParts;
  readonly #owners: WorkerOwners;
  readonly #steward: Steward;
  /** Of this start. */
  readonly #epoch: number;
  #address = "";
  #router: Router | undefined;

  constructor(parts: WorkersStorageParts) {
    this.#parts = parts;
    const { workers, opened, folder, logger } = parts;
    const { workers: count, partitions } = parts.settings.values;
    this.#owners = new WorkerOwners(count, partitions, undefined);
    this.#epoch = Math.max(folder.epochFloor, ...opened.map(({ lastEpoch }) => lastEpoch + 1));
    const mover = new Mover({
      hosts: workers.hosts,
      holder: (partition) => this.#owners.holder(partition),
      moved: (partition, worker) => {
        this.#owners.set(partition, worker);
        workers.tell({ kind: "moved", partition, worker });
      },
    });
    this.#steward = new Steward({
      ...{ workers: count, owners: this.#owners, mover, epoch: this.#epoch },
      ...{ clock: realClock, cpuMs: threadCpuMs, version: VERSION },
      sample: async () => (await workers.askAll({ kind: "sample" })) as readonly Sample[], // As worker-thread.ts answers it.
      address: () => this.#address,
      note: (line, fields) => logger.info(fields, line),
    });
  }

  storage(): Storage {
    const { settings, folder, workers, opened, close } = this.#parts;
    const { partitions } = settings.values;
    return {
      // Nothing is ever led by this thread.
      log: new MemoryEventLog({ disk: new MemoryLogDisk() }),
      bulk: new MemoryBulkStore(),
      states: Array.from({ length: partitions }, (_, partition) => createState(partition)),
      placementKey: Buffer.from(folder.format.hashKey, "hex"),
      ownership: WORKER_OWNERSHIP,
      isFront: true,
      failed: workers.failed,
      service: (node) => {
        const channels = workers.ports.map((port) => new Channel(port, "first", (socket) => socket.destroy()));
        this.#router = new Router({
          ...{ node, owners: this.#owners, secret: "", holdMs: HOLD_MS, isMapTold: false },
          linksMax: settings.values["edge.connectionsMax"] * workers.hosts.length,
          administration: this.#steward,
          unavailable: () => this.#steward.unavailable,
          dial: (peer) => {
            const channel = channels[peer.port];
            if (channel === undefined) throw new Error(`there is no way to ${peer.id}`);
            return channel.dial();
          },
        });
        return this.#router;
      },
      begin: {
        when: "before_port",
        run: async (node) => {
          const holders = withAllHeld(
            holdersOf(
              opened.map(({ tails }) => tails),
              partitions,
            ),
            workers.hosts.length,
          );
          await workers.askAll({ kind: "begin", holders, epoch: this.#epoch });
          this.#owners.setAll(holders);
          await this.#steward.even();
          await this.#steward.start();
          node.open();
        },
      },
      listening: (address) => {
        this.#address = address;
        workers.tell({ kind: "address", address });
      },
      leave: async () => this.#steward.close(),
      close: async () => {
        this.#router?.close();
        await close();
      },
    };
  }
}

/** Sources run as they are in tests, but a worker needs the built file. */
function threadUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith(".ts") ? "../dist/worker-thread.js" : "./worker-thread.js", here);
}
