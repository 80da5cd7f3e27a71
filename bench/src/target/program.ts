// target/program.ts: finds the servers of peers where a distribution puts them.

import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The full path of a program on PATH, in /usr/local/bin or in the newest /usr/lib/postgresql; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  const { PATH = "" } = process.env;
  const postgres = "/usr/lib/postgresql";
  const versions = existsSync(postgres) ? readdirSync(postgres).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(postgres, version, "bin")),
    ...PATH.split(":").filter((folder) => folder !== ""),
    "/usr/local/bin",
  ];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export function programAbsence(name: string): string | undefined {
  return findProgram(name) === undefined ? `the program ${name} is not installed` : undefined;
}

/** The first version number in what the program says of itself. */
export function programVersion(program: string, words: readonly string[] = ["--version"]): string {
  const said = execFileSync(program, words, { encoding: "utf8", timeout: 10_000 });
  return /\d+(\.\d+)+/.exec(said)?.[0] ?? said.trim();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // That is the answer.
  }
}
