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
import { formatDuration } from "./duration.ts";
import { streamFoldersOf } from "./log.ts";
import { plural } from "./quantity.ts";
import { UsageError } from "./usage-error.ts";

/** With fewer a p99 is their longest, and forecasts have hardly learned anything. */
const ROWS_ENOUGH = 100;

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
  const [logFolder = "", ...others] = await streamFoldersOf(folder, "--data");
  if (others.length > 0)
    throw new UsageError(
      `--data is "${folder}": its log has ${others.length + 1} streams, of a server with workers. Start it once with --workers 1, which brings them together, then replay.`,
    );
  const recorder = new Recorder(await oldestSnapshots(logFolder));
  for await (const batch of dumpLog(nodeFiles, logFolder)) for (const { record } of batch) recorder.take(record);
  const recorded = recorder.result();
  const { rows, policies } = recorded;
  const remarks = [...remarksOf(recorded), ...missingRemark(recorder.missingPartitions)];
  if (rows.length === 0)
    throw new UsageError(
      `--data is "${folder}": ${remarks.join(" ")} There is nothing to replay: let the server run for longer, or replay a file with --durations.`,
    );
  const inOrder = rows.toSorted((a, b) => a.requestMs - b.requestMs);
  return { rows: inOrder.slice(0, rowsMax), remarks, policies };
}

function remarksOf(recorded: Recorded): readonly string[] {
  const { rows, lost, stillHeld, otherKinds, warned, acknowledged, extended, spanMs } = recorded;
  const clients = new Set(rows.map(({ client }) => client)).size;
  const elements = new Set(rows.map(({ element }) => element)).size;
  return [
    `The log holds ${plural(rows.length, "hold")} of exclusive locks, by ${plural(clients, "client")} on ${plural(elements, "element")}, in ${formatDuration(spanMs)}. ${lost} of them ended by expiry or force and ${stillHeld} have not ended: they count as stuck, for as long as they lasted.`,
    ...(rows.length >= ROWS_ENOUGH || rows.length === 0
      ? []
      : [
          `That is little: under ${ROWS_ENOUGH} holds a p99 is the longest wait there was, and forecasts have hardly anything to learn from. Read single requests out of it, no rates.`,
        ]),
    warned === 0
      ? "Nobody was warned in it: no holder is taken to answer warnings."
      : `${plural(warned, "holder")} of it ${warned === 1 ? "was" : "were"} warned, ${acknowledged} acknowledged and ${extended} got more time: they answer as then, and other holds of their clients as those did.`,
    `Left out: ${plural(otherKinds, "grant")} of other kinds, and who still waits.`,
  ];
}

function missingRemark(partitions: number): readonly string[] {
  if (partitions === 0) return [];
  return [`${plural(partitions, "partition")} could not be read from a snapshot on, and are left out.`];
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
