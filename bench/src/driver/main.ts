// driver/main.ts: a client process. Takes one job over its channel, does it, answers, and ends when the channel closes.

import { runCycles } from "./cycles.ts";
import { runDisk } from "./disk.ts";
import { runHold } from "./hold.ts";
import type { FromClient, Job, JobResult } from "./job.ts";
import { runDrain, runHandOff } from "./queue.ts";

process.once("message", (job: Job) => {
  perform(job).then(
    (result) => tell({ kind: "done", result }),
    (error: unknown) =>
      tell({ kind: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.once("disconnect", () => process.exit(0)); // Through exit, so that a profile is written.

function perform(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case "cycles":
      return runCycles(job, (kind) => tell({ kind }));
    case "hand_off":
      return runHandOff(job);
    case "hold":
      return runHold(job);
    case "drain":
      return runDrain(job);
    case "disk":
      return Promise.resolve(runDisk(job));
  }
}

function tell(message: FromClient): void {
  process.send?.(message);
}
