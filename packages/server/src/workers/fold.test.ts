// A folder that is opened with another number of workers each time, with real nodes on its streams, and a machine that stops at any call of
// the file system.
import { describe, expect, test } from "vitest";
import { MemoryBulkStore } from "../bulk/memory.ts";
import { type DataFolder, openDataFolder, streamFolder } from "../log/segment/data-folder.ts";
import type { Files } from "../log/segment/files.ts";
import { MemoryFiles } from "../log/segment/memory-files.ts";
import { seeded } from "../log/segment/scene.ts";
import { openSegmentEventLog, type SegmentEventLog } from "../log/segment/segment-event-log.ts";
import { Node } from "../shard/node.ts";
import { recover } from "../shard/recovery.ts";
import { ManualClock, NODE_LIMITS } from "../shard/testing/world.ts";
import { foldFolder } from "./fold.ts";
import { holdersOf, withAllHeld } from "./holders.ts";
import { PartitionHost } from "./host.ts";
import { Mover } from "./mover.ts";
import { WORKER_OWNERSHIP } from "./owners.ts";

const PARTITIONS = 4;
/** Made at once: of every partition some. */
const FILES = 8;
const SEGMENT_BYTES = 16 * 1024;
const PATH = "/data";

/** Files that a client was told exist. */
type Ledger = Set<string>;

function openFolder(files: Files): Promise<DataFolder> {
  return openDataFolder({
    ...{ folder: PATH, files, partitions: PARTITIONS, wallMs: 0, isRestored: false },
    randomBytes: (bytes) => new Uint8Array(bytes),
    identity: async () => ({ device: "8", inode: "42", machineId: "m1" }),
    lock: async () => ({ release: async () => {} }),
  });
}

function openStream(files: Files, stream: number): Promise<SegmentEventLog> {
  const folder = streamFolder(PATH, stream);
  return openSegmentEventLog({ folder, files, segmentBytes: SEGMENT_BYTES, notice: () => {} });
}

/** As storage-workers.ts and worker-thread.ts, in one thread. */
class Server {
  readonly nodes: Node[] = [];
  readonly logs: SegmentEventLog[] = [];
  readonly mover: Mover;
  #holders: (number | undefined)[] = [];

  private constructor() {
    const hosts: PartitionHost[] = [];
    this.mover = new Mover({
      hosts,
      holder: (partition) => this.#holders[partition],
      moved: (partition, worker) => {
        this.#holders[partition] = worker;
      },
    });
    this.#hosts = hosts;
  }

  readonly #hosts: PartitionHost[];

  static async open(files: Files, workers: number): Promise<Server> {
    const server = new Server();
    try {
      await server.#open(files, workers);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  holders(): readonly (number | undefined)[] {
    return this.#holders;
  }

  /** Every node makes the file in its partition, whoever has that. */
  async create(name: string): Promise<void> {
    const partition = this.nodes[0]?.partitionOf(name) ?? 0;
    const holder = this.#holders[partition];
    const node = holder === undefined ? undefined : this.nodes[holder];
    if (node === undefined) throw new Error("nobody has it");
    await node.createFile(name);
  }

  /** Names of the files of every partition, at who has it. */
  files(): ReadonlySet<string> {
    const names = this.#holders.flatMap((holder, partition) => [
      ...(this.nodes[holder ?? 0]?.shardAt(partition).state.files.keys() ?? []),
    ]);
    return new Set(names);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.drain()));
    await Promise.allSettled(this.logs.map((log) => log.close()));
  }

  async #open(files: Files, workers: number): Promise<void> {
    const folder = await openFolder(files);
    await foldFolder({
      ...{ folder, path: PATH, files, streams: workers, partitions: PARTITIONS, segmentBytes: SEGMENT_BYTES },
      notice: () => {},
      openBulk: async () => new MemoryBulkStore(),
    });
    for (let stream = 0; stream < workers; stream += 1) {
      if (stream > 0) await folder.makeStream(stream);
      this.logs.push(await openStream(files, stream));
    }
    await folder.keepStreams(workers);
    const found = holdersOf(
      this.logs.map((log) => log.tails()),
      PARTITIONS,
    );
    this.#holders = [...withAllHeld(found, workers)];
    const epoch = Math.max(folder.epochFloor, ...this.logs.map((log) => log.lastEpoch() + 1));
    for (const [worker, log] of this.logs.entries()) await this.#begin(worker, log, epoch);
  }

  async #begin(worker: number, log: SegmentEventLog, epoch: number): Promise<void> {
    const isMine = (partition: number): boolean => this.#holders[partition] === worker;
    for (let partition = 0; partition < PARTITIONS; partition += 1) if (!isMine(partition)) log.leave(partition);
    const bulk = Object.assign(new MemoryBulkStore(), { forget: async () => {} });
    const { states } = await recover(log, PARTITIONS, bulk);
    const node = new Node({
      ...{ states, log, bulk, ownership: WORKER_OWNERSHIP, clock: new ManualClock(), limits: NODE_LIMITS },
      ...{ random: (bytes: number) => new Uint8Array(bytes), defer: (run: () => void) => setImmediate(run) },
      ...{ placementKey: new Uint8Array(16), isDurable: true, version: "test", isPredicting: false, note: () => {} },
    });
    this.nodes.push(node);
    this.#hosts.push(new PartitionHost({ worker, node, log, bulk, changed: () => {} }));
    await Promise.all(states.filter(({ partition }) => isMine(partition)).map((state) => node.lead(state, epoch)));
    node.open();
  }
}

