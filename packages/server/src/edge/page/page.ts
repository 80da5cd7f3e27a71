// page.ts: the status page as the HTTP edge serves it: path to type and body, read once when the server starts.
// The page itself stands in assets/, as it goes to the browser: nothing in it is generated, and nothing leaves the machine.
//   P1. No inline script or style, and no address but our own: it works under the edge's Content-Security-Policy.
import { readFileSync } from "node:fs";

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

const ASSETS = ["style.css", "main.js", "feed.js", "tables.js", "why.js", "format.js", "icon.svg"] as const;

/** `/` and all under `/assets/`. */
export const PAGE: ReadonlyMap<string, PageFile> = new Map([
  ["/", read("index.html")],
  ...ASSETS.map((name) => [`/assets/${name}`, read(name)] as const),
]);

function read(name: string): PageFile {
  // src/edge/page and dist/edge/page are equally deep, so the same address is right from both.
  const body = readFileSync(new URL(`../../../src/edge/page/assets/${name}`, import.meta.url), "utf8");
  const extension = name.split(".").at(-1) ?? "";
  return { type: TYPE_BY_EXTENSION[extension] ?? "application/octet-stream", body };
}
