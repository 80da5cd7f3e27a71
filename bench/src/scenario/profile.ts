// scenario/profile.ts: Forelock and its client under node's profiler, one job of each scenario that `--only` names, and the
// functions that cost most. The numbers of such a run are not comparable with others: sampling costs too.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../driver/job.ts";
import { runJob } from "../driver/start.ts";
import type { ScenarioName } from "../options.ts";
import { readProfiles } from "../profile.ts";
import { duration, table } from "../table.ts";
import { startForelock } from "../target/forelock.ts";
import type { Bench } from "./bench.ts";

const FUNCTIONS_SHOWN = 25;
const SAMPLE_US = "250";
const MS_MAX = 300_000;
const BY_DEFAULT: readonly ScenarioName[] = ["in-flight", "connections", "disk"];

export async function runProfile(bench: Bench): Promise<void> {
  const only = bench.options.only.length > 0 ? bench.options.only : BY_DEFAULT;
  for (const scenario of only) {
    const folder = bench.scratch.folder("profile");
    const [serverFolder, clientFolder] = [join(folder, "server"), join(folder, "client")];
    for (const path of [serverFolder, clientFolder]) mkdirSync(path);
    const { endpoint, server } = await startForelock({ folder, nodeFlags: profilerFlags(serverFolder) });
    const result = await runJob(jobOf(scenario, bench, endpoint), {
      msMax: MS_MAX,
      nodeFlags: profilerFlags(clientFolder),
    });
    await server.stop();
    bench.say(`\n${scenario}, under the profiler: ${JSON.stringify(result)}`);
    bench.say(threads("server", serverFolder));
    bench.say(threads("client", clientFolder));
  }
}

function jobOf(scenario: ScenarioName, bench: Bench, endpoint: string): Job {
  const measureMs = Math.max(3, bench.options.seconds) * 1_000;
  const cycles = { kind: "cycles", target: "forelock", endpoint, warmUpMs: 1_000, measureMs } as const;
  const scaled = (size: number): number => Math.ceil(size / bench.options.scale);
  switch (scenario) {
    case "connections":
      return { ...cycles, connections: 200, inFlight: 1 };
    case "disk":
      return { ...cycles, connections: 1, inFlight: 1 };
    case "hand-off":
      return { kind: "hand_off", endpoint, waiters: 1_000, connections: 20, handOffs: 1_000 };
    case "waiters":
      return { kind: "drain", endpoint, waiters: scaled(10_000), connections: 20, drainMsMax: 10_000 };
    case "held":
    case "restart":
      return { kind: "hold", endpoint, prefix: "profile", elements: scaled(100_000), connections: 16 };
    case "in-flight":
      return { ...cycles, connections: 1, inFlight: 256 };
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
