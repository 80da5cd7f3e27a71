// main.ts: the benchmark's entry: chooses what can be measured here, runs the scenarios, prints, judges, writes. Numbers depend
// on the machine, so nothing here fails because something was slow: a goal that is missed is a line, not an exit code.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { chartSvg } from "./chart.ts";
import { clusterCommand } from "./cluster/command.ts";
import { forecastCommand } from "./forecast/command.ts";
import { judge } from "./goals.ts";
import { Ledger } from "./ledger.ts";
import { locksChart } from "./locks-chart.ts";
import { BUSY_RATIO_MAX, describeMachine } from "./machine.ts";
import { type Options, parseOptions, type ScenarioName, USAGE } from "./options.ts";
import { ratios, tables } from "./report.ts";
import type { Bench } from "./scenario/bench.ts";
import { runDiskScenario } from "./scenario/disk.ts";
import { runHeldScenario } from "./scenario/held.ts";
import { CONNECTIONS, IN_FLIGHT, runLoads } from "./scenario/in-flight.ts";
import { runProfile } from "./scenario/profile.ts";
import { runHandOffScenario, runWaitersScenario } from "./scenario/queue.ts";
import { runRestartScenario } from "./scenario/restart.ts";
import { openScratch, type Scratch } from "./scratch.ts";
import { OURS, PEERS } from "./target/all.ts";
import type { StartedTarget, Target } from "./target/target.ts";
import { workersCommand } from "./workers/command.ts";

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const RUN_BY_SCENARIO: Readonly<Record<ScenarioName, (bench: Bench) => Promise<void>>> = {
  "in-flight": (bench) => runLoads(bench, IN_FLIGHT),
  connections: (bench) => runLoads(bench, CONNECTIONS),
  disk: runDiskScenario,
  "hand-off": runHandOffScenario,
  waiters: runWaitersScenario,
  held: runHeldScenario,
  restart: runRestartScenario,
};

async function run(options: Options, scratch: Scratch): Promise<void> {
  const startedByName = new Map<string, StartedTarget>();
  const bench: Bench = {
    options,
    scratch,
    ledger: new Ledger(),
    targets: presentTargets(options),
    say,
    async started(target) {
      const known = startedByName.get(target.name);
      const end = known?.server.ended();
      if (known !== undefined && end === undefined) return known;
      if (end !== undefined) say(`DIED  ${target.name} ${end}\nIt is started again, with nothing of what it held.`);
      const started = await target.start(scratch.folder(target.name));
      startedByName.set(target.name, started);
      return started;
    },
  };
  if (options.profile) return runProfile(bench);
  const machine = await describeMachine(scratch);
  say(`${machine.cores} x ${machine.cpu}, ${machine.fileSystem}, node ${machine.node}\n`);
  if (machine.busyRatio > BUSY_RATIO_MAX) {
    const percent = Math.round(machine.busyRatio * 100);
    say(
      `BUSY  Others use ${percent} % of this machine: read ratios and CPU a cycle, not rates, and run it again later.\n`,
    );
  }
  for (const [name, runScenario] of Object.entries(RUN_BY_SCENARIO)) {
    if (options.only.length > 0 && !options.only.some((only) => only === name)) continue;
    say(`${name}:`);
    await runScenario(bench).catch((error: unknown) =>
      say(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`),
    );
  }
  for (const started of startedByName.values()) await started.server.stop();
  const versions = Object.fromEntries([...startedByName].map(([name, { version }]) => [name, version]));
  publish(bench, { machine, versions });
}

function presentTargets(options: Options): readonly Target[] {
  const wanted = [...OURS, ...(options.peers ? PEERS : [])].filter(
    ({ name }) => options.targets.length === 0 || options.targets.includes(name),
  );
  return wanted.filter((target) => {
    const absence = target.absence();
    if (absence !== undefined) say(`skipped  ${target.name}: ${absence}`);
    return absence === undefined;
  });
}

function publish(
  bench: Bench,
  about: { readonly machine: object; readonly versions: Readonly<Record<string, string>> },
): void {
  const { ledger, options } = bench;
  const judgements = judge(ledger);
  const how = bench.targets.map(
    (target) => `${target.name}: ${target.how} (${about.versions[target.name] ?? "not started"})`,
  );
  const lines = judgements.map((judgement) => judgement.line);
  process.stdout.write(
    `\n${[tables(ledger), ratios(ledger), how.join("\n"), lines.join("\n")].filter((part) => part !== "").join("\n\n")}\n`,
  );
  const { seconds, repetitions, scale } = options;
  const results = { ...about, seconds, repetitions, scale, measurements: ledger.entries(), goals: judgements };
  if (options.json !== undefined) write(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
  if (options.svg !== undefined) write(options.svg, chartSvg(locksChart(ledger, bench.targets)));
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  say(`wrote ${path}`);
}

const words = process.argv.slice(2);
const options = parseOptions(words);
if (words[0] === "forecast") {
  process.exitCode = await forecastCommand(words.slice(1), process.env);
} else if (words[0] === "cluster") {
  process.once("SIGINT", () => process.exit(130)); // Through exit, so that every child is ended.
  process.exitCode = await clusterCommand(words.slice(1));
} else if (words[0] === "workers") {
  process.once("SIGINT", () => process.exit(130)); // Through exit, so that every child is ended.
  process.exitCode = await workersCommand(words.slice(1));
} else if (typeof options === "string") {
  say(`${options}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  const scratch = openScratch();
  process.once("SIGINT", () => process.exit(130)); // Through exit, so that every child is ended.
  process.once("exit", () => scratch.remove());
  await run(options, scratch);
}
