// deaths.ts: owners killed under load, one after the other, and started again.
//   D1. The pause is the longest gap between two answers that reaches beyond the kill, over several partitions of the dead owner and
//       clients at every node: the one that was connected to the dead has to find another, too.

import { pause } from "../server-process.ts";
import { duration } from "../table.ts";
import { type Fleet, LEASE_MS } from "./fleet.ts";
import { Load } from "./load.ts";
import type { ClusterRun, DeathsFound } from "./run.ts";

const PARTITIONS = 4;
const SLOTS = 2;
const WARM_UP_MS = 3_000;
const ANSWERED_MS_MAX = 30_000;
const LOOK_MS = 50;
/** Later gaps are of what follows: partitions that go where they are even. */
const FOLLOWED_MS = 500;

export async function measureDeaths(run: ClusterRun, fleet: Fleet): Promise<DeathsFound> {
  const pausesMs: number[] = [];
  let [asked, failed] = [0, 0];
  let failure: string | undefined;
  for (let death = 0; death < run.options.deaths; death += 1) {
    const owners = await fleet.settled();
    const victim = fleet.nodes[death % fleet.nodes.length]!; // In range.
    const partitions = [...owners.keys()].filter((partition) => owners.get(partition) === victim.id);
    const tags = partitions.slice(0, PARTITIONS).map((partition) => fleet.tagIn(partition));
    const named: number[] = [];
    const load = await Load.start({
      endpoints: fleet.nodes.map(({ endpoint }) => endpoint),
      tags,
      slots: SLOTS,
      everyMs: 0,
    });
    await pause(WARM_UP_MS);
    const killedAtMs = performance.now();
    fleet.records.onEpoch(({ partition, seenAtMs }) => {
      if (partitions.includes(partition) && named.length < partitions.length) named.push(seenAtMs - killedAtMs);
    });
    await victim.server.kill();
    const untilMs = killedAtMs + ANSWERED_MS_MAX;
    const sinceMs = killedAtMs + LEASE_MS;
    while (!tags.every((tag) => load.isAnsweredSince(tag, sinceMs)) && performance.now() < untilMs)
      await pause(LOOK_MS);
    await pause(FOLLOWED_MS);
    const longestMs = Math.max(...tags.map((tag) => load.longestGapMs(tag, killedAtMs, killedAtMs + FOLLOWED_MS)));
    pausesMs.push(longestMs);
    const last = duration(Math.max(...named));
    run.say(
      `${death + 1}/${run.options.deaths}  ${victim.id} killed: ${duration(longestMs)} without an answer; ${named.length} partitions had another owner after ${last}`,
    );
    await load.stop();
    asked += load.asked;
    failed += load.failed;
    failure ??= load.failure;
    await fleet.restart(victim);
  }
  return { pausesMs, asked, failed, failure };
}
