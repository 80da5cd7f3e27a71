// marks.ts: how far file contents are complete and synced, kept beside them in `<folder>/synced.json`: one line of JSON with a checksum.
// Not here: what a mark means, and when one moves (cluster/contents.ts).
//   M1. Marks of another folder, disk, machine or cluster count for nothing: the contents may be a copy, and torn.
//   M2. The record is replaced whole; what a crash leaves is the old one or the new one.
import { open, readFile, rename } from "node:fs/promises";
import { crc32 } from "node:zlib";

export interface MarksOptions {
  /** Of the contents; exists. */
  readonly folder: string;
  /** Tells this disk and this cluster from every other. */
  readonly identity: string;
  readonly partitions: number;
}

const FORMAT_VERSION = 1;
const LINE = /^\{"checksum":"([0-9a-f]{8})","marks":(.*)\}\n$/;

export class SyncedMarks {
  readonly #options: MarksOptions;
  readonly #path: string;

  constructor(options: MarksOptions) {
    this.#options = options;
    this.#path = `${options.folder}/synced.json`;
  }

  /** Of each partition; 0 where nothing is sure: missing, damaged, or of another place (M1). */
  async load(): Promise<readonly number[]> {
    const { identity, partitions } = this.#options;
    const none = new Array<number>(partitions).fill(0);
    const text = await readFile(this.#path, "utf8").catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
      throw error;
    });
    const [, checksum, body = ""] = LINE.exec(text) ?? [];
    if (checksum !== checksumOf(body)) return none; // Nothing is lost with it: the contents are looked through.
    const found: { readonly [Key in keyof Marks]?: unknown } = JSON.parse(body);
    const isHere = found.formatVersion === FORMAT_VERSION && found.identity === identity;
    const synced = found.synced;
    if (!isHere || !Array.isArray(synced) || synced.length !== partitions) return none;
    return synced.every((mark) => Number.isSafeInteger(mark) && mark >= 0) ? synced : none;
  }

  /** Resolves when they survive a crash. M2 */
  async save(synced: readonly number[]): Promise<void> {
    const { folder, identity } = this.#options;
    const marks: Marks = { formatVersion: FORMAT_VERSION, identity, synced };
    const body = JSON.stringify(marks);
    const next = `${this.#path}.new`;
    const file = await open(next, "w", 0o600);
    try {
      await file.writeFile(`{"checksum":"${checksumOf(body)}","marks":${body}}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.#path);
    const entries = await open(folder, "r");
    try {
      await entries.sync();
    } finally {
      await entries.close();
    }
  }
}

interface Marks {
  readonly formatVersion: number;
  readonly identity: string;
  readonly synced: readonly number[];
}

function checksumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}
