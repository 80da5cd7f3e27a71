// scenario/restart.ts: how fast a server is back: events replayed a second after a kill, and a snapshot of the same state.
//   R1. While the log is replayed no snapshot is taken; then one is, of the same state, and the last start loads it.

import { runJob, startJob } from "../driver/start.ts";
import { pause } from "../server-process.ts";
import { count, duration } from "../table.ts";
import { forelock, startForelock } from "../target/forelock.ts";
import type { StartedTarget } from "../target/target.ts";
import type { Bench } from "./bench.ts";

export const REPLAY = { scenario: "restart", target: "forelock", load: "from the log" } as const;
export const SNAPSHOT = { scenario: "restart", target: "forelock", load: "from a snapshot" } as const;
const ELEMENTS = 200_000;
const CYCLES_SECONDS = 10;
const NO_SNAPSHOT = ["--log-snapshot-bytes", String(64 * 1024 ** 3)]; // The largest that the setting allows.
const SNAPSHOT_SOON = ["--log-snapshot-bytes", String(16 * 1024 ** 2), "--log-segment-bytes", String(16 * 1024 ** 2)];
const SNAPSHOT_MS_MAX = 60_000;

interface Replayed {
  readonly events: number;
  readonly ms: number;
  readonly snapshotMs: number;
}

export async function runRestartScenario(bench: Bench): Promise<void> {
  if (!bench.targets.includes(forelock)) return;
  const folder = bench.scratch.folder("restart");
  await fill(bench, folder);
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    const started = await startForelock({ folder, flags: NO_SNAPSHOT }); // R1
    note(bench, started, REPLAY);
    await started.server.kill();
  }
  if (!(await takeSnapshot(folder))) return bench.say("No snapshot was taken: the log is too short for one.");
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    const started = await startForelock({ folder, flags: NO_SNAPSHOT });
    note(bench, started, SNAPSHOT);
    await started.server.kill();
  }
}

async function takeSnapshot(folder: string): Promise<boolean> {
  const { server } = await startForelock({ folder, flags: SNAPSHOT_SOON });
  const deadlineMs = Date.now() + SNAPSHOT_MS_MAX;
  while (!server.printed().includes('"snapshot taken"') && Date.now() < deadlineMs) await pause(50);
  await server.stop();
  return server.printed().includes('"snapshot taken"');
}

async function fill(bench: Bench, folder: string): Promise<void> {
  const started = await startForelock({ folder, flags: NO_SNAPSHOT });
  const elements = Math.round(ELEMENTS / bench.options.scale);
  const job = { kind: "hold", endpoint: started.endpoint, prefix: "restart", elements, connections: 16 } as const;
  const holder = await startJob(job, { msMax: 300_000, nodeFlags: ["--max-old-space-size=8192"] });
  const measureMs = (CYCLES_SECONDS * 1_000) / bench.options.scale;
  const load = {
    kind: "cycles",
    target: "forelock",
    endpoint: started.endpoint,
    connections: 1,
    inFlight: 1_024,
  } as const;
  await runJob({ ...load, warmUpMs: 0, measureMs }, { msMax: measureMs + 60_000 });
  await started.server.kill(); // Before the holder, so that what it holds is still held in the log.
  await holder.end();
}

function note(bench: Bench, { server }: StartedTarget, load: typeof REPLAY | typeof SNAPSHOT): void {
  const replayed = replayedIn(server.printed());
  if (replayed === undefined) {
    bench.say("The server did not log what it replayed.");
    return;
  }
  const add = (metric: string, value: number): void => bench.ledger.add({ ...load, metric }, value);
  add("replayedEvents", replayed.events);
  add("replayMs", replayed.ms);
  add("snapshotMs", replayed.snapshotMs);
  if (replayed.events > 0) add("eventsPerSecond", (replayed.events * 1_000) / replayed.ms);
  const [events, replay, snapshot] = [count(replayed.events), duration(replayed.ms), duration(replayed.snapshotMs)];
  bench.say(`${load.load}: ${events} events replayed in ${replay}, snapshot loaded in ${snapshot}`);
}

/** The line `{"msg":"replayed","events":..,"records":..,"ms":..,"snapshotMs":..}` of the server's log. */
export function replayedIn(printed: string): Replayed | undefined {
  const line = printed.split("\n").findLast((text) => text.includes('"replayed"'));
  if (line === undefined) return undefined;
  const number = (field: string): number =>
    Number(new RegExp(`"${field}":\\s*([\\d.]+)`).exec(line)?.[1] ?? Number.NaN);
  return { events: number("events"), ms: number("ms"), snapshotMs: number("snapshotMs") };
}