let made = 0;

/** Files in every partition, and moves between them. */
async function life(server: Server, ledger: Ledger): Promise<void> {
  const create = async (): Promise<void> => {
    const names = Array.from({ length: FILES }, () => `f${++made}`);
    await Promise.all(
      names.map((name) =>
        server.create(name).then(
          () => ledger.add(name),
          () => undefined,
        ),
      ),
    );
  };
  await create();
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    await server.mover.move(partition, partition % server.nodes.length).catch(() => undefined);
  await create();
  await server.mover.move(0, server.nodes.length - 1).catch(() => undefined);
  await create();
}

async function expectKept(files: Files, ledger: Ledger, workers: number): Promise<void> {
  const server = await Server.open(files, workers);
  const found = server.files();
  expect([...ledger].filter((name) => !found.has(name))).toEqual([]);
  await server.close();
}

test("everything is found with any number of workers, one after another", async () => {
  const disk = new MemoryFiles();
  const ledger: Ledger = new Set();
  for (const workers of [1, 3, 2, 4, 1, 2]) {
    const server = await Server.open(disk, workers);
    await life(server, ledger);
    expect(server.mover.failed).toBe(0);
    await server.close();
    await expectKept(disk, ledger, workers);
  }
  expect(ledger.size).toBe(6 * 3 * FILES);
});

test("a partition that is given on before its taker has decided anything has a higher epoch each time", async () => {
  const disk = new MemoryFiles();
  const server = await Server.open(disk, 2);
  const there = 1 - (server.holders()[0] ?? 0);
  const back = 1 - there;
  await Promise.all([there, back, there].map((to) => server.mover.move(0, to)));
  const epochs = [back, there].map((stream) => server.logs[stream]?.tails().get(0)?.epoch);
  expect(epochs).toEqual([3, 4]); // The start took 1, and the moves one each.
  expect(server.nodes[there]?.leads(0)).toBe(true);
  await server.close();
  await expectKept(disk, new Set(), 2);
});

test("a start on one stream too few is refused, with the stream that is missing", async () => {
  const disk = new MemoryFiles();
  await (await Server.open(disk, 2)).close();
  for (const name of await disk.list(`${PATH}/log-1`)) await disk.remove(`${PATH}/log-1/${name}`);
  await expect(Server.open(disk, 2)).rejects.toMatchObject({ code: "log_damaged" });
  await expect(Server.open(disk, 1)).rejects.toThrow("log-1");
});

/** Coprime to what repeats, so that the cases together meet all kinds of calls. */
const STRIDE = 7;

describe("a power cut at any call", () => {
  test.each([
    [1, 2],
    [3, 1],
    [3, 2],
  ])("of a start with %i workers, then %i, loses nothing acknowledged", { timeout: 60_000 }, async (first, second) => {
    for (let nth = 1, isReached = true; isReached; nth += STRIDE) {
      let callsLeft = 0;
      isReached = false;
      const disk: MemoryFiles = new MemoryFiles({
        pause: async () => {
          if (--callsLeft !== 0) return;
          isReached = true;
          disk.crash(seeded(nth));
        },
      });
      const ledger: Ledger = new Set();
      const before = await Server.open(disk, first);
      await life(before, ledger);
      await before.close();
      callsLeft = nth;
      const server = await Server.open(disk, second).catch(() => undefined);
      if (server !== undefined) {
        await life(server, ledger);
        await server.close();
      }
      callsLeft = 0; // No more.
      await expectKept(disk, ledger, nth % 2 === 0 ? first : second);
    }
  });
});
