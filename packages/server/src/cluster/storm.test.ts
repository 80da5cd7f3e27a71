// Several clients work while partitions move at random, with gaps between their owners, and connections between nodes are cut.
import { connect } from "@forelock/client";
import { expect, test } from "vitest";
import { seededBytes } from "../edge/testing/edge-scene.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";

type Client = Awaited<ReturnType<typeof connect>>;

const IDS = ["a", "b", "c"];
const SEEDS = [1, 2, 3];
const CLIENTS = 4;
const ROUNDS = 50;
const NAMES = 16;

/** What each file must hold: every record that was acknowledged, in the order of its tokens. */
type Acknowledged = Map<string, { readonly record: string; readonly token: bigint; readonly index: number }[]>;

async function work(
  client: Client,
  number: number,
  draw: (below: number) => number,
  done: Acknowledged,
): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `n${draw(NAMES)}`;
    const lock = await client.lock(name);
    const records = [`${number}.${round}.first`, `${number}.${round}.second`];
    // Not one after the other: their order must hold all the same.
    const appended = await Promise.all(records.map((record) => client.file(name).append(record, { lock })));
    for (const [at, { index }] of appended.entries())
      done.get(name)?.push({ record: records[at] ?? "", token: lock.token, index });
    await lock.release();
  }
}

test.each(SEEDS)("every acknowledged record is there once, in order, and tokens rise: seed %s", async (seed) => {
  await using world = await ClusterWorld.open();
  const bytes = seededBytes(seed * 7_919);
  const draw = (below: number): number => (bytes(1)[0] ?? 0) % below;
  const done: Acknowledged = new Map(Array.from({ length: NAMES }, (_, index) => [`n${index}`, []]));
  const clients: Client[] = [];
  for (let number = 0; number < CLIENTS; number += 1) {
    const at = world.member(IDS[number % IDS.length] ?? "a").edge.port;
    const client = await world.until(connect({ endpoints: [`127.0.0.1:${at}`], ttlMs: 300_000 }));
    if (client !== undefined) clients.push(client);
  }
  let working = clients.length;
  const works = Promise.all(
    clients.map((client, number) => work(client, number, draw, done).finally(() => (working -= 1))),
  );
  works.catch(() => {}); // Told below.
  const past = world.table.ownerIds.map((id) => new Set([id]));
  let moves = 0;
  const gaps: { readonly partition: number; readonly from: string; readonly to: string }[] = [];
  for (let turn = 0; turn < 6_000 && working > 0; turn += 1) {
    await world.clock.advance(1);
    if (turn % 2 !== 0) continue;
    const gap = gaps.shift();
    if (gap !== undefined) {
      world.take(gap.partition, gap.from, gap.to);
      continue;
    }
    const partition = world.partitionOf(`n${draw(NAMES)}`);
    const to = IDS[draw(IDS.length)] ?? "a";
    if (draw(8) === 0) {
      const id = IDS[draw(IDS.length)] ?? "a";
      world.cut(id);
      world.mend(id);
    } else if (!(past[partition]?.has(to) ?? true)) {
      past[partition]?.add(to);
      moves += 1;
      gaps.push({ partition, from: world.release(partition), to });
    }
  }
  for (const { partition, from, to } of gaps) world.take(partition, from, to);
  await world.until(works);
  expect([...done.values()].flat()).toHaveLength(CLIENTS * ROUNDS * 2);
  expect(moves).toBeGreaterThan(4); // Else nothing was tried.
  for (const records of done.values()) {
    if (records.length === 0) continue;
    const inOrder = records.toSorted((x, y) => x.index - y.index);
    expect(inOrder.map(({ index }) => index)).toEqual(inOrder.map((_, index) => index));
    const tokens = inOrder.map(({ token }) => token);
    expect(tokens).toEqual(tokens.toSorted((x, y) => (x < y ? -1 : x > y ? 1 : 0)));
    for (let at = 0; at < inOrder.length; at += 2) {
      expect(inOrder[at + 1]?.record).toBe(inOrder[at]?.record.replace("first", "second"));
    }
  }
  await world.until(Promise.all(clients.map((client) => client.close())));
});
