// scene.ts: what the tests of this folder share: a small log as bytes, and files that are nothing but bytes. Not for other folders.
import { appendRun, snapshot } from "../contract.ts";
import type { Files, OpenFile } from "./files.ts";
import { MemoryFiles } from "./memory-files.ts";
import { openSegmentEventLog, type SegmentEventLog } from "./segment-event-log.ts";

export const FOLDER = "/log";
export const SEGMENT_BYTES = 16 * 1024;

export function openLog(files: Files, notice: (kind: string) => void = () => undefined): Promise<SegmentEventLog> {
  return openSegmentEventLog({
    folder: FOLDER,
    files,
    segmentBytes: SEGMENT_BYTES,
    notice: ({ kind }) => notice(kind),
  });
}

export async function newFiles(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder(FOLDER);
  return files;
}

/** The bytes of a folder, by file name. */
export type Image = Map<string, Uint8Array>;

/** A log of two full segments and a third begun, the last commit of several blocks; perhaps one snapshot, of its beginning. */
export async function smallLog({ isSnapshotSaved }: { readonly isSnapshotSaved: boolean }): Promise<Image> {
  const files = await newFiles();
  const log = await openLog(files);
  await appendRun(log, 0, 2);
  if (isSnapshotSaved) await log.saveSnapshots([snapshot(0, 1), snapshot(1, 0)]);
  await appendRun(log, 1, 4);
  await log.append({ partition: 2, sequence: 1, epoch: 3, elapsedMs: 0, events: new Uint8Array(7_000).fill(9) });
  await log.close();
  return imageOf(files);
}

export async function imageOf(files: MemoryFiles): Promise<Image> {
  const names = await files.list(FOLDER);
  return new Map(names.map((name) => [name, files.contentOf(`${FOLDER}/${name}`).slice()]));
}

/** Reads an image, refuses to write: fast enough to try every byte. */
export function imageFiles(image: ReadonlyMap<string, Uint8Array>): Files {
  const refuse = (): Promise<never> => Promise.reject(new Error("this folder is read-only"));
  return {
    async open(path) {
      const bytes = image.get(path.slice(FOLDER.length + 1));
      if (bytes === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
      return imageFile(bytes, refuse);
    },
    list: async () => [...image.keys()],
    rename: refuse,
    remove: refuse,
    makeFolder: refuse,
    syncFolder: refuse,
  };
}

function imageFile(bytes: Uint8Array, refuse: () => Promise<never>): OpenFile {
  return {
    async read(into, at) {
      const part = bytes.subarray(at, at + into.byteLength);
      into.set(part);
      return part.byteLength;
    },
    size: async () => bytes.byteLength,
    close: async () => undefined,
    write: refuse,
    sync: refuse,
  };
}

/** mulberry32: uniform in [0, 1), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
