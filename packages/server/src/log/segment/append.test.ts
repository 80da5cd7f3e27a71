import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { codeOf, record, recordsOf } from "../contract.ts";
import type { EventLog, LogRecord } from "../event-log.ts";
import { type FileFault, faultyFiles } from "./faulty-files.ts";
import { type Files, nodeFiles, type OpenFile } from "./files.ts";
import { openSegmentEventLog } from "./segment-event-log.ts";

type WayOfWriting = "now" | "elsewhere";

/** A log on the real disk, with the way that each of its commits was written. */
async function withLog(
  body: (scene: { log: EventLog; ways: WayOfWriting[]; reopen: () => Promise<EventLog> }) => Promise<void>,
  options: { isQuick?: () => boolean; fault?: () => FileFault | undefined } = {},
): Promise<void> {
  const folder = await mkdtemp(`${tmpdir()}/forelock-append-`);
  const ways: WayOfWriting[] = [];
  const { isQuick = () => true, fault = () => undefined } = options;
  const disk = faultyFiles(nodeFiles, (call, path) =>
    call === "write" && path.includes("segment-") ? fault() : undefined,
  );
  const files: Files = {
    ...disk,
    async open(path, mode) {
      const file = await disk.open(path, mode);
      return mode === "write_durable" ? watched(file, ways, isQuick) : file;
    },
  };
  const open = () => openSegmentEventLog({ folder, files, segmentBytes: 2 * 1024 * 1024, notice: () => undefined });
  const log = await open();
  try {
    await body({ log, ways, reopen: () => log.close().then(open) });
  } finally {
    await log.close().catch(() => undefined);
    await rm(folder, { recursive: true });
  }
}

function watched(file: OpenFile, ways: WayOfWriting[], isQuick: () => boolean): OpenFile {
  return {
    read: (into, at) => file.read(into, at),
    write(bytes, at) {
      ways.push("elsewhere");
      return file.write(bytes, at);
    },
    writeNow(bytes, at) {
      if (!isQuick()) return undefined;
      ways.push("now");
      // A busy machine can make the real disk look slow, which refuses a few calls: whether it is, is up to the test.
      for (;;) {
        const count = file.writeNow?.(bytes, at);
        if (count !== undefined) return count;
      }
    },
    sync: () => file.sync(),
    size: () => file.size(),
    close: () => file.close(),
  };
}

const big = (partition: number, sequence: number): LogRecord =>
  record(partition, sequence, { events: new Uint8Array(100_000).fill(sequence) });

test("a small commit is written from this thread, a large one from another", () =>
  withLog(async ({ log, ways, reopen }) => {
    await log.append(record(0, 1));
    await Promise.all([log.append(record(0, 2)), log.append(record(1, 1))]);
    await log.append(big(0, 3));
    expect(ways).toEqual(["now", "now", "elsewhere"]);
    const again = await reopen();
    expect((await recordsOf(again)).length).toBe(4);
    await again.close();
  }));

test("while the disk is slow, all commits are written from another thread", async () => {
  let isQuick = false;
  await withLog(
    async ({ log, ways }) => {
      await log.append(record(0, 1));
      isQuick = true;
      await log.append(record(0, 2));
      expect(ways).toEqual(["elsewhere", "now"]);
    },
    { isQuick: () => isQuick },
  );
});

test("a short write from this thread is finished from another", async () => {
  let writes = 0;
  await withLog(
    async ({ log, ways, reopen }) => {
      await log.append(record(0, 1));
      expect(ways).toEqual(["now", "elsewhere"]);
      const again = await reopen();
      expect((await recordsOf(again)).length).toBe(1);
      await again.close();
    },
    { fault: () => (writes++ === 0 ? "short" : undefined) },
  );
});

test("a write from this thread that fails is not tried again, here or elsewhere", async () => {
  let writes = 0;
  await withLog(
    async ({ log, ways }) => {
      const inFlight = [log.append(record(0, 1)), log.append(record(1, 1))];
      expect(await Promise.all(inFlight.map(codeOf))).toEqual(["log_stopped", "log_stopped"]);
      expect(await codeOf(log.append(record(2, 1)))).toBe("log_stopped");
      expect([ways, writes]).toEqual([["now"], 1]);
    },
    {
      fault: () => {
        writes++;
        return "EIO";
      },
    },
  );
});
