// command.ts: `bench workers`: one thread beside several, under the same load in turns. Numbers are shown against a goal, and nothing fails
// because it is missed.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { runJob } from "../driver/start.ts";
import { describeMachine } from "../machine.ts";
import { openScratch } from "../scratch.ts";
import { median } from "../statistics.ts";
import { count, table } from "../table.ts";
import { startForelock } from "../target/forelock.ts";
import type { StartedTarget } from "../target/target.ts";
import { parseWorkersOptions, WORKERS_USAGE, type WorkersOptions } from "./options.ts";
import { spread, type ThreadTimes, threadTimes } from "./threads.ts";

const WARM_UP_MS = 2_000;
/** Metrics are up to a second old. */
const SAMPLE_MS = 1_000;
/** Names enough that chance spreads them evenly, and both servers are busy. */
const LOADS = [
  { load: "1 connection, 1,024 in flight", connections: 1, inFlight: 1_024 },
  { load: "200 connections, 8 in flight", connections: 200, inFlight: 8 },
] as const;
const SPREAD_MAX = 1.2;

interface Measured {
  readonly load: string;
  readonly server: string;
  readonly cyclesPerSecond: number;
  readonly serverCpuMsPerCycle: number;
  readonly spread: number | undefined;
  readonly threads: { readonly before: ThreadTimes; readonly after: ThreadTimes } | undefined;
}

/** Returns the exit code. */
export async function workersCommand(words: readonly string[]): Promise<number> {
  const options = parseWorkersOptions(words);
  if (typeof options === "string") {
    say(`${options}\n\n${WORKERS_USAGE}`);
    return 2;
  }
  const scratch = openScratch();
  process.once("exit", () => scratch.remove());
  const machine = await describeMachine(scratch);
  const busy = Math.round(machine.busyRatio * 100);
  say(`${machine.cores} x ${machine.cpu}, ${machine.fileSystem}, node ${machine.node}; others use ${busy} %\n`);
  const one = { name: "1 thread", started: await startForelock({ folder: scratch.folder("one") }) };
  const flags = ["--workers", String(options.workers)];
  const many = {
    name: `${options.workers} workers`,
    started: await startForelock({ folder: scratch.folder("many"), flags }),
  };
  const measured: Measured[] = [];
  for (let repetition = 1; repetition <= options.repetitions; repetition += 1) {
    for (const load of LOADS) {
      for (const server of [one, many]) {
        const found = await measure(server, load, options, server === many);
        measured.push(found);
        say(
          `${repetition}/${options.repetitions}  ${found.load}  ${found.server}  ${count(found.cyclesPerSecond)} cycles/s`,
        );
      }
    }
  }
  await Promise.all([one.started.server.stop(), many.started.server.stop()]);
  publish(measured, options, machine);
  return 0;
}

async function measure(
  { name, started }: { readonly name: string; readonly started: StartedTarget },
  { load, connections, inFlight }: (typeof LOADS)[number],
  { seconds }: WorkersOptions,
  hasWorkers: boolean,
): Promise<Measured> {
  const cpuMsAt = { measuring: Number.NaN, measured: Number.NaN };
  const measureMs = seconds * 1_000 + SAMPLE_MS;
  const times: ThreadTimes[] = [];
  let sampling: Promise<void> = Promise.resolve();
  const result = await runJob(
    {
      kind: "cycles",
      target: "forelock",
      endpoint: started.endpoint,
      connections,
      inFlight,
      warmUpMs: WARM_UP_MS,
      measureMs,
    },
    {
      msMax: measureMs * 11 + WARM_UP_MS + 60_000,
      onPhase: (phase) => {
        cpuMsAt[phase] = started.server.usage()?.cpuMs ?? Number.NaN;
        if (!hasWorkers) return;
        sampling = sampling.then(async () => void times.push(await threadTimes(started.endpoint)));
      },
    },
  );
  await sampling;
  const [before, after] = times;
  return {
    ...{ load, server: name, cyclesPerSecond: (result.cycles * 1_000) / result.elapsedMs },
    serverCpuMsPerCycle: (cpuMsAt.measured - cpuMsAt.measuring) / result.cycles,
    spread: before === undefined || after === undefined ? undefined : spread(before, after),
    threads: before === undefined || after === undefined ? undefined : { before, after },
  };
}

function publish(measured: readonly Measured[], options: WorkersOptions, machine: object): void {
  const rows = LOADS.flatMap(({ load }) => {
    const servers = [...new Set(measured.map(({ server }) => server))];
    return servers.map((server) => {
      const own = measured.filter((each) => each.load === load && each.server === server);
      const of = (value: (each: Measured) => number): number => median(own.map(value));
      const spreads = own.flatMap((each) => each.spread ?? []);
      return [
        load,
        server,
        count(of(({ cyclesPerSecond }) => cyclesPerSecond)),
        (of(({ serverCpuMsPerCycle }) => serverCpuMsPerCycle) * 1_000).toFixed(1),
        spreads.length === 0 ? "" : median(spreads).toFixed(2),
        threadsText(own),
      ];
    });
  });
  const heads = [
    "load",
    "server",
    "cycles/s",
    "server CPU us/cycle",
    "busiest / idlest worker",
    "CPU s: front; workers",
  ];
  process.stdout.write(`\n${table(heads, rows)}\n`);
  const spreads = measured.flatMap((each) => each.spread ?? []);
  const worst = Math.max(
    ...LOADS.map(({ load }) => median(measured.flatMap((each) => (each.load === load ? (each.spread ?? []) : [])))),
  );
  const verdict = worst <= SPREAD_MAX ? "PASS" : "MISS";
  process.stdout.write(
    `\n${verdict}  the busiest worker takes at most ${SPREAD_MAX} times as much as the idlest: median ${worst.toFixed(2)}, of all ${Math.max(...spreads).toFixed(2)}\n`,
  );
  if (options.json === undefined) return;
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify({ machine, ...options, measured }, undefined, 2)}\n`);
}

function threadsText(own: readonly Measured[]): string {
  const last = own.at(-1)?.threads;
  if (last === undefined) return "";
  const { before, after } = last;
  const workers = after.workerMs.map((ms, worker) => ((ms - (before.workerMs[worker] ?? 0)) / 1_000).toFixed(1));
  return `${((after.frontMs - before.frontMs) / 1_000).toFixed(1)}; ${workers.join(", ")}`;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
