// replay-source.ts: where `forelock replay` has its workload from: a file of durations, or the log of a data folder, read without a
// server and never changed.
import { readFile } from "node:fs/promises";
import { ForelockError } from "@forelock/protocol";
import { isNotFound, nodeFiles } from "../log/segment/files.ts";
import { dumpLog } from "../log/segment/inspect.ts";
import { generationsAmong, loadGeneration } from "../log/segment/snapshot.ts";
import { parseDurations } from "../replay/durations-file.ts";
import { type Recorded, Recorder } from "../replay/recorded.ts";
import type { Row } from "../replay/workload.ts";
import { logFolderOf } from "./log.ts";
import { plural } from "./quantity.ts";
import { UsageError } from "./usage-error.ts";

/** Fewer tell nothing: a p99 of them is their longest. */
const ROWS_MIN = 100;

export interface Source {
  readonly rows: readonly Row[];
  /** What a reader of the result must know of it. */
  readonly remarks: readonly string[];
  readonly policies: Recorded["policies"];
}

/** @throws UsageError; ForelockError `bad_argument` naming line and field */
export async function readDurations(file: string, rowsMax: number): Promise<Source> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // Cast: reading fails with errno errors.
    throw new UsageError(`--durations is "${file}": it cannot be read (${code}).`);
  }
  return { rows: parseDurations(text, file, rowsMax), remarks: [], policies: new Map() };
}

/** @throws UsageError when there is no log, or it holds too little; ForelockError `log_damaged` */
export async function readLog(folder: string, rowsMax: number): Promise<Source> {
  const logFolder = await logFolderOf(folder, "--data");
  const recorder = new Recorder(await oldestSnapshots(logFolder));
  for await (const batch of dumpLog(nodeFiles, logFolder)) for (const { record } of batch) recorder.take(record);
  const { rows, lost, otherKinds, stillHeld, policies } = recorder.result();
  const remarks = [
    `The log holds ${plural(rows.length, "hold")} of exclusive locks. ${lost} of them ended by expiry or force and ${stillHeld} have not ended: they count as stuck, for as long as they lasted.`,
    `Left out: ${plural(otherKinds, "grant")} of other kinds, and who still waits.`,
    ...(recorder.missingPartitions > 0
      ? [`${plural(recorder.missingPartitions, "partition")} could not be read from a snapshot on, and are left out.`]
      : []),
  ];
  if (rows.length < ROWS_MIN)
    throw new UsageError(
      `--data is "${folder}": ${remarks.join(" ")} A replay needs at least ${ROWS_MIN} holds: let the server run for longer, or replay a file with --durations.`,
    );
  const inOrder = rows.toSorted((a, b) => a.requestMs - b.requestMs);
  return { rows: inOrder.slice(0, rowsMax), remarks, policies };
}

/** Of the older generation, if it is sound: the records that are kept reach back to it. */
async function oldestSnapshots(logFolder: string) {
  const generations = generationsAmong(logFolder, await nodeFiles.list(logFolder)).toReversed();
  for (const generation of generations) {
    try {
      return await loadGeneration(nodeFiles, generation);
    } catch (error) {
      const isDamaged = error instanceof ForelockError && error.code === "log_damaged";
      if (!isDamaged && !isNotFound(error)) throw error; // A server has replaced it since, or the newer one is sound.
    }
  }
  return [];
}
