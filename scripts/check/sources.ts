// sources.ts: what holds for every file that people write: length, and nothing of the machine it was written on.
import { filesBelow, type Problem, textOf } from "../workspace.ts";

const LINES_MAX = 700;
const isSource = (path: string): boolean => /\.(tsx?|mjs)$/.test(path) && !path.includes("/generated/");
const isText = (path: string): boolean => /\.(tsx?|mjs|md|json|toml|ya?ml|proto|txt|py|html|css)$|^\.ci\//.test(path);

/** Folders that exist on somebody's machine only. In parts, because this file is checked too. */
const FOREIGN_PATH = new RegExp(`(?<![\\w.$}-])/(?:${["wo" + "rk", "ro" + "ot", "Us" + "ers"].join("|")})/[\\w.-]+`);

/** Past this a file holds a second concept. */
export function sizeProblems(): readonly Problem[] {
  return filesBelow(".")
    .filter(isSource)
    .flatMap((path) => {
      const lines = textOf(path).split("\n").length - 1;
      if (lines <= LINES_MAX) return [];
      return [{ path, message: `has ${lines} lines; allowed ${LINES_MAX}. Look for the second concept in it.` }];
    });
}

export function pathProblems(): readonly Problem[] {
  return filesBelow(".")
    .filter(isText)
    .flatMap((path) => {
      const found = FOREIGN_PATH.exec(textOf(path))?.[0];
      return found === undefined ? [] : [{ path, message: `names "${found}", a path of one machine. Take it out.` }];
    });
}

/** A host in the lock file would make every install ask it; a missing entry makes `npm ci` refuse to begin. */
export function lockFileProblems(): readonly Problem[] {
  const path = "package-lock.json";
  const text = textOf(path);
  const problem = (message: string): Problem => ({ path, message });
  const host = /"resolved": "https?:[^"]*"/.exec(text)?.[0];
  const hosts = host === undefined ? [] : [`holds ${host}. Run npm install with the .npmrc of the repository.`];
  const { packages } = JSON.parse(text) as LockFile; // Written by npm.
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.entries(optionalDependencies))
    .filter(([name, version]) => /^\d/.test(version) && !hasEntry(packages, name, version))
    .map(([name]) => `has no entry for ${name}, a package of another system. Take it over from the commit before.`);
  return [...hosts, ...missing].map(problem);
}

interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function hasEntry(packages: LockFile["packages"], name: string, version: string): boolean {
  const entries = Object.entries(packages);
  return entries.some(([path, entry]) => path.endsWith(`node_modules/${name}`) && entry.version === version);
}
