// generated-code.ts: the code that is made from .proto files and kept, made again and compared. Needs no network.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Problem, ROOT, textOf } from "../workspace.ts";

/** The folder of generated code, by the package that holds buf.gen.yaml. */
const GENERATED_BY_PACKAGE: Readonly<Record<string, string>> = {
  "packages/protocol": "src/generated",
  "packages/server": "src/etcd/generated",
};

export function generatedCodeProblems(): readonly Problem[] {
  const made = mkdtempSync(join(tmpdir(), "forelock-generated-"));
  try {
    return Object.entries(GENERATED_BY_PACKAGE).flatMap(([folder, generated]) => problemsOf(made, folder, generated));
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function problemsOf(made: string, folder: string, generated: string): readonly Problem[] {
  const bin = join(ROOT, "node_modules/.bin");
  const done = spawnSync(join(bin, "buf"), ["generate", "-o", join(made, folder)], {
    cwd: join(ROOT, folder),
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` },
    encoding: "utf8",
  });
  if (done.status !== 0) return [{ path: folder, message: `buf generate failed: ${done.stderr || done.error}` }];
  const [wanted, kept] = [join(made, folder, generated), join(ROOT, folder, generated)];
  const names = new Set([...readdirSync(wanted), ...readdirSync(kept)]);
  return [...names]
    .map((name) => ({ name, path: join(folder, generated, name) }))
    .filter(({ name, path }) => {
      const isThere = existsSync(join(wanted, name)) && existsSync(join(kept, name));
      return !isThere || readFileSync(join(wanted, name), "utf8") !== textOf(path);
    })
    .map(({ path }) => ({ path, message: "is not what its .proto gives. Run `npm run generate`." }));
}
