// page.ts: the dashboard as the HTTP edge serves it: path to type and body, read once when the server starts. Not here: the
// dashboard itself (packages/dashboard), which the build writes beside this server.
//   P1. No inline script or style, and no address but our own: it works under the edge's Content-Security-Policy.
import { existsSync, readdirSync, readFileSync } from "node:fs";

export interface PageFile {
  /** Content type. */
  readonly type: string;
  readonly body: string;
}

const TYPE_BY_EXTENSION: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

// src/edge/page and dist/edge/page are equally deep, so the same address is right from both.
const FOLDER = new URL("../../../dist/dashboard/", import.meta.url);

const UNBUILT: PageFile = {
  type: "text/html; charset=utf-8",
  body: "<!doctype html><title>Forelock</title><p>This server was built without its dashboard: run <code>npm run build</code>.",
};

/** `/` and all under `/assets/`. */
export const PAGE: ReadonlyMap<string, PageFile> = readDashboard(FOLDER);

/** Exported for its test. @returns one page that says what is missing when the dashboard was not built */
export function readDashboard(folder: URL): ReadonlyMap<string, PageFile> {
  if (!existsSync(new URL("index.html", folder))) return new Map([["/", UNBUILT]]);
  const assets = readdirSync(new URL("assets/", folder));
  return new Map([
    ["/", read(new URL("index.html", folder))],
    ...assets.map((name) => [`/assets/${name}`, read(new URL(`assets/${name}`, folder))] as const),
  ]);
}

function read(file: URL): PageFile {
  const extension = file.pathname.split(".").at(-1) ?? "";
  return { type: TYPE_BY_EXTENSION[extension] ?? "application/octet-stream", body: readFileSync(file, "utf8") };
}
