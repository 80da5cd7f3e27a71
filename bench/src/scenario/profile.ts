// scenario/profile.ts: Forelock and its client under node's profiler with 256 and with one cycle in flight, and the functions
// that cost most. The numbers of such a run are not comparable with others: sampling costs too.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runJob } from "../driver/start.ts";
import { readProfiles } from "../profile.ts";
import { count, duration, table } from "../table.ts";
import { startForelock } from "../target/forelock.ts";
import type { Bench } from "./bench.ts";

const LOADS = [
  { connections: 1, inFlight: 256 },
  { connections: 200, inFlight: 1 },
  { connections: 1, inFlight: 1 },
];
const FUNCTIONS_SHOWN = 25;
const SAMPLE_US = "250";

export async function runProfile(bench: Bench): Promise<void> {
  for (const load of LOADS) {
    const folder = bench.scratch.folder("profile");
    const [serverFolder, clientFolder] = [join(folder, "server"), join(folder, "client")];
    for (const path of [serverFolder, clientFolder]) mkdirSync(path);
    const { endpoint, server } = await startForelock({ folder, nodeFlags: profilerFlags(serverFolder) });
    const measureMs = Math.max(3, bench.options.seconds) * 1_000;
    const job = { kind: "cycles", target: "forelock", endpoint, ...load, warmUpMs: 1_000, measureMs } as const;
    const result = await runJob(job, { msMax: measureMs + 60_000, nodeFlags: profilerFlags(clientFolder) });
    await server.stop();
    const perSecond = (result.cycles * 1_000) / result.elapsedMs;
    bench.say(
      `\n${load.connections} clients with ${load.inFlight} in flight each: ${count(perSecond)} cycles/s under the profiler`,
    );
    bench.say(threads("server", serverFolder));
    bench.say(threads("client", clientFolder));
  }
}

function profilerFlags(folder: string): readonly string[] {
  return ["--cpu-prof", "--cpu-prof-dir", folder, "--cpu-prof-interval", SAMPLE_US];
}

function threads(side: string, folder: string): string {
  const profiles = readProfiles(folder);
  if (profiles.length === 0) return `The ${side} wrote no profile: it has to end by itself on SIGTERM.`;
  return profiles
    .filter((profile) => profile.busyMs > 50) // The others are heartbeats.
    .map(({ busyMs, sampledMs, functions }, index) => {
      const rows = functions
        .slice(0, FUNCTIONS_SHOWN)
        .map(({ place, selfMs, shareRatio }) => [place, duration(selfMs), `${(shareRatio * 100).toFixed(1)} %`]);
      return `${side}, thread ${index + 1}: busy ${duration(busyMs)} of ${duration(sampledMs)}\n${table(["function", "self", "of busy"], rows)}\n`;
    })
    .join("\n");
}
