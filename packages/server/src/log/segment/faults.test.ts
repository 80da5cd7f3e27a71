import { describe, expect, test } from "vitest";
import { codeOf, record, recordsOf, rejection, snapshot } from "../contract.ts";
import type { EventLog, LogRecord } from "../event-log.ts";
import { BLOCK_BYTES } from "./block.ts";
import { type FaultPlan, type FileFault, faultyFiles } from "./faulty-files.ts";
import { MemoryFiles } from "./memory-files.ts";
import { FOLDER, newFiles, openLog, seeded } from "./scene.ts";

/** What a client was told is durable: the highest acknowledged sequence by partition. */
type Ledger = Map<number, number>;

const big = (partition: number, sequence: number, bytes: number): LogRecord =>
  record(partition, sequence, { events: new Uint8Array(bytes).fill(sequence) });

async function appendAll(log: EventLog, ledger: Ledger, bytes: number): Promise<void> {
  const appends = [0, 1, 2].map(async (partition) => {
    const sequence = log.lastSequence(partition) + 1;
    await log.append(big(partition, sequence, bytes));
    ledger.set(partition, sequence);
  });
  const failed = (await Promise.allSettled(appends)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

const snapshotsOf = (log: EventLog) => [0, 1, 2].map((partition) => snapshot(partition, log.lastSequence(partition)));

/** Opens, appends over several segments, saves snapshots, truncates, recycles. */
async function life(log: EventLog, ledger: Ledger): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await appendAll(log, ledger, 500);
    await appendAll(log, ledger, 2_500);
    await log.saveSnapshots(snapshotsOf(log));
    await log.truncate();
    await appendAll(log, ledger, 100);
  }
}

/** The same, by an owner whom a failed snapshot or truncation does not stop. */
async function longLife(log: EventLog, ledger: Ledger): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await appendAll(log, ledger, 2_500).catch(() => undefined);
    await appendAll(log, ledger, 2_500).catch(() => undefined);
    await log.saveSnapshots(snapshotsOf(log)).catch(() => undefined);
    await log.truncate().catch(() => undefined);
  }
}

/** Every acknowledged record is there or covered, whole and in order; the log takes appends again. */
async function expectKept(files: MemoryFiles, ledger: Ledger): Promise<void> {
  const log = await openLog(files);
  const coverByPartition = new Map((await log.loadSnapshots()).map((one) => [one.partition, one.sequence]));
  const records = await recordsOf(log, (partition) => coverByPartition.get(partition) ?? 0);
  for (const [partition, acknowledged] of ledger) {
    const covered = coverByPartition.get(partition) ?? 0;
    const sequences = records.filter((one) => one.partition === partition).map((one) => one.sequence);
    expect(sequences).toEqual(Array.from(sequences, (_, index) => covered + 1 + index));
    expect(Math.max(covered, ...sequences)).toBeGreaterThanOrEqual(acknowledged);
  }
  for (const one of records)
    for (const byte of one.events) if (byte !== one.sequence) expect.fail("a record has other bytes");
  await appendAll(log, ledger, 10);
  await log.close();
}

describe("when one file call fails", () => {
  const faults: readonly FileFault[] = ["EIO", "ENOSPC", "short"];

  test.each(faults)("with %s, whichever it is, nothing acknowledged is lost", async (fault) => {
    let isReached = true;
    for (let nth = 0; isReached; nth++) {
      const disk = await newFiles();
      const ledger: Ledger = new Map();
      let calls = 0;
      isReached = false;
      const plan: FaultPlan = () => {
        if (calls++ !== nth) return undefined;
        isReached = true;
        return fault;
      };
      const files = faultyFiles(disk, plan);
      const log = await openLog(files).catch(() => undefined);
      if (log !== undefined) {
        const failure = await life(log, ledger).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (fault === "short") expect(failure, `call ${nth}`).toBeUndefined();
        if (log.stopped !== undefined) expect(await codeOf(log.append(record(9, 1)))).toBe("log_stopped");
        await log.close().catch(() => undefined);
      }
      await expectKept(disk, new Map(ledger));
      disk.crash(seeded(nth));
      await expectKept(disk, ledger);
    }
  });

  test.each(faults)("with %s, and the server goes on, nothing acknowledged is lost", async (fault) => {
    let isReached = true;
    for (let nth = 0; isReached; nth++) {
      const disk = await newFiles();
      const ledger: Ledger = new Map();
      let calls = 0;
      isReached = false;
      const plan: FaultPlan = () => {
        if (calls++ !== nth) return undefined;
        isReached = true;
        return fault;
      };
      const log = await openLog(faultyFiles(disk, plan)).catch(() => undefined);
      if (log !== undefined) {
        await longLife(log, ledger);
        await log.close().catch(() => undefined);
      }
      await expectKept(disk, new Map(ledger));
      disk.crash(seeded(nth));
      await expectKept(disk, ledger);
    }
  });

  test("a failed append is never tried again", async () => {
    const disk = await newFiles();
    let isBroken = false;
    let writes = 0;
    const log = await openLog(
      faultyFiles(disk, (call) => {
        if (!isBroken) return undefined;
        if (call === "write") writes++;
        return "EIO";
      }),
    );
    await log.append(record(0, 1));
    await new Promise((resolve) => setImmediate(resolve)); // The next segment is prepared by now.
    isBroken = true;
    const inFlight = [log.append(record(0, 2)), log.append(record(1, 1))];
    expect(await Promise.all(inFlight.map(codeOf))).toEqual(["log_stopped", "log_stopped"]);
    isBroken = false;
    expect(await codeOf(log.append(record(2, 1)))).toBe("log_stopped");
    expect([writes, log.lastSequence(0), log.stopped?.message.includes("segment-0000000001.log")]).toEqual([
      1,
      1,
      true,
    ]);
    await log.close();
  });
});

