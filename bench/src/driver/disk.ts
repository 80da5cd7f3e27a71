// driver/disk.ts: what one durable write costs on this disk without anything around it: 4 KiB, O_DSYNC, into written blocks.
// From the calling thread and one at a time: no thread pool, no event loop, no group.

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { preallocate } from "../bare/journal.ts";
import { LatencyRecorder } from "../statistics.ts";
import type { DiskResult, Job } from "./job.ts";

const BLOCK_BYTES = 4_096;
const FILE_BYTES = 64 * 1024 * 1024;
const WARM_UPS = 200;

export function runDisk(job: Extract<Job, { kind: "disk" }>): DiskResult {
  const path = join(job.folder, "disk");
  preallocate(path, FILE_BYTES);
  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  const recorder = new LatencyRecorder();
  const endMs = performance.now() + job.measureMs;
  for (let writes = 0; performance.now() < endMs; writes += 1) {
    const startMs = performance.now();
    writeSync(file, block, 0, BLOCK_BYTES, (writes * BLOCK_BYTES) % FILE_BYTES);
    if (writes >= WARM_UPS) recorder.add(performance.now() - startMs);
  }
  closeSync(file);
  return { kind: "disk", write: recorder.summary() };
}
