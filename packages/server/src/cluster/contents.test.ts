import type { Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { MemoryBulkStore } from "../bulk/memory.ts";
import { CALLER, type Client, describe as told } from "../shard/testing/world.ts";
import { Fleet, type FleetNode } from "./testing/fleet.ts";
import { Upkeep } from "./upkeep.ts";

const PARTITIONS = 2;
const TEXTS = Array.from({ length: 40 }, (_, index) => `record ${index} of the first life; `);

/** Two generations of snapshots at `id`, and what truncation they allow. */
async function tidy(fleet: Fleet, id: string): Promise<void> {
  const upkeep = upkeepOf(fleet, id, 1);
  for (let generation = 0; generation < 2; generation += 1) {
    await fleet.clock.advance(2_000); // Marks reach the others, and each partition gets a record.
    await fleet.passing(upkeep.takeDue());
  }
  await fleet.passing(upkeep.close());
}

function upkeepOf(fleet: Fleet, id: string, snapshotBytes: number): Upkeep {
  const { log, cluster, node } = fleet.get(id);
  return new Upkeep({
    ...{ log, bulk: cluster.contents, clock: fleet.clock, led: () => node.led, snapshotBytes },
    ...{ admission: { refresh: async () => undefined }, isCompacting: () => false, note: () => {} },
  });
}

async function append(fleet: Fleet, client: Client, file: string, token: bigint, text: string): Promise<string> {
  const value = { file, bytes: Buffer.from(text), token, element: "" };
  return told(await fleet.passing(client.submit({ $case: "append", value })));
}

async function appendAll(fleet: Fleet, id: string, file: string, texts: readonly string[]): Promise<Client> {
  const client = fleet.client(id);
  const token = await fleet.passing(client.token(client.acquire(file)));
  for (const text of texts) expect(await append(fleet, client, file, token, text)).toMatch(/^append/);
  await fleet.passing(client.release(file, token));
  return client;
}

async function ask(fleet: Fleet, { node }: FleetNode, body: Parameters<Client["submit"]>[0]): Promise<Reply> {
  return fleet.passing(
    new Promise<Reply>((resolve) => node.submit(CALLER, undefined, { sequence: 1, keep: undefined, body }, resolve)),
  );
}

/** What the owner answers, or the code of its refusal. */
async function read(fleet: Fleet, id: string, file: string, offset = 0): Promise<string> {
  const value = { file, offset, bytesMax: 0, version: 0 };
  const { body } = await ask(fleet, fleet.get(id), { $case: "readFile", value });
  if (body?.$case === "readFile") return body.value.bytes.toString();
  return body?.$case === "error" ? body.value.code : "nothing";
}

/** Sequences of the records in etcd of the partition of `file`. */
async function sequences(fleet: Fleet, file: string): Promise<readonly number[]> {
  const partition = [...fleet.nodes.values()][0]?.node.partitionOf(file);
  return (await fleet.records()).filter((record) => record.partition === partition).map(({ sequence }) => sequence);
}

async function kept(fleet: Fleet, file: string): Promise<number> {
  return (await sequences(fleet, file)).length;
}

/** `a` leads a file whose first records only snapshots and the disks of `a` and `b` have; `b` is gone. */
async function shortLog(): Promise<{ fleet: Fleet; file: string }> {
  const fleet = await Fleet.of(["a", "b"], PARTITIONS);
  const file = fleet.nameAt("a");
  await appendAll(fleet, "a", file, TEXTS);
  await tidy(fleet, "a");
  return { fleet, file };
}

test("the log is freed only past what so many nodes have synced", async () => {
  const { fleet, file } = await shortLog();
  const partition = fleet.get("a").node.partitionOf(file);
  expect(fleet.get("b").cluster.contents.mark(partition)).toBeGreaterThan(TEXTS.length);
  expect(await kept(fleet, file)).toBeLessThan(20);
});

test("with fewer replicas the log is kept, appends are refused at its budget, and locks go on until an operator says fewer", async () => {
  const fleet = new Fleet(PARTITIONS);
  fleet.keptBytesMax = 8_000;
  const a = await fleet.join("a");
  await fleet.settle();
  const file = fleet.nameAt("a");
  const ana = await appendAll(fleet, "a", file, TEXTS);
  await tidy(fleet, "a");
  expect(await kept(fleet, file)).toBeGreaterThan(TEXTS.length);
  const token = await fleet.passing(ana.token(ana.acquire(file)));
  expect(await append(fleet, ana, file, token, "a long record ".repeat(500))).toMatch(/^append/);
  await fleet.clock.advance(100);
  expect(await append(fleet, ana, file, token, "one more")).toContain("overloaded");
  expect(told(await fleet.passing(fleet.client("a").acquire("another")))).toMatch(/^granted/);
  const { contents } = a.cluster;
  expect(contents.appendRefused()).toContain("1 of 2 replicas live");
  await fleet.passing(a.cluster.setReplicas(1, { principal: "root", remoteAddress: "10.0.0.9" }));
  expect(fleet.notes.at(-1)).toContain('"replicas":1,"before":2,"principal":"root","from":"10.0.0.9"');
  await tidy(fleet, "a");
  expect(await append(fleet, ana, file, token, "one more")).toMatch(/^append/);
  await expect(a.cluster.setReplicas(0, { principal: "root", remoteAddress: "" })).rejects.toMatchObject({
    code: "bad_argument",
  });
});

test("what the log kept for a replica is freed when there is one, though nothing new is written", async () => {
  const fleet = new Fleet(PARTITIONS);
  await fleet.join("a");
  await fleet.settle();
  const file = fleet.nameAt("a");
  await appendAll(fleet, "a", file, TEXTS);
  await tidy(fleet, "a");
  expect(await kept(fleet, file)).toBeGreaterThan(TEXTS.length);
  await fleet.join("b");
  const upkeeps = ["a", "b"].map((id) => upkeepOf(fleet, id, 1e9)); // The partition may move.
  await fleet.clock.advance(20_000);
  expect((await sequences(fleet, file))[0]).toBeGreaterThan(TEXTS.length);
  for (const upkeep of upkeeps) await fleet.passing(upkeep.close());
});

test("a partition without file contents is freed whoever is there", async () => {
  const fleet = new Fleet(PARTITIONS);
  await fleet.join("a");
  await fleet.settle();
  const name = fleet.nameAt("a");
  expect(told(await fleet.passing(fleet.client("a").acquire(name)))).toMatch(/^granted/);
  await fleet.clock.advance(25_000); // While something is held, each second has a record.
  await tidy(fleet, "a");
  expect(await kept(fleet, name)).toBeLessThan(20);
});

test("a node that comes with its disk lacks nothing, and one that lost it gets everything from a peer", async () => {
  const { fleet, file } = await shortLog();
  const partition = fleet.get("a").node.partitionOf(file);
  const { disk } = fleet.get("b");
  fleet.cut("b");
  await fleet.clock.advance(500);
  const again = await fleet.join("b", { bulk: disk.bulk, marks: disk.marks });
  await fleet.settle();
  expect(fleet.fetched).toEqual([]);
  expect(again.cluster.contents.missing).toEqual([]);
  fleet.cut("b");
  const anew = await fleet.join("b");
  expect(anew.cluster.contents.mark(partition)).toBe(0);
  await fleet.clock.advance(10_000);
  expect(fleet.fetched.length).toBeGreaterThan(0);
  expect(anew.cluster.contents.missing).toEqual([]);
  expect(anew.cluster.contents.mark(partition)).toBeGreaterThan(TEXTS.length);
  fleet.cut("a");
  await fleet.clock.advance(10_000);
  expect(await read(fleet, "b", file)).toBe(TEXTS.join(""));
});

test("a node that lacks contents yields the take-over to one that has them", async () => {
  const { fleet, file } = await shortLog();
  const partition = fleet.get("a").node.partitionOf(file);
  fleet.unreachable = () => "cut";
  for (const id of ["0", "c"]) await fleet.join(id); // The lowest id would be first in line otherwise.
  await fleet.passing(fleet.get("a").cluster.planner.pin(partition, "0"));
  await fleet.clock.advance(5_000);
  expect(fleet.leaderOf(partition)).toBe("a"); // Nothing is given to who lacks contents.
  fleet.cut("a");
  await fleet.clock.advance(8_000);
  expect(["0", "b", "c"].filter((id) => fleet.get(id).node.leads(partition))).toEqual(["b"]);
  expect(await read(fleet, "b", file)).toBe(TEXTS.join(""));
});

test("without any node that has them, locks go on, and what is missing is refused until it comes", async () => {
  const { fleet, file } = await shortLog();
  const { disk } = fleet.get("b");
  fleet.cut("a");
  fleet.cut("b");
  await fleet.join("c");
  await fleet.clock.advance(10_000);
  const partition = fleet.get("c").node.partitionOf(file);
  expect(fleet.get("c").node.leads(partition)).toBe(true);
  expect(await read(fleet, "c", file)).toBe("bulk_unavailable");
  const length = TEXTS.join("").length;
  await appendAll(fleet, "c", file, ["new ", "life"]);
  expect(await read(fleet, "c", file, length)).toBe("new life");
  expect(await read(fleet, "c", file, length + 2)).toBe("w life");
  expect(await read(fleet, "c", file, length - 1)).toBe("bulk_unavailable");
  await fleet.join("b", { bulk: disk.bulk, marks: disk.marks });
  await fleet.clock.advance(10_000);
  expect(await read(fleet, "c", file)).toBe(`${TEXTS.join("")}new life`);
});

test("what is undone meanwhile is neither fetched nor brought back", async () => {
  const { fleet, file } = await shortLog();
  const ana = fleet.client("a");
  const taken = await fleet.passing(ana.token(ana.acquire(file, { onLoss: 1 })));
  for (const text of ["wrong ", "and ", "undone "]) await append(fleet, ana, file, taken, text);
  await tidy(fleet, "a");
  fleet.cut("b");
  fleet.unreachable = () => "not yet";
  const anew = await fleet.join("b");
  await fleet.clock.advance(3_000);
  await fleet.passing(ana.submit({ $case: "release", value: { name: file, token: taken, undo: true } }));
  await appendAll(fleet, "a", file, ["right"]);
  fleet.unreachable = undefined;
  await fleet.clock.advance(10_000);
  expect(anew.cluster.contents.missing).toEqual([]);
  fleet.cut("a");
  await fleet.clock.advance(10_000);
  expect(await read(fleet, "b", file)).toBe(`${TEXTS.join("")}right`);
});

test("after lost connections it goes on with the next record, at a bounded rate", async () => {
  const fleet = await Fleet.of(["a", "b"], PARTITIONS);
  const file = fleet.nameAt("a");
  const texts = Array.from({ length: 12 }, (_, index) => String.fromCharCode(65 + index).repeat(100_000));
  await appendAll(fleet, "a", file, texts);
  await tidy(fleet, "a");
  fleet.cut("b");
  const beganMs = fleet.clock.monotonicMs();
  let asked = 0;
  fleet.unreachable = () => {
    asked += 1;
    return asked % 2 === 0 ? "cut" : undefined;
  };
  const anew = await fleet.join("b");
  while (anew.cluster.contents.missing.length > 0 || anew.cluster.contents.gaps(0) === undefined)
    await fleet.clock.advance(100);
  const begun = fleet.fetched.filter((_, index) => index % 2 === 0).map(({ request }) => request.index);
  expect(begun).toEqual([...begun].sort((x, y) => x - y));
  expect(new Set(begun).size).toBe(begun.length); // Nothing was asked for again that had come.
  expect(fleet.clock.monotonicMs() - beganMs).toBeGreaterThan(1_000); // 1.2 MB at 1 MiB/s.
});

test("what a peer sends damaged is thrown away, and asked of it again", async () => {
  const { fleet, file } = await shortLog();
  fleet.cut("b");
  const sound = fleet.fetch.bind(fleet);
  let damaged = 3;
  fleet.fetch = async (from, to, request) => {
    const records = await sound(from, to, request);
    damaged -= 1;
    if (damaged < 0) return records;
    const [first, ...rest] = records;
    if (damaged > 0) return [{ bytes: Buffer.from("other"), checksum: first?.checksum ?? 0 }, ...rest];
    return [rest[0] ?? { bytes: Buffer.alloc(0), checksum: 0 }, ...rest.slice(1)]; // Sound, but not what belongs there.
  };
  const anew = await fleet.join("b");
  await fleet.clock.advance(10_000);
  expect(anew.cluster.contents.missing).toEqual([]);
  fleet.cut("a");
  await fleet.clock.advance(10_000);
  expect(await read(fleet, "b", file)).toBe(TEXTS.join(""));
});

test("leftovers of an earlier life on the disk are completed, or replaced where they are wrong", async () => {
  const { fleet, file } = await shortLog();
  const { bulk } = fleet.get("b").disk;
  const partition = fleet.get("a").node.partitionOf(file);
  fleet.cut("b");
  bulk.truncate({ partition, file: 1 }, 25);
  const anew = await fleet.join("b", { bulk, marks: [] });
  await fleet.clock.advance(8_000);
  expect(fleet.fetched.map(({ request }) => request.index)).toEqual([25]);
  expect(anew.cluster.contents.missing).toEqual([]);
  fleet.cut("b");
  const other = new MemoryBulkStore();
  other.append({ partition, file: 1 }, { index: 0, offset: 0, bytes: Buffer.from("x"), checksum: 0x8cdc1683 });
  const last = await fleet.join("b", { bulk: other, marks: [] });
  await fleet.clock.advance(10_000);
  expect(last.cluster.contents.missing).toEqual([]);
  fleet.cut("a");
  await fleet.clock.advance(10_000);
  expect(await read(fleet, "b", file)).toBe(TEXTS.join(""));
});