describe("when the disk is full", () => {
  test("appends go on until the segment is full, then are refused; after space came back nothing is missing", async () => {
    const disk = await newFiles();
    const notices: string[] = [];
    let isFull = false;
    const files = faultyFiles(disk, (call, path) =>
      isFull && call === "write" && path.endsWith(".tmp") ? "ENOSPC" : undefined,
    );
    const log = await openLog(files, (kind) => notices.push(kind));
    isFull = true;
    let acknowledged = 0;
    const error = await rejection(
      (async () => {
        for (;;) {
          await log.append(record(0, acknowledged + 1));
          acknowledged++;
        }
      })(),
    );
    expect(String(error)).toContain("ENOSPC");
    expect(acknowledged).toBeGreaterThanOrEqual(3);
    expect(notices[0]).toBe("segment_not_prepared"); // Told before an append was refused.
    expect(notices.at(-1)).toBe("stopped");
    await log.close();
    const again = await openLog(disk);
    expect((await recordsOf(again)).length).toBe(acknowledged);
    await again.close();
  });

  test("segments freed by truncation are used again, so that no new space is needed", async () => {
    const disk = await newFiles();
    const creates: string[] = [];
    const log = await openLog({
      ...faultyFiles(disk, () => undefined),
      open(path, mode) {
        if (mode === "create" && path.endsWith("next.tmp")) creates.push(path);
        return disk.open(path, mode);
      },
    });
    const ledger: Ledger = new Map();
    for (let round = 0; round < 20; round++) {
      await appendAll(log, ledger, 1_000);
      await log.saveSnapshots(snapshotsOf(log));
      await log.truncate();
    }
    const names = (await disk.list(FOLDER)).filter((name) => name.endsWith(".log"));
    expect([names.length <= 5, creates.length <= 4]).toEqual([true, true]);
    await log.close();
    await expectKept(disk, ledger);
  });
});

describe("power cuts", () => {
  test("leave nothing that a later commit could be confused with", async () => {
    const disk = await newFiles();
    const log = await openLog(disk);
    await log.append(big(0, 1, 7_000));
    await log.close();
    const bytes = disk.contentOf(`${FOLDER}/segment-0000000001.log`);
    bytes.fill(0, BLOCK_BYTES, 2 * BLOCK_BYTES); // The first block was lost, the second written.
    const notices: string[] = [];
    const second = await openLog(disk, (kind) => notices.push(kind));
    await second.append(big(0, 1, 10));
    await second.close();
    const third = await openLog(disk);
    expect([notices, third.lastSequence(0)]).toEqual([["tail_cut"], 1]);
    await third.close();
  });

  test.each([1, 2, 3, 4])("at random moments, one after another, lose nothing acknowledged (seed %i)", async (seed) => {
    const random = seeded(seed);
    const ledger: Ledger = new Map();
    let callsLeft = Number.POSITIVE_INFINITY;
    const disk: MemoryFiles = new MemoryFiles({
      pause: async () => {
        if (--callsLeft === 0) disk.crash(random);
      },
    });
    await disk.makeFolder(FOLDER);
    for (let cut = 0; cut < 60; cut++) {
      callsLeft = 1 + Math.floor(random() * 150);
      const log = await openLog(disk).catch(() => undefined);
      if (log !== undefined) {
        await life(log, ledger).catch(() => undefined);
        await log.close().catch(() => undefined);
      }
      callsLeft = Number.POSITIVE_INFINITY;
      await expectKept(disk, ledger);
    }
  });
});
