// snapshot.ts: snapshots of partitions in chunks, two generations of each. Not here: when one is taken (shard/snapshots.ts).
//   N1. A generation is published by one put of its pointer, after all of its chunks; until then nobody sees it.
//   N2. The transaction that publishes also deletes the generation that is third from then on.
//   N3. Only the owner writes: every transaction compares the epoch record. It also compares the pointer, so that nothing that
//       etcd does late touches a generation that is published.
//   N4. Each attempt has a generation number of its own. What failed attempts left is deleted by the next.
import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import { type Compare, type Etcd, isEtcdError, type KeyValue, type TxnOperation } from "../../etcd/etcd.ts";
import type { Snapshot } from "../event-log.ts";
import { decodeEpoch, isStill } from "./epoch.ts";
import type { ClusterKeys } from "./keys.ts";
import { fencedError, type Generation, type PartitionLog, type Pointer } from "./partition.ts";

export const CHUNK_BYTES = 524_288;
/** Partitions whose pointers one transaction moves: a put and a delete for each. */
const POINTERS_MAX = 64;
const CHUNKS_AT_ONCE = 8;
const VERSION = 1;
const NO_BYTES = new Uint8Array(0);

export interface SnapshotsOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
}

interface Prepared {
  readonly partition: PartitionLog;
  readonly snapshot: Snapshot;
  readonly generation: Generation;
}

/**
 * Writes the chunks of all, then publishes all: at once for up to 64 partitions, else 64 at a time.
 * @throws ForelockError `fenced` when one of the partitions is another's; EtcdError when etcd fails. Nothing is published then
 *   that was not published whole.
 */
export async function saveSnapshots(
  options: SnapshotsOptions,
  snapshots: readonly (readonly [PartitionLog, Snapshot])[],
): Promise<void> {
  const all = snapshots.map(([partition, snapshot]) => prepared(partition, snapshot));
  for (const one of all) await writeChunks(options, one);
  for (let from = 0; from < all.length; from += POINTERS_MAX)
    await publish(options, all.slice(from, from + POINTERS_MAX));
}

/** The newest snapshot of each partition that has one. */
export async function loadSnapshots(
  options: SnapshotsOptions,
  partitions: readonly number[],
): Promise<readonly Snapshot[]> {
  const loaded: Snapshot[] = [];
  for (const partition of partitions) {
    const snapshot = await loadSnapshot(options, partition);
    if (snapshot !== undefined) loaded.push(snapshot);
  }
  return loaded;
}

/** @throws ForelockError `log_damaged` */
export async function loadSnapshot(
  options: SnapshotsOptions,
  partition: number,
  atMost: number = Number.POSITIVE_INFINITY,
): Promise<Snapshot | undefined> {
  const { etcd, keys } = options;
  for (;;) {
    const { entries, revision } = await etcd.range({ key: keys.pointer(partition) });
    const { generations } = decodePointer(partition, entries[0]);
    const generation = generations.find(({ sequence }) => sequence <= atMost) ?? generations[0];
    if (generation === undefined) return undefined;
    try {
      const { sequence, epoch } = generation;
      return { partition, sequence, epoch, state: await readChunks(options, partition, generation, revision) };
    } catch (error) {
      // The owner has published twice since, and the history of this revision was compacted: there is a newer one.
      if (!isEtcdError(error, "compacted")) throw error;
    }
  }
}

export function decodePointer(partition: number, entry: KeyValue | undefined): Pointer {
  if (entry === undefined) return { generations: [], modRevision: 0 };
  const text = Buffer.from(entry.value).toString();
  const { version, generations } = parsed(text);
  if (typeof version === "number" && version > VERSION)
    throw new ForelockError("not_supported", `Snapshots of partition ${partition} in etcd have format ${version}.`);
  if (version !== VERSION || !Array.isArray(generations) || !generations.every(isGeneration))
    throw new ForelockError("log_damaged", `${entry.key} in etcd names no snapshots: ${text.slice(0, 100)}.`);
  return { generations, modRevision: entry.modRevision };
}

function prepared(partition: PartitionLog, snapshot: Snapshot): Prepared {
  const { state, sequence, epoch } = snapshot;
  const published = partition.pointer.generations[0]?.generation ?? 0;
  partition.lastGeneration = Math.max(partition.lastGeneration, published) + 1; // N4
  const generation = {
    generation: partition.lastGeneration,
    sequence,
    epoch,
    chunks: Math.ceil(state.byteLength / CHUNK_BYTES),
    bytes: state.byteLength,
    checksum: crc32(state),
    bytesTotal: bytesTotalAt(partition, sequence),
  };
  return { partition, snapshot, generation };
}

/** Exact at the tail and at the last snapshot, in between by share: it only decides when the next snapshot is due. */
function bytesTotalAt({ pointer, sequence: last, bytesTotal }: PartitionLog, sequence: number): number {
  const before = pointer.generations[0] ?? { sequence: 0, bytesTotal: 0 };
  if (last <= before.sequence) return bytesTotal;
  const share = (sequence - before.sequence) / (last - before.sequence);
  return before.bytesTotal + Math.max(0, share) * (bytesTotal - before.bytesTotal);
}

async function writeChunks(options: SnapshotsOptions, { partition, snapshot, generation }: Prepared): Promise<void> {
  const { keys } = options;
  const { state } = snapshot;
  const published = partition.pointer.generations[0]?.generation ?? 0;
  const leftOver: TxnOperation = {
    kind: "delete",
    key: keys.generation(partition.partition, published + 1).key,
    end: keys.generation(partition.partition, generation.generation).key,
  };
  if (generation.generation > published + 1) await guardedTxn(options, [partition], [leftOver]);
  for (let chunk = 0; chunk < generation.chunks; chunk++) {
    const key = keys.chunk(partition.partition, generation.generation, chunk);
    const value = state.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    await guardedTxn(options, [partition], [{ kind: "put", key, value }]);
  }
}

