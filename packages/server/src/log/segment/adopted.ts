// adopted.ts: partitions that came to a stream from another one. Each brings its state along, as a file of its own beside the generations,
// in their format: the records of the partition in this stream go on from there. Not here: which stream has a partition (streams.ts).
//   A1. An adoption has its name only when it is whole and durable. From then on this stream has the partition, under the epoch in the name.
//   A2. Within a stream the records of a partition may skip ahead, under a higher epoch, only to what an adoption or a generation covers.
//   A3. An adoption is removed when both kept generations were saved under its epoch or a later one, or a later adoption is durable.
import type { Snapshot } from "../event-log.ts";
import type { Files } from "./files.ts";
import {
  type Generation,
  type GenerationName,
  loadGeneration,
  publish,
  readGeneration,
  writeSnapshots,
} from "./snapshot.ts";

/** Removed by the start. */
export const ADOPTED_TEMPORARY_NAME = "adopted.tmp";

export interface AdoptionName extends GenerationName {
  readonly partition: number;
  readonly epoch: number;
}

export interface Adoption extends AdoptionName {
  readonly sequence: number;
  /** Last commit of the stream that was durable when it was made. */
  readonly commit: number;
}

/** The adoptions of a folder, any order. */
export function adoptionsAmong(folder: string, names: readonly string[]): readonly AdoptionName[] {
  return names
    .map((name) => /^adopted-(\d{5})-(\d{10})\.snap$/.exec(name))
    .filter((match) => match !== null)
    .map(([, partition, epoch]) => nameOf(folder, Number(partition), Number(epoch)));
}

/**
 * Writes an adoption durably, but for its name: a failure until here has changed nothing.
 * @param snapshot under the epoch that the partition has from now on
 * @returns it, and what gives it its name: when that fails, it may have it (A1)
 */
export async function writeAdoption(
  files: Files,
  folder: string,
  commit: number,
  snapshot: Snapshot,
): Promise<{ readonly adoption: Adoption; readonly publish: () => Promise<void> }> {
  const name = { ...nameOf(folder, snapshot.partition, snapshot.epoch), commit };
  const temporary = `${folder}/${ADOPTED_TEMPORARY_NAME}`;
  await writeSnapshots(files, temporary, name, [snapshot]);
  return {
    adoption: { ...name, sequence: snapshot.sequence },
    publish: () => publish(files, folder, temporary, name.path),
  };
}

/** Reads all of it and checks all of it. @throws ForelockError `log_damaged` */
export async function readAdoption(files: Files, name: AdoptionName): Promise<Adoption> {
  const { commit, coverByPartition } = await readGeneration(files, name);
  return { ...name, commit, sequence: coverByPartition.get(name.partition)?.sequence ?? 0 };
}

/**
 * The states that the records of a stream go on from: those of `generation`, and what was adopted since. A partition that has gone to
 * another stream may be among them, with an empty state.
 */
export async function loadBase(
  files: Files,
  folder: string,
  generation: GenerationName | undefined,
): Promise<readonly Snapshot[]> {
  const base = new Map<number, Snapshot>();
  const take = (snapshot: Snapshot): void => {
    const before = base.get(snapshot.partition);
    if (before === undefined || isNewer(snapshot, before)) base.set(snapshot.partition, snapshot);
  };
  if (generation !== undefined) for (const snapshot of await loadGeneration(files, generation)) take(snapshot);
  for (const name of adoptionsAmong(folder, await files.list(folder)))
    for (const snapshot of await loadGeneration(files, name)) take(snapshot);
  return [...base.values()];
}

/** A2 */
export class Covers {
  readonly #adoptions: readonly Adoption[];
  readonly #newest: Generation | undefined;

  constructor(adoptions: readonly Adoption[], newest: Generation | undefined) {
    this.#adoptions = adoptions;
    this.#newest = newest;
  }

  /** The highest sequence of a partition that needs no record. */
  through(partition: number): number {
    const adopted = this.#adoptions.filter((each) => each.partition === partition).map(({ sequence }) => sequence);
    return Math.max(this.#newest?.coverByPartition.get(partition)?.sequence ?? 0, ...adopted);
  }
}

/** A3. Of one partition's adoption. */
export function isSuperseded({ partition, epoch }: AdoptionName, generations: readonly Generation[]): boolean {
  const isCovered = ({ coverByPartition }: Generation): boolean =>
    (coverByPartition.get(partition)?.epoch ?? 0) >= epoch;
  return generations.length >= 2 && generations.every(isCovered);
}

interface Position {
  readonly epoch: number;
  readonly sequence: number;
}

/** Epochs first: a state that has come back is newer than any record from before. */
export function isNewer(a: Position, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence);
}

/** The epoch stands in the header of the file where a generation has its number. */
function nameOf(folder: string, partition: number, epoch: number): AdoptionName {
  const digits = `${String(partition).padStart(5, "0")}-${String(epoch).padStart(10, "0")}`;
  return { path: `${folder}/adopted-${digits}.snap`, generation: epoch, partition, epoch };
}
