import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { eventLogContract } from "../contract.ts";
import { nodeFiles } from "./files.ts";
import { MemoryFiles } from "./memory-files.ts";
import { openSegmentEventLog } from "./segment-event-log.ts";

const segmentBytes = 2 * 1024 * 1024;
const notice = (): void => undefined;

eventLogContract("SegmentEventLog on disk", async () => {
  const folder = await mkdtemp(`${tmpdir()}/forelock-log-`);
  return {
    open: () => openSegmentEventLog({ folder, files: nodeFiles, segmentBytes, notice }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});

eventLogContract("SegmentEventLog in memory", async () => {
  const files = new MemoryFiles();
  await files.makeFolder("/log");
  return {
    open: () => openSegmentEventLog({ folder: "/log", files, segmentBytes, notice }),
    [Symbol.asyncDispose]: async () => undefined,
  };
});
