// main.ts: `npm run check`: everything but the tests, each check with its problems and how to mend them. `tsc -b` ran before it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { generatedFiles } from "../generate-docs.ts";
import { type Problem, ROOT, textOf } from "../workspace.ts";
import { exampleProblems } from "./examples.ts";
import { generatedCodeProblems } from "./generated-code.ts";
import { importProblems } from "./imports.ts";
import { lockFileProblems, pathProblems, sizeProblems } from "./sources.ts";

const CHECKS: Readonly<Record<string, () => readonly Problem[] | Promise<readonly Problem[]>>> = {
  "format and lint": biomeProblems,
  "import direction": importProblems,
  "file size": sizeProblems,
  "machine paths": pathProblems,
  "lock file": lockFileProblems,
  "generated files": staleProblems,
  "generated code": generatedCodeProblems,
  "documentation examples": exampleProblems,
};

function biomeProblems(): readonly Problem[] {
  const done = spawnSync(join(ROOT, "node_modules/.bin/biome"), ["check", "--error-on-warnings"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  if (done.status === 0) return [];
  return [{ path: ".", message: `${done.stdout}${done.stderr}\nRun \`npx biome check --write\`.` }];
}

/** Also the public types: a change there must be seen in a review. */
async function staleProblems(): Promise<readonly Problem[]> {
  return [...(await generatedFiles())]
    .filter(([path, text]) => !existsSync(join(ROOT, path)) || textOf(path) !== text)
    .map(([path]) => ({
      path,
      message: "differs from what the code says. Run `npm run generate`, and read the diff.",
    }));
}

let failed = 0;
for (const [name, check] of Object.entries(CHECKS)) {
  const problems = await check();
  process.stdout.write(`${problems.length === 0 ? "passed" : "FAILED"}  ${name}\n`);
  for (const { path, message } of problems) process.stdout.write(`        ${path}: ${message}\n`);
  if (problems.length > 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
