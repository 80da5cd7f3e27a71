// A server of two streams that is stopped at every call of the file system, while partitions move between them: what was acknowledged is
// found again, whichever stream has it.
import { describe, expect, test } from "vitest";
import { codeOf } from "../log/contract.ts";
import { type FaultPlan, type FileFault, faultyFiles } from "../log/segment/faulty-files.ts";
import type { Files } from "../log/segment/files.ts";
import { verifyLog } from "../log/segment/inspect.ts";
import { MemoryFiles } from "../log/segment/memory-files.ts";
import { seeded } from "../log/segment/scene.ts";
import { openSegmentEventLog, type SegmentEventLog } from "../log/segment/segment-event-log.ts";
import { holdersOf, withAllHeld } from "./holders.ts";
import type { Given, Host } from "./host.ts";
import { Mover } from "./mover.ts";

const FOLDERS = ["/log", "/log-1"] as const;
const PARTITIONS = 3;

/** What a client was told is durable: the highest acknowledged sequence by partition. */
type Ledger = Map<number, number>;

function openStream(files: Files, folder: string): Promise<SegmentEventLog> {
  return openSegmentEventLog({ folder, files, segmentBytes: 16 * 1024, notice: () => {} });
}

/** As PartitionHost, of states that are nothing but their sequence. */
class LogHost implements Host {
  readonly #log: SegmentEventLog;
  /** By partition. */
  readonly #epochs: number[];

  constructor(log: SegmentEventLog, epochs: number[]) {
    this.#log = log;
    this.#epochs = epochs;
  }

  async give(partition: number): Promise<Given> {
    const sequence = this.#log.lastSequence(partition);
    return { partition, epoch: this.#epochs[partition] ?? 0, sequence, state: Uint8Array.of(sequence) };
  }

  async take({ partition, epoch, sequence, state }: Given): Promise<void> {
    await this.#log.adopt({ partition, sequence, epoch: epoch + 1, state });
    this.#epochs[partition] = epoch + 1;
  }

  async keep(): Promise<void> {}

  async gave(partition: number): Promise<void> {
    this.#log.leave(partition);
  }

  async lose(): Promise<void> {}
}

class Server {
  readonly logs: readonly SegmentEventLog[];
  readonly holders: (number | undefined)[];
  readonly mover: Mover;
  readonly #epochs: number[];

