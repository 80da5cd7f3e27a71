// moves.ts: planned moves of partitions under load, one after the other, by pins as an operator sets them.
//   M1. The pause of a move is the longest time without an answer of its partition that reaches into the second around the new epoch,
//       over all clients: one asks the old owner, one the new, one neither. The gap of the one that waited longest is told as well,
//       which has the time between two of its own requests in it.
//   M2. The same second just before the order, without a move, is measured beside it: on a busy machine much of a pause is not the move's.
//   M3. The load has a rate: as many requests as the machine takes would measure the machine.

import { pause } from "../server-process.ts";
import { duration } from "../table.ts";
import type { Fleet } from "./fleet.ts";
import { Load } from "./load.ts";
import type { ClusterRun, MovesFound } from "./run.ts";

const PARTITIONS = 4;
const SLOTS = 2;
/** M3. Of all slots together, cycles a second; an answer every few milliseconds for each partition. */
const CYCLES_PER_SECOND = 400;
const WARM_UP_MS = 3_000;
const AROUND_MS = 500;
const DONE_MS_MAX = 15_000;
const LOOK_MS = 20;
/** Every so many moves a line. */
const SAID_EVERY = 20;

export async function measureMoves(run: ClusterRun, fleet: Fleet): Promise<MovesFound> {
  const owners = new Map(await fleet.settled());
  const takenAtMs = new Map<number, number>();
  fleet.records.onEpoch(({ partition, owner, seenAtMs }) => {
    owners.set(partition, owner);
    takenAtMs.set(partition, seenAtMs);
  });
  const tags = Array.from({ length: PARTITIONS }, (_, partition) => fleet.tagIn(partition));
  const endpoints = fleet.nodes.map(({ endpoint }) => endpoint);
  const everyMs = (1_000 * endpoints.length * PARTITIONS * SLOTS) / CYCLES_PER_SECOND;
  const load = await Load.start({ endpoints, tags, slots: SLOTS, everyMs });
  await pause(WARM_UP_MS);
  const found = {
    pausesMs: [] as number[],
    quietMs: [] as number[],
    clientMs: [] as number[],
    quietClientMs: [] as number[],
  };
  let missing = 0;
  for (let move = 0; move < run.options.moves; move += 1) {
    const partition = move % PARTITIONS;
    const tag = tags[partition]!; // One for each.
    await pause(2 * AROUND_MS);
    const orderedAtMs = performance.now();
    found.quietMs.push(load.longestSilenceMs(tag, orderedAtMs - 2 * AROUND_MS, orderedAtMs)); // M2
    found.quietClientMs.push(load.longestGapMs(tag, orderedAtMs - 2 * AROUND_MS, orderedAtMs));
    const successor = after(fleet, owners.get(partition));
    await fleet.records.pin(partition, successor);
    while (owners.get(partition) !== successor && performance.now() < orderedAtMs + DONE_MS_MAX) await pause(LOOK_MS);
    const atMs = takenAtMs.get(partition) ?? 0;
    if (owners.get(partition) !== successor || atMs < orderedAtMs) {
      missing += 1;
      continue;
    }
    await pause(AROUND_MS);
    while (!load.isAnsweredSince(tag, atMs + AROUND_MS) && performance.now() < atMs + DONE_MS_MAX) await pause(LOOK_MS);
    found.pausesMs.push(load.longestSilenceMs(tag, atMs - AROUND_MS, atMs + AROUND_MS)); // M1
    found.clientMs.push(load.longestGapMs(tag, atMs - AROUND_MS, atMs + AROUND_MS));
    load.forget(atMs - AROUND_MS);
    if ((move + 1) % SAID_EVERY === 0) {
      const longest = (values: readonly number[]): string => duration(Math.max(...values.slice(-SAID_EVERY)));
      run.say(
        `${move + 1}/${run.options.moves}  longest ${longest(found.pausesMs)}, without a move ${longest(found.quietMs)}`,
      );
    }
  }
  await load.stop();
  await fleet.records.unpin();
  const { asked, failed, failure } = load;
  return { ...found, missing, asked, failed, failure };
}

function after(fleet: Fleet, owner: string | undefined): string {
  const at = fleet.nodes.findIndex(({ id }) => id === owner);
  return fleet.nodes[(at + 1) % fleet.nodes.length]!.id; // In range.
}
