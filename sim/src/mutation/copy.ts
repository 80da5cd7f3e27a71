// copy.ts: a copy of the repository's sources to plant bugs in: the working tree is never touched. Packages are the installed
// ones, but those of the workspace are the copy's own.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Copy {
  readonly folder: string;
  remove(): void;
}

const WORKSPACES: Readonly<Record<string, string>> = {
  "@forelock/protocol": "packages/protocol",
  "@forelock/client": "packages/client",
  "@forelock/sim": "sim",
  "@forelock/bench": "bench",
  forelock: "packages/server",
};

/** Tracked files as they are now, and untracked ones that git would take. */
export function copyRepository(root: string): Copy {
  const folder = mkdtempSync(join(tmpdir(), "forelock-mutation-"));
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    maxBuffer: 2 ** 28,
  });
  for (const path of listed.toString().split("\0")) {
    if (path === "" || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path));
  }
  linkPackages(join(root, "node_modules"), join(folder, "node_modules"));
  for (const workspace of Object.values(WORKSPACES)) {
    const own = join(root, workspace, "node_modules");
    if (existsSync(own) && existsSync(join(folder, workspace)))
      linkPackages(own, join(folder, workspace, "node_modules"));
  }
  for (const [name, path] of Object.entries(WORKSPACES)) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join(folder, path), link);
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** One link for each package, so that a few can be replaced. Caches of tools stay where they are. */
function linkPackages(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name === "@forelock" || name === "forelock" || name === ".vite" || name === ".cache") continue;
    symlinkSync(join(from, name), join(to, name));
  }
}