  private constructor(logs: readonly SegmentEventLog[]) {
    this.logs = logs;
    const found = holdersOf(
      logs.map((log) => log.tails()),
      PARTITIONS,
    );
    this.holders = [...withAllHeld(found, logs.length)];
    for (const [stream, log] of logs.entries())
      for (const [partition, holder] of this.holders.entries()) if (holder !== stream) log.leave(partition);
    const epoch = Math.max(...logs.map((log) => log.lastEpoch())) + 1;
    this.#epochs = new Array<number>(PARTITIONS).fill(epoch);
    this.mover = new Mover({
      hosts: logs.map((log) => new LogHost(log, this.#epochs)),
      holder: (partition) => this.holders[partition],
      moved: (partition, worker) => {
        this.holders[partition] = worker;
      },
    });
  }

  static async open(files: Files): Promise<Server> {
    const logs: SegmentEventLog[] = [];
    try {
      for (const folder of FOLDERS) logs.push(await openStream(files, folder));
    } catch (error) {
      await Promise.allSettled(logs.map((log) => log.close()));
      throw error;
    }
    return new Server(logs);
  }

  /** One record of each partition, of that many bytes, all of its sequence. */
  async append(ledger: Ledger, bytes: number): Promise<void> {
    const appends = this.holders.map(async (holder, partition) => {
      const log = holder === undefined ? undefined : this.logs[holder];
      if (log === undefined) return; // Nobody knows who has it.
      const sequence = log.lastSequence(partition) + 1;
      const epoch = this.#epochs[partition] ?? 0;
      await log.append({ partition, sequence, epoch, elapsedMs: 0, events: new Uint8Array(bytes).fill(sequence) });
      ledger.set(partition, sequence);
    });
    await Promise.allSettled(appends);
  }

  async snapshot(): Promise<void> {
    for (const log of this.logs) {
      const here = [...log.tails()].filter(([partition]) => !log.hasLeft(partition));
      const snapshots = here.map(([partition, tail]) => ({ partition, ...tail, state: Uint8Array.of(tail.sequence) }));
      await log.saveSnapshots(snapshots).then(
        () => log.truncate(),
        () => undefined,
      );
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.logs.map((log) => log.close()));
  }
}

/** Records over several segments, partitions to and fro, snapshots, segments freed. */
async function life(server: Server, ledger: Ledger, rounds = 2): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await server.append(ledger, 2_500);
    await server.mover.move(0, (server.holders[0] ?? 0) === 0 ? 1 : 0).catch(() => undefined);
    await server.append(ledger, 500);
    await server.snapshot().catch(() => undefined);
    await server.mover.move(1, round % 2).catch(() => undefined);
    await server.append(ledger, 2_500);
    await server.snapshot().catch(() => undefined);
  }
}

/** One stream has all that was acknowledged of a partition, whole and in order, and goes on. */
async function expectKept(files: Files, ledger: Ledger): Promise<void> {
  const server = await Server.open(files);
  for (const [partition, acknowledged] of ledger) {
    const log = server.logs[server.holders[partition] ?? 0]!; // There are two.
    const base = (await log.loadSnapshots()).find((one) => one.partition === partition);
    expect(base?.state ?? Uint8Array.of(0)).toEqual(Uint8Array.of(base?.sequence ?? 0));
    let last = base?.sequence ?? 0;
    for await (const batch of log.read((other) => (other === partition ? last : Number.POSITIVE_INFINITY))) {
      for (const record of batch) {
        if (record.partition !== partition) continue;
        expect(record.sequence).toBe(last + 1);
        expect(record.events.every((byte) => byte === record.sequence)).toBe(true);
        last = record.sequence;
      }
    }
    expect(last).toBeGreaterThanOrEqual(acknowledged);
  }
  await server.append(ledger, 10);
  expect([...ledger.values()].length).toBe(PARTITIONS);
  await server.close();
  for (const folder of FOLDERS)
    for await (const finding of verifyLog(files, folder)) expect(finding.kind).not.toBe("damage");
}

async function newDisk(pause?: () => Promise<void>): Promise<MemoryFiles> {
  const disk = new MemoryFiles(pause === undefined ? {} : { pause });
  for (const folder of FOLDERS) await disk.makeFolder(folder);
  return disk;
}

test("a partition is found where it moved to, and back, over segments that are freed", async () => {
  const disk = await newDisk();
  const ledger: Ledger = new Map();
  for (let starts = 0; starts < 4; starts++) {
    const server = await Server.open(disk);
    await life(server, ledger, 4);
    expect([server.mover.failed, server.mover.done > 2]).toEqual([0, true]);
    await server.close();
    await expectKept(disk, ledger);
  }
  for (const folder of FOLDERS) {
    const names = await disk.list(folder);
    expect(names.filter((name) => name.startsWith("adopted")).length).toBeLessThanOrEqual(PARTITIONS);
    expect(names).not.toContain("segment-0000000001.log");
  }
});

describe("when one file call fails", () => {
  const faults: readonly FileFault[] = ["EIO", "ENOSPC", "short"];

  test.each(faults)("with %s, whichever it is, nothing acknowledged is lost", { timeout: 60_000 }, async (fault) => {
    let isReached = true;
    for (let nth = 0; isReached; nth++) {
      const disk = await newDisk();
      const ledger: Ledger = new Map();
      let calls = 0;
      isReached = false;
      const plan: FaultPlan = () => {
        if (calls++ !== nth) return undefined;
        isReached = true;
        return fault;
      };
      const server = await Server.open(faultyFiles(disk, plan)).catch(() => undefined);
      if (server !== undefined) {
        await life(server, ledger);
        await server.close();
      }
      await expectKept(disk, new Map(ledger));
      disk.crash(seeded(nth));
      await expectKept(disk, ledger);
    }
  });
});

test("a power cut at any call loses nothing acknowledged", { timeout: 60_000 }, async () => {
  for (let nth = 1, isReached = true; isReached; nth++) {
    let callsLeft = 0;
    isReached = false;
    const disk: MemoryFiles = await newDisk(async () => {
      if (--callsLeft !== 0) return;
      isReached = true;
      disk.crash(seeded(nth));
    });
    callsLeft = nth;
    const ledger: Ledger = new Map();
    const server = await Server.open(disk).catch(() => undefined);
    if (server !== undefined) {
      await life(server, ledger);
      await server.close();
    }
    callsLeft = 0; // No more.
    await expectKept(disk, ledger);
  }
});

test.each([1, 2, 3, 4])("power cuts one after another lose nothing acknowledged (seed %i)", async (seed) => {
  const random = seeded(seed);
  const ledger: Ledger = new Map();
  let callsLeft = 0;
  const disk: MemoryFiles = await newDisk(async () => {
    if (--callsLeft === 0) disk.crash(random);
  });
  for (let cut = 0; cut < 30; cut++) {
    callsLeft = 1 + Math.floor(random() * 300);
    const server = await Server.open(disk).catch(() => undefined);
    if (server !== undefined) {
      await life(server, ledger);
      await server.close();
    }
    callsLeft = 0;
    await expectKept(disk, ledger);
  }
});

test("records that are missing without an adoption that covers them are damage", async () => {
  const disk = await newDisk();
  const ledger: Ledger = new Map();
  const server = await Server.open(disk);
  await server.append(ledger, 100);
  const from = server.holders[0] ?? 0;
  await server.mover.move(0, 1 - from);
  await server.append(ledger, 100);
  await server.mover.move(0, from);
  await server.append(ledger, 100);
  await server.close();
  const folder = FOLDERS[from] ?? "";
  const adopted = (await disk.list(folder)).filter((name) => name.startsWith("adopted"));
  expect(adopted.length).toBe(1);
  await disk.remove(`${folder}/${adopted[0]}`);
  expect(await codeOf(openStream(disk, folder))).toBe("log_damaged");
});
