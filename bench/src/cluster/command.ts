// command.ts: `bench cluster`: three etcd members and some nodes on this machine, measured beside peers on the same members. Numbers are
// shown against goals, and nothing fails because one is missed. Not here: how each is measured.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { busyRatio, describeMachine } from "../machine.ts";
import { openScratch, type Scratch } from "../scratch.ts";
import { median } from "../statistics.ts";
import { count, duration, table } from "../table.ts";
import { packageAbsence } from "../target/package.ts";
import { findProgram, programAbsence, programVersion } from "../target/program.ts";
import { measureDeaths } from "./deaths.ts";
import { type Fleet, LEASE_MS, startFleet } from "./fleet.ts";
import { judgeCluster, p99, resultsOf } from "./goals.ts";
import { FILE_FLAGS, measureGrowth } from "./growth.ts";
import { measureMoves } from "./moves.ts";
import { CLUSTER_USAGE, type ClusterPart, parseClusterOptions } from "./options.ts";
import { measureRatios } from "./ratios.ts";
import { type ClusterRun, type Found, whyOf } from "./run.ts";

/** Of a node's log, where a part failed. */
const LAST_WORDS = 1_500;

/** Returns the exit code. */
export async function clusterCommand(words: readonly string[]): Promise<number> {
  const options = parseClusterOptions(words);
  if (typeof options === "string") {
    say(`${options}\n\n${CLUSTER_USAGE}`);
    return 2;
  }
  const absence = programAbsence("etcd") ?? packageAbsence(["etcd3"]);
  if (absence !== undefined) {
    say(`skipped  cluster: ${absence}`);
    return 0;
  }
  const scratch = openScratch();
  process.once("exit", () => scratch.remove());
  const run: ClusterRun = { options, scratch, say };
  await sayMachine(scratch);
  const found = await measure(run);
  publish(run, found);
  return 0;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function sayMachine(scratch: Scratch): Promise<void> {
  const machine = await describeMachine(scratch);
  const etcd = programVersion(findProgram("etcd")!); // Not absent.
  const busy = Math.round(machine.busyRatio * 100);
  say(
    `${machine.cores} x ${machine.cpu}, ${machine.fileSystem}, node ${machine.node}, etcd ${etcd}; others use ${busy} %\n`,
  );
}

async function measure(run: ClusterRun): Promise<Found> {
  const { only } = run.options;
  const isWanted = (part: ClusterPart): boolean => only.length === 0 || only.includes(part);
  const measured = async <Part>(
    part: ClusterPart,
    fleet: Fleet,
    measurePart: () => Promise<Part>,
  ): Promise<Part | undefined> => {
    if (!isWanted(part)) return undefined;
    say(`${part}: others use ${Math.round((await busyRatio()) * 100)} % of the machine, with the cluster idle`);
    return measurePart().catch((error: unknown) => {
      say(`FAILED  ${part}: ${whyOf(error)}`);
      for (const { id, server } of fleet.nodes) say(`${id} said: ${server.printed().slice(-LAST_WORDS)}`);
      return undefined;
    });
  };
  const found: Found = {};
  await withFleet(run, [], isWanted("ratios") || isWanted("moves") || isWanted("deaths"), async (fleet) => {
    await fleet.settled();
    found.ratios = await measured("ratios", fleet, () => measureRatios(run, fleet));
    found.moves = await measured("moves", fleet, () => measureMoves(run, fleet));
    found.deaths = await measured("deaths", fleet, () => measureDeaths(run, fleet));
  });
  // Files of etcd that nothing else has grown.
  await withFleet(run, FILE_FLAGS, isWanted("growth"), async (fleet) => {
    found.growth = await measured("growth", fleet, () => measureGrowth(run, fleet));
  });
  return found;
}

async function withFleet(
  run: ClusterRun,
  flags: readonly string[],
  isWanted: boolean,
  use: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  if (!isWanted) return;
  const fleet = await startFleet(run.scratch, run.options.nodes, flags);
  try {
    await use(fleet);
  } finally {
    await fleet.stop();
  }
}

function publish({ options: { json } }: ClusterRun, found: Found): void {
  const object = `${JSON.stringify(resultsOf(found), undefined, 2)}\n`;
  const lines = judgeCluster(found, LEASE_MS).map(({ line }) => line);
  const text = [...tablesOf(found), lines.join("\n")].filter((part) => part !== "").join("\n\n");
  if (json === "-") {
    say(`\n${text}`);
    process.stdout.write(object);
    return;
  }
  process.stdout.write(`\n${text}\n`);
  if (json === undefined) return;
  mkdirSync(dirname(json), { recursive: true });
  writeFileSync(json, object);
  say(`wrote ${json}`);
}

function tablesOf({ ratios, moves, deaths, growth }: Found): readonly string[] {
  const parts: string[] = [];
  if (ratios !== undefined) {
    const rows = Object.entries(ratios).map(([target, { perSecond, p50Ms, p99Ms, cpuMsPerCycle }]) => [
      target,
      count(median(perSecond)),
      `${count(Math.min(...perSecond))} to ${count(Math.max(...perSecond))}`,
      duration(p50Ms),
      duration(p99Ms),
      duration(cpuMsPerCycle),
    ]);
    parts.push(table(["256 in flight", "cycles/s", "repetitions", "p50", "p99", "CPU each"], rows));
  }
  const pauses: string[][] = [];
  const row = (name: string, values: readonly number[], about: string): void => {
    pauses.push([
      name,
      count(values.length),
      duration(median(values)),
      duration(p99(values)),
      duration(Math.max(...values)),
      about,
    ]);
  };
  const failures = (of: {
    readonly asked: number;
    readonly failed: number;
    readonly failure: string | undefined;
  }): string => `${count(of.failed)} of ${count(of.asked)}${of.failure === undefined ? "" : `: ${of.failure}`}`;
  if (moves !== undefined) {
    row("planned move", moves.pausesMs, failures(moves));
    row(
      "as long without a move",
      moves.quietMs,
      moves.missing === 0 ? "" : `${moves.missing} moves did not come about`,
    );
    row("planned move, the client that waited longest", moves.clientMs, "");
    row("as long without a move, the same", moves.quietClientMs, "");
  }
  if (deaths !== undefined) row("death of an owner", deaths.pausesMs, failures(deaths));
  if (pauses.length > 0)
    parts.push(table(["longest gap between two answers", "times", "p50", "p99", "max", "failed"], pauses));
  if (growth !== undefined) {
    const { appendedMb, fileMb, seconds, lockCycles, failed, failure } = growth;
    const told = failed === 0 ? "" : `; ${count(failed)} requests failed: ${failure}`;
    const each = (fileMb / appendedMb).toFixed(2);
    parts.push(
      `${count(appendedMb)} MB appended in ${count(seconds)} s beside ${count(lockCycles)} lock cycles: the largest file of etcd ${count(fileMb)} MB, ${each} of what was appended${told}`,
    );
  }
  return parts;
}
