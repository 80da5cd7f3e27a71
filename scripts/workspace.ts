// workspace.ts: the files of the repository, as scripts need them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package-lock.json, from scripts/ as from scripts/dist/. */
export const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));

const SKIPPED = new Set(["node_modules", "dist", ".git", ".tmp", "data"]);

/** Something to mend: where, and what to do. */
export interface Problem {
  /** Path from the root. */
  readonly path: string;
  /** What is wrong, and how to mend it. */
  readonly message: string;
}

/** Every file below `folder` that people wrote or that is generated and kept; paths from the root, in order. */
export function filesBelow(folder: string): readonly string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue;
      if (entry.isDirectory()) visit(join(path, entry.name));
      else if (entry.isFile()) found.push(relative(ROOT, join(path, entry.name)));
    }
  };
  if (existsSync(join(ROOT, folder))) visit(join(ROOT, folder));
  return found.sort();
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, "package-lock.json")) ? folder : rootAbove(dirname(folder));
}
