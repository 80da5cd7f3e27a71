// Everything of a server, from a folder to a cluster and back. Folders are real, etcd is in process.
import { mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DiskBulkStore } from "../bulk/disk.ts";
import { nodeFiles as bulkFiles } from "../bulk/files.ts";
import { MemoryEtcd, MemoryEtcdStore } from "../etcd/memory.ts";
import { folderIdentity, openDataFolder } from "../log/segment/data-folder.ts";
import { nodeFiles } from "../log/segment/files.ts";
import { lockFolder } from "../log/segment/folder-lock.ts";
import { openSegmentEventLog } from "../log/segment/segment-event-log.ts";
import { realClock, realRandom } from "../real-time.ts";
import { Node } from "../shard/node.ts";
import { recover } from "../shard/recovery.ts";
import { CALLER, Client, NODE_LIMITS, type World } from "../shard/testing/world.ts";
import { type ExportSource, readArchive, verifyArchive, writeArchive } from "./archive.ts";
import { openClusterSource, openClusterTarget } from "./cluster.ts";
import { openFolderSource, openFolderTarget } from "./folder.ts";

const PARTITIONS = 4;
const TEXTS = Array.from({ length: 30 }, (_, index) => `line ${index}\n`);
const SEGMENT_BYTES = 1024 * 1024;

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "forelock-transfer-"));
});
afterEach(() => rm(root, { recursive: true }));

const at = (name: string): string => join(root, name);
const folderSide = (name: string) => ({ folder: at(name), randomBytes: realRandom, wallMs: 1 });

/** A server on a folder, until `stop`. */
async function serve(name: string): Promise<{ readonly node: Node; stop(): Promise<void> }> {
  const folder = await openDataFolder({
    ...{ folder: at(name), files: nodeFiles, partitions: PARTITIONS, wallMs: 1, randomBytes: realRandom },
    ...{ identity: folderIdentity, lock: lockFolder, isRestored: false },
  });
  const log = await openSegmentEventLog({
    ...{ folder: folder.logFolder, files: nodeFiles, segmentBytes: SEGMENT_BYTES, notice: () => {} },
  });
  const bulk = await DiskBulkStore.open({ folder: `${at(name)}/bulk`, files: bulkFiles, openFilesMax: 8 });
  const { states } = await recover(log, PARTITIONS, bulk);
  const node = new Node({
    ...{ states, log, bulk, clock: realClock, random: realRandom, defer: (run) => setImmediate(run) },
    ...{ limits: { ...NODE_LIMITS, fileBytesMax: 1e9 }, placementKey: Buffer.from(folder.format.hashKey, "hex") },
    ...{ isDurable: true, version: "test", isPredicting: false, note: () => {} },
  });
  await node.start(Math.max(folder.epochFloor, log.lastEpoch() + 1), []);
  const stop = async (): Promise<void> => {
    await node.drain();
    for (const closer of [log, bulk, folder]) await closer.close();
  };
  return { node, stop };
}

function clientOf(node: Node): Client {
  const opened = node.openSession(CALLER, { ttlMs: undefined, client: "test" });
  return new Client({ node } as unknown as World, CALLER, opened);
}

/** Something of everything: a holder, a waiter, a file, a cut file, a kept operation. @returns the holder's client and token */
async function fill(name: string): Promise<{ readonly ana: Client; readonly token: bigint }> {
  const { node, stop } = await serve(name);
  const ana = clientOf(node);
  const token = await ana.token(ana.acquire("orders"));
  for (const text of TEXTS)
    await ana.submit({ $case: "append", value: { file: "orders", bytes: Buffer.from(text), token, element: "" } });
  await clientOf(node).acquire("orders", { waitMs: 60_000 });
  await ana.acquire("kept", {}, { keep: { requestId: "k".repeat(22), keepMs: 60_000 } });
  const undone = await ana.token(ana.acquire("undone", { onLoss: 1 }));
  const value = { file: "undone", bytes: Buffer.from("gone"), token: undone, element: "" };
  await ana.submit({ $case: "append", value });
  await ana.submit({ $case: "release", value: { name: "undone", token: undone, undo: true } });
  await stop();
  return { ana, token };
}

async function exported(source: ExportSource, name: string): Promise<string> {
  try {
    await writeArchive(at(name), source, { id: "test", createdMs: 1 });
  } finally {
    await source.close();
  }
  return at(name);
}

/** The hashes of all partitions, without their epochs. */
async function hashesOf(source: ExportSource): Promise<readonly string[]> {
  const hashes = source.states.map(({ state }) => `${state.hashLow} ${state.hashHigh} ${state.files.size}`);
  await source.close();
  return hashes;
}

const etcdOf = (store: MemoryEtcdStore): MemoryEtcd => new MemoryEtcd({ store });
const clusterSide = (store: MemoryEtcdStore, name: string) => ({
  ...{ etcd: etcdOf(store), cluster: "test", clock: realClock, randomBytes: realRandom, folder: at(name) },
});

