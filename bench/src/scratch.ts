// scratch.ts: a folder on a real disk for the data of every server under measurement, all on the same one, removed at the end.
// Not the system's temporary folder when that is in memory: a sync that costs nothing would make durable numbers a lie.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const IN_MEMORY = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);

export interface Scratch {
  readonly path: string;
  /** Number that names the file system, hexadecimal as in statfs(2). */
  readonly fileSystem: string;
  /** A new empty folder. */
  folder(name: string): string;
  remove(): void;
}

/** Tries the system's temporary folder, then one in the working directory. */
export function openScratch(): Scratch {
  for (const parent of [tmpdir(), join(process.cwd(), ".tmp")]) {
    mkdirSync(parent, { recursive: true });
    const kind = statfsSync(parent).type;
    if (!IN_MEMORY.has(kind)) return scratchIn(mkdtempSync(join(parent, "forelock-bench-")), kind);
  }
  throw new Error(
    "Both the temporary folder and the working directory are in memory. Set TMPDIR to a folder on a disk.",
  );
}

function scratchIn(path: string, kind: number): Scratch {
  chmodSync(path, 0o711); // PostgreSQL runs as another user and must pass through.
  let folders = 0;
  return {
    path,
    fileSystem: `0x${kind.toString(16)}`,
    folder(name) {
      folders += 1;
      const folder = join(path, `${folders}-${name}`);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}
