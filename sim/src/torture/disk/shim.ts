// shim.ts: builds shim.c and steers it: a disk that fails, lies or is full, without any rights, and counts what it did.
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type DiskMode = "honest" | "fail_sync" | "lie" | "no_space";

export interface DiskCounts {
  readonly synced: number;
  readonly failed: number;
  readonly lied: number;
  readonly refused: number;
}

const MODES: readonly DiskMode[] = ["honest", "fail_sync", "lie", "no_space"];
const PAGE_BYTES = 4_096;
const INT_BYTES = 4;
/** The source is not compiled by tsc: it stays in src, beside which dist lies. */
const SOURCE = fileURLToPath(new URL("../../../src/torture/disk/shim.c", import.meta.url));

export class DiskShim {
  readonly #control: number;
  /** For the server's process. */
  readonly environment: Readonly<Record<string, string>>;

  private constructor(control: number, environment: Readonly<Record<string, string>>) {
    this.#control = control;
    this.environment = environment;
  }

  /** @param folder for the library and its control page @returns why not, when it cannot be built here */
  static build(folder: string, dataFolder: string): DiskShim | string {
    if (process.platform !== "linux") return "needs Linux";
    if (!existsSync(SOURCE)) return `${SOURCE} is missing`;
    const library = join(folder, "shim.so");
    const page = join(folder, "shim.control");
    try {
      execFileSync("gcc", ["-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], { stdio: "pipe" });
    } catch (error) {
      return `gcc could not build the shim: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`;
    }
    writeFileSync(page, Buffer.alloc(PAGE_BYTES));
    return new DiskShim(openSync(page, "r+"), {
      LD_PRELOAD: library,
      FORELOCK_SHIM_CONTROL: page,
      FORELOCK_SHIM_PREFIX: dataFolder,
    });
  }

  /** @param skip this many calls still pass */
  set(mode: DiskMode, skip = 0): void {
    const words = Buffer.alloc(2 * INT_BYTES);
    words.writeInt32LE(MODES.indexOf(mode), 0);
    words.writeInt32LE(skip, INT_BYTES);
    writeSync(this.#control, words, 0, words.length, 0);
  }

  counts(): DiskCounts {
    const words = Buffer.alloc(6 * INT_BYTES);
    readSync(this.#control, words, 0, words.length, 0);
    const [synced = 0, failed = 0, lied = 0, refused = 0] = [2, 3, 4, 5].map((index) =>
      words.readInt32LE(index * INT_BYTES),
    );
    return { synced, failed, lied, refused };
  }

  close(): void {
    closeSync(this.#control);
  }
}