async function publish(options: SnapshotsOptions, all: readonly Prepared[]): Promise<void> {
  const { keys } = options;
  const operations = all.flatMap(({ partition, generation }): readonly TxnOperation[] => {
    const pointer = encodePointer(partition, generation);
    const put: TxnOperation = { kind: "put", key: keys.pointer(partition.partition), value: pointer };
    const third = partition.pointer.generations[1];
    if (third === undefined) return [put];
    return [put, { kind: "delete", ...keys.generation(partition.partition, third.generation) }]; // N2
  });
  const partitions = all.map(({ partition }) => partition);
  // Until it is known what came of it.
  for (const partition of partitions) partition.isPointerOld = true;
  const revision = await guardedTxn(options, partitions, operations, () => publishedAt(options, all)); // N1
  for (const { partition, generation, snapshot } of all) {
    const generations = [generation, ...partition.pointer.generations.slice(0, 1)];
    partition.pointer = { generations, modRevision: revision };
    partition.isPointerOld = false;
    if (partition.sequence > 0) continue;
    partition.sequence = snapshot.sequence; // A restore: the log begins with a snapshot.
    partition.epoch = snapshot.epoch;
  }
}

/**
 * One transaction of the owner, sent twice where the first outcome is unknown: all of them may be done twice.
 * @param look the revision at which it was done after all, when a compare fails
 */
async function guardedTxn(
  { etcd, keys }: SnapshotsOptions,
  partitions: readonly PartitionLog[],
  success: readonly TxnOperation[],
  look: () => Promise<number | undefined> = async () => undefined,
): Promise<number> {
  const compare = partitions.flatMap(({ partition, claim, pointer }): readonly Compare[] => {
    const isPointer: Compare = { key: keys.pointer(partition), target: "mod", is: "equal", to: pointer.modRevision };
    return [isStill(keys, claim), isPointer]; // N3
  });
  const failure = partitions.map(({ partition }): TxnOperation => ({ kind: "range", key: keys.epoch(partition) }));
  const send = () => etcd.txn({ compare, success, failure });
  const answer = await send().catch((error: unknown) => {
    if (isEtcdError(error, "outcome_unknown")) return send();
    throw error;
  });
  const revision = answer.succeeded ? answer.revision : await look();
  if (revision !== undefined) return revision;
  for (const [index, { partition, claim }] of partitions.entries()) {
    const range = answer.answers[index];
    const now = decodeEpoch(partition, range?.kind === "range" ? range.entries[0] : undefined);
    if (now.modRevision !== claim.modRevision) throw fencedError({ partition, epoch: claim.epoch }, now);
  }
  for (const partition of partitions) partition.isPointerOld = true;
  throw new ForelockError("unavailable", "An earlier attempt to save snapshots came in between.");
}

/** Where the pointers came to name these generations, if they do. */
async function publishedAt({ etcd, keys }: SnapshotsOptions, all: readonly Prepared[]): Promise<number | undefined> {
  const success = all.map(({ partition: { partition } }): TxnOperation => {
    return { kind: "range", key: keys.pointer(partition) };
  });
  const { answers } = await etcd.txn({ compare: [], success });
  const pointers = all.map(({ partition: { partition } }, index) => {
    const answer = answers[index];
    return decodePointer(partition, answer?.kind === "range" ? answer.entries[0] : undefined);
  });
  const isPublished = all.every(({ generation }, index) => {
    const newest = pointers[index]?.generations[0];
    return newest?.generation === generation.generation && newest.checksum === generation.checksum;
  });
  return isPublished ? pointers[0]?.modRevision : undefined;
}

async function readChunks(
  { etcd, keys }: SnapshotsOptions,
  partition: number,
  { generation, chunks, bytes, checksum }: Generation,
  revision: number,
): Promise<Uint8Array> {
  const state = chunks === 0 ? NO_BYTES : new Uint8Array(bytes);
  const { end } = keys.generation(partition, generation);
  let length = 0;
  for (let chunk = 0; chunk < chunks; chunk += CHUNKS_AT_ONCE) {
    const key = keys.chunk(partition, generation, chunk);
    const { entries } = await etcd.range({ key, end, revision, limit: Math.min(CHUNKS_AT_ONCE, chunks - chunk) });
    for (const { value } of entries) {
      if (length + value.byteLength <= bytes) state.set(value, length);
      length += value.byteLength;
    }
  }
  if (length === bytes && crc32(state) === checksum) return state;
  throw new ForelockError(
    "log_damaged",
    `Snapshot ${generation} of partition ${partition} in etcd fails its checksum.`,
  );
}

function encodePointer({ pointer }: PartitionLog, newest: Generation): Uint8Array {
  const generations = [newest, ...pointer.generations.slice(0, 1)];
  return Buffer.from(JSON.stringify({ version: VERSION, generations }));
}

function isGeneration(value: unknown): value is Generation {
  if (typeof value !== "object" || value === null) return false;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const names = ["generation", "sequence", "epoch", "chunks", "bytes", "checksum", "bytesTotal"];
  return names.every((name) => typeof fields[name] === "number");
}

function parsed(text: string): { readonly version?: unknown; readonly generations?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {}; // The caller tells what stands there instead.
  }
}
