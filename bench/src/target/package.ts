// target/package.ts: finds the packages of peers, which may not be installed. Beside those of the workspace it looks into
// `.tmp/peers`, for peers that are not in package-lock.json because of what their install scripts do.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const PLACES = [import.meta.url, join(process.cwd(), ".tmp", "peers", "package.json")];

/** The module, unparsed: the caller says what it uses of it. Throws when it is not installed. */
export function loadPackage(name: string): unknown {
  for (const place of PLACES) {
    const require = createRequire(place);
    if (isInstalled(require, name)) return require(name);
  }
  throw new Error(`The package ${name} is not installed.`);
}

/** Undefined when it is not installed. */
export function packageVersion(name: string): string | undefined {
  for (const place of PLACES) {
    for (const folder of createRequire(place).resolve.paths(name) ?? []) {
      const path = join(folder, name, "package.json");
      if (!existsSync(path)) continue;
      const manifest: unknown = JSON.parse(readFileSync(path, "utf8"));
      if (typeof manifest === "object" && manifest !== null && "version" in manifest) return String(manifest.version);
    }
  }
  return undefined;
}

export function packageAbsence(names: readonly string[], advice = "npm install"): string | undefined {
  const missing = names.filter((name) => packageVersion(name) === undefined);
  return missing.length === 0 ? undefined : `the package ${missing.join(" and ")} is not installed: ${advice}`;
}

function isInstalled(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false; // That is the answer.
  }
}
