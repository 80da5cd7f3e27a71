// examples.ts: every ```ts block of the documentation compiles against the built packages. A block that cannot stand alone is
// marked ```ts fragment.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, type Problem, ROOT, textOf } from "../workspace.ts";

const FOLDER = ".tmp/examples";

interface Example {
  readonly path: string;
  /** Of its first line, from 1. */
  readonly line: number;
  readonly text: string;
}

export function exampleProblems(): readonly Problem[] {
  const pages = filesBelow(".").filter((path) => /^(README\.md|docs\/.*\.md|packages\/[^/]+\/README\.md)$/.test(path));
  const examples = pages.flatMap((path) => examplesIn(path, textOf(path)));
  if (examples.length === 0) return [];
  rmSync(join(ROOT, FOLDER), { recursive: true, force: true });
  mkdirSync(join(ROOT, FOLDER), { recursive: true });
  const byFile = new Map(examples.map((example, index) => [`example-${index}.ts`, example]));
  for (const [file, { line, text }] of byFile) {
    // Blank lines above, so that the compiler's line numbers are those of the page.
    writeFileSync(join(ROOT, FOLDER, file), `${"\n".repeat(line - 1)}${text}\nexport {};\n`);
  }
  writeFileSync(join(ROOT, FOLDER, "tsconfig.json"), JSON.stringify(CONFIGURATION));
  const done = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", FOLDER, "--pretty", "false"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  if (done.status === 0) return [];
  const problems = [...done.stdout.matchAll(/(example-\d+\.ts)\((\d+),\d+\): error (.*)/g)].map(
    ([, file = "", line, error]) => ({
      path: `${byFile.get(file)?.path}:${line}`,
      message: `${error} Mend the example, or mark it \`\`\`ts fragment if it cannot stand alone.`,
    }),
  );
  return problems.length > 0 ? problems : [{ path: FOLDER, message: `does not compile: ${done.stdout}${done.stderr}` }];
}

/** Exported for its test. */
export function examplesIn(path: string, page: string): readonly Example[] {
  const examples: Example[] = [];
  for (const match of page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
    const line = page.slice(0, match.index).split("\n").length + 1;
    examples.push({ path, line, text: match[1] ?? "" });
  }
  return examples;
}

const CONFIGURATION = {
  extends: "../../tsconfig.base.json",
  compilerOptions: {
    noEmit: true,
    composite: false,
    declaration: false,
    declarationMap: false,
    incremental: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    rewriteRelativeImportExtensions: false,
  },
  include: ["*.ts"],
};