test("a folder becomes a cluster and a folder again: the same states and files, and tokens that rise", async () => {
  const { ana, token } = await fill("first");
  const before = await hashesOf(await openFolderSource(folderSide("first")));
  const store = new MemoryEtcdStore({ clock: realClock });
  const out = await exported(await openFolderSource(folderSide("first")), "out");
  await readArchive(out, await openClusterTarget(clusterSide(store, "node")));
  const middle = await openClusterSource(clusterSide(store, "node"));
  const clusterEpoch = middle.header.lastEpoch;
  expect(clusterEpoch).toBeGreaterThan(65_536);
  const back = await exported(middle, "back");
  await readArchive(back, await openFolderTarget(folderSide("last")));
  expect(await hashesOf(await openFolderSource(folderSide("last")))).toEqual(before);
  const { node, stop } = await serve("last");
  const known = new Client({ node } as unknown as World, CALLER, again(node, ana));
  const value = { file: "orders", offset: 0, bytesMax: 0, version: 0 };
  const { body } = await known.submit({ $case: "readFile", value }, { sequence: 1_000 });
  expect(body?.$case === "readFile" ? body.value.bytes.toString() : body).toBe(TEXTS.join(""));
  const next = await known.token(known.acquire("new", {}, { sequence: 1_001 }));
  expect(next).toBeGreaterThan(token);
  expect(next >> 40n).toBeGreaterThan(BigInt(clusterEpoch));
  const partition = node.partitionOf("orders");
  expect(node.shards[partition]?.state.contended.size).toBe(1);
  expect(
    [...(node.shards[node.partitionOf("kept")]?.state.sessions.values() ?? [])].some(({ kept }) => kept !== undefined),
  ).toBe(true);
  await stop();
});

/** The session of `client` at another node, by its secret. */
function again(node: Node, client: Client): ReturnType<Node["resumeSession"]> {
  const { session, secret = new Uint8Array(0) } = client.opened;
  const sessionId = Buffer.from(session.id, "base64url");
  return node.resumeSession(CALLER, { sessionId, secret, open: undefined, client: "test", ttlMs: undefined });
}

test("a folder on which a server runs is refused", async () => {
  const { stop } = await serve("running");
  await expect(openFolderSource(folderSide("running"))).rejects.toMatchObject({ code: "data_in_use" });
  await stop();
});

test("what is not empty is no target, and a broken import is begun anew", async () => {
  await fill("first");
  const out = await exported(await openFolderSource(folderSide("first")), "out");
  await expect(openFolderTarget(folderSide("first"))).rejects.toMatchObject({ code: "bad_argument" });
  const broken = await openFolderTarget(folderSide("second"));
  broken.bulk.append({ partition: 0, file: 1 }, { index: 0, offset: 0, bytes: Buffer.from("x"), checksum: 0 });
  await broken.close();
  await readArchive(out, await openFolderTarget(folderSide("second")));
  expect(await readFile(`${at("second")}/bulk/${await partitionOf("second", "orders")}/1.data`, "utf8")).toBe(
    TEXTS.join(""),
  );
  const store = new MemoryEtcdStore({ clock: realClock });
  const half = await openClusterTarget(clusterSide(store, "node"));
  await half.begin((await verifyArchive(out)).header);
  await half.close();
  await readArchive(out, await openClusterTarget(clusterSide(store, "node")));
  await expect(openClusterTarget(clusterSide(store, "node"))).rejects.toMatchObject({ code: "bad_argument" });
});

async function partitionOf(name: string, file: string): Promise<number> {
  const source = await openFolderSource(folderSide(name));
  await source.close();
  return source.states.findIndex(({ state }) => state.files.has(file));
}

test("a cluster with registered nodes is neither read nor written", async () => {
  const store = new MemoryEtcdStore({ clock: realClock });
  const side = clusterSide(store, "node");
  await side.etcd.txn({ compare: [], success: [{ kind: "put", key: "/test/node/a", value: Buffer.from("{}") }] });
  await expect(openClusterSource(side)).rejects.toMatchObject({ code: "data_in_use" });
  await expect(openClusterTarget(side)).rejects.toMatchObject({ code: "data_in_use" });
});

test("contents that are not whole are not exported", async () => {
  await fill("first");
  const store = new MemoryEtcdStore({ clock: realClock });
  const out = await exported(await openFolderSource(folderSide("first")), "out");
  await readArchive(out, await openClusterTarget(clusterSide(store, "node")));
  const other = await openClusterSource(clusterSide(store, "another-node"));
  await expect(writeArchive(at("lacking"), other, { id: "x", createdMs: 1 })).rejects.toMatchObject({
    code: "bulk_unavailable",
  });
  await other.close();
  await expect(stat(at("lacking"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a file that is damaged anywhere, cut, or of another kind is refused before anything is made", async () => {
  await fill("first");
  const out = await exported(await openFolderSource(folderSide("first")), "out");
  const whole = await readFile(out);
  for (let place = 0; place < whole.length; place += 97) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8(bytes.readUInt8(place) ^ 0x10, place);
    await writeFile(out, bytes);
    await expect(verifyArchive(out)).rejects.toMatchObject({
      code: expect.stringMatching(/bad_argument|not_supported/),
    });
  }
  await writeFile(out, whole);
  await truncate(out, whole.length - 1);
  await expect(verifyArchive(out)).rejects.toMatchObject({ code: "bad_argument" });
  await mkdir(at("empty"));
  await writeFile(out, whole);
  await readArchive(out, await openFolderTarget(folderSide("empty")));
});
