// growth.ts: how large the files of etcd's members get while records are appended through the log: chunks of 128 KiB to files, under
// their locks, and lock traffic beside them. Nothing is defragmented. What fails (on a starved machine sessions end) is counted and
// done anew: it is the file that is measured.

import { connect, type ForelockClient } from "@forelock/client";
import { pause } from "../server-process.ts";
import { count } from "../table.ts";
import type { Fleet } from "./fleet.ts";
import { type ClusterRun, type GrowthFound, whyOf } from "./run.ts";

const FILES = 8;
export const FILE_FLAGS = ["--files", `bench_{0..${FILES - 1}}`];
const CHUNK_BYTES = 128 * 1024;
const CHUNKS_PER_LOCK = 8;
const LOCK_SLOTS = 16;
const LOOK_MS = 250;
const AFTER_FAILURE_MS = 100;
const FAILED_MAX = 10_000;
const SAID_EVERY_MB = 128;
const MB = 2 ** 20;

export async function measureGrowth(run: ClusterRun, fleet: Fleet): Promise<GrowthFound> {
  await fleet.settled();
  const clients = await Promise.all(fleet.nodes.map(({ endpoint }) => connect({ endpoints: endpoint })));
  const beganAtMs = performance.now();
  const goal = run.options.appendMb * MB;
  let [appended, fileBytes, lockCycles, said, failed] = [0, 0, 0, 0, 0];
  let failure: string | undefined;
  const chunk = crypto.getRandomValues(new Uint8Array(65_536));
  const bytes = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; at < bytes.length; at += chunk.length) bytes.set(chunk, at);
  const append = async (client: ForelockClient, name: string): Promise<void> => {
    const lock = await client.lock(name);
    try {
      for (let number = 0; number < CHUNKS_PER_LOCK; number += 1) {
        await client.file(name).append(bytes, { lock });
        appended += bytes.length;
      }
    } finally {
      await lock.release();
    }
  };
  const cycle = async (client: ForelockClient, name: string): Promise<void> => {
    const lock = await client.lock(name);
    await lock.release();
    lockCycles += 1;
  };
  const again = async (what: typeof cycle, client: ForelockClient, name: string): Promise<void> => {
    while (appended < goal) {
      try {
        await what(client, name);
      } catch (error) {
        failed += 1;
        failure ??= whyOf(error);
        if (failed > FAILED_MAX) throw error;
        await pause(AFTER_FAILURE_MS);
      }
    }
  };
  const look = async (): Promise<void> => {
    while (appended < goal) {
      fileBytes = Math.max(fileBytes, fleet.members.fileBytes());
      if (appended / MB >= said + SAID_EVERY_MB) {
        said = Math.floor(appended / MB / SAID_EVERY_MB) * SAID_EVERY_MB;
        run.say(`${count(said)} MB appended, the largest file of etcd ${count(fileBytes / MB)} MB`);
      }
      await pause(LOOK_MS);
    }
  };
  const clientOf = (index: number): ForelockClient => clients[index % clients.length]!; // In range.
  await Promise.all([
    look(),
    ...Array.from({ length: FILES }, (_, file) => again(append, clientOf(file), `bench_${file}`)),
    ...Array.from({ length: LOCK_SLOTS }, (_, slot) => again(cycle, clientOf(slot), `bench/locks/${slot}`)),
  ]);
  fileBytes = Math.max(fileBytes, fleet.members.fileBytes());
  await Promise.all(clients.map((client) => client.close()));
  const seconds = (performance.now() - beganAtMs) / 1_000;
  return { appendedMb: appended / MB, fileMb: fileBytes / MB, seconds, lockCycles, failed, failure };
}
