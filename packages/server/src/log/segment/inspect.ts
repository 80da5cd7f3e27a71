// inspect.ts: reads a log without owning it, for `forelock log verify` and `forelock log dump`. Works beside a server that
// writes, and on a damaged log up to the damage. Never writes.
//   I1. What a running server changes under the reader (commits that become whole, segments that are freed) is no damage: only
//       what a second look finds at the same place is.
import { ForelockError } from "@forelock/protocol";
import type { LogRecord } from "../event-log.ts";
import { type Files, isNotFound } from "./files.ts";
import { type BatchVisitor, firstCommitOf, type Survey, survey } from "./recover.ts";
import { COMMITS_FROM, readSegmentHeader, segmentsAmong, walkCommits } from "./segment.ts";
import { generationsAmong, readGeneration } from "./snapshot.ts";

export type Finding =
  | { readonly kind: "snapshots"; readonly file: string; readonly partitions: number; readonly bytes: number }
  | {
      readonly kind: "segment";
      readonly file: string;
      readonly commits: number;
      readonly records: number;
      /** Byte after the last whole commit that was seen. */
      readonly endOffset: number;
    }
  /** A write that a crash stopped, or one that a running server is doing. It was not acknowledged; a start removes it. */
  | { readonly kind: "torn_tail"; readonly file: string; readonly offset: number }
  /** The message says what to do. Nothing behind it in the stream was looked at. */
  | { readonly kind: "damage"; readonly file: string; readonly offset: number; readonly message: string };

/** Looks at a log that changes each time, before it is taken for busy. */
const LOOKS_MAX = 8;

/** Everything of note: the snapshots, the segments, then how the log ends. */
export async function* verifyLog(files: Files, folder: string): AsyncGenerator<Finding, void> {
  for (const name of generationsAmong(folder, await files.list(folder))) {
    try {
      const { path, coverByPartition, bytes } = await readGeneration(files, name);
      yield { kind: "snapshots", file: path, partitions: coverByPartition.size, bytes };
    } catch (error) {
      if (!isNotFound(error)) yield damageOf(error); // I1: a newer one replaced it.
    }
  }
  const look = await steadyLook(files, folder);
  yield* look.segments;
  if (look.end !== undefined) yield look.end;
}

/** A record and where it is. */
export interface PlacedRecord {
  readonly file: string;
  /** Byte offset of the commit that holds it. */
  readonly offset: number;
  readonly record: LogRecord;
}

/**
 * Every record that can be read, in stream order, up to the end or the first damage.
 * @throws ForelockError `log_damaged` behind the last record before the damage.
 */
export async function* dumpLog(files: Files, folder: string): AsyncGenerator<readonly PlacedRecord[], void> {
  let commit: number | undefined;
  for (const name of segmentsAmong(folder, await files.list(folder))) {
    const file = await files.open(name.path, "read");
    try {
      const bytes = await readSegmentHeader(file, name);
      commit ??= await firstCommitOf(file, name);
      const before = commit;
      for await (const batch of walkCommits(file, { ...name, offset: COMMITS_FROM, commit }, bytes)) {
        commit = batch.next.commit;
        yield batch.records.map((record, index) => ({ file: name.path, offset: batch.offsets[index] ?? 0, record }));
      }
      if (commit === before) break; // The end, or damage: told apart below.
    } finally {
      await file.close();
    }
  }
  const { end } = await steadyLook(files, folder);
  if (end?.kind === "damage")
    throw new ForelockError("log_damaged", end.message, { details: { file: end.file, offset: end.offset } });
}

/** Highest epoch in any record or snapshot; 0 for an empty log. Only where no server writes. */
export async function lastEpochIn(files: Files, folder: string): Promise<number> {
  const { tailByPartition, generations, adoptions } = await survey(files, folder, () => undefined);
  const covers = [...generations.flatMap(({ coverByPartition }) => [...coverByPartition.values()]), ...adoptions];
  return [...tailByPartition.values(), ...covers].reduce((highest, { epoch }) => Math.max(highest, epoch), 0);
}

interface Look {
  readonly segments: readonly Finding[];
  readonly end: (Finding & { readonly kind: "damage" | "torn_tail" }) | undefined;
}

/** I1 */
async function steadyLook(files: Files, folder: string): Promise<Look> {
  let previous = "";
  for (let looks = 1; ; looks++) {
    const look = await lookOnce(files, folder);
    const { end } = look;
    if (end?.kind !== "damage") return look;
    const place = `${end.file} ${end.offset}`;
    if (place === previous) return look;
    // Each complaint was gone at the next look: the server is faster than the reader.
    if (looks === LOOKS_MAX) return { ...look, end: { kind: "torn_tail", file: end.file, offset: end.offset } };
    previous = place;
  }
}

async function lookOnce(files: Files, folder: string): Promise<Look> {
  const found = new Map<string, Finding & { readonly kind: "segment" }>();
  const count: BatchVisitor = ({ path }, { records, next, commits }) => {
    const before = found.get(path) ?? { commits: 0, records: 0 };
    const sums = { commits: before.commits + commits, records: before.records + records.length };
    found.set(path, { kind: "segment", file: path, ...sums, endOffset: next.offset });
  };
  try {
    const end = tornTailOf(await survey(files, folder, () => undefined, count));
    return { segments: [...found.values()], end };
  } catch (error) {
    return { segments: [...found.values()], end: damageOf(error) };
  }
}

function tornTailOf({ next, writtenEnd }: Survey): Look["end"] {
  return writtenEnd > next.offset ? { kind: "torn_tail", file: next.path, offset: next.offset } : undefined;
}

/** Errors that are no damage (a disk that cannot be read, a newer format) go on to the caller. */
function damageOf(error: unknown): Finding & { readonly kind: "damage" } {
  if (isNotFound(error)) return { kind: "damage", file: "", offset: 0, message: String(error) };
  if (!(error instanceof ForelockError) || error.code !== "log_damaged") throw error;
  const { file, offset } = error.details ?? {};
  return { kind: "damage", file: String(file), offset: Number(offset), message: error.message };
}
