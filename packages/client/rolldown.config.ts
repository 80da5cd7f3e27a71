// rolldown.config.ts: makes the published package of what `tsc -b` left: one file for the client, one for its heartbeat thread,
// with the protocol and its codec inside; and types that name no other package.
import { copyFileSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defineConfig, type Plugin } from "rolldown";

const dist = join(import.meta.dirname, "dist");

/** The types of errors are the protocol's: a copy stands in for the re-export. Then nothing may lead out of the package. */
const standaloneTypes: Plugin = {
  name: "standalone-types",
  closeBundle() {
    copyFileSync(join(dist, "../../protocol/dist/errors.d.ts"), join(dist, "errors.d.ts"));
    const seen = new Set([join(dist, "index.d.ts")]);
    for (const file of seen) {
      for (const [, target = ""] of readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"([^"]+)"/g)) {
        if (!target.startsWith("./") && !target.startsWith("../")) {
          throw new Error(`${file} mentions "${target}": public types must not; move the type into the client.`);
        }
        seen.add(join(dirname(file), target.replace(/\.[jt]s$/, ".d.ts")));
      }
    }
  },
};

const shared = { platform: "node", transform: { target: "node20.19" }, tsconfig: false } as const;
const output = { format: "esm", minify: { compress: true, mangle: false, codegen: false } } as const;

export default defineConfig([
  { ...shared, input: "src/index.ts", output: { ...output, file: "dist/index.js" } },
  {
    ...shared,
    input: "src/heartbeat-worker.ts",
    output: { ...output, file: "dist/heartbeat-worker.js" },
    plugins: [standaloneTypes],
  },
  { ...shared, input: "src/testing/measure.ts", output: { ...output, file: "dist/measure.js" } },
]);
