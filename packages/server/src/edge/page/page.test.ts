import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { readDashboard } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "forelock-page-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a server without its dashboard says how to build it", () => {
  const page = readDashboard(pathToFileURL(`${join(folder, "none")}/`));
  expect([...page.keys()]).toEqual(["/"]);
  expect(page.get("/")?.body).toContain("npm run build");
});

test("the page and its assets are read with their types", () => {
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html"), "<!doctype html>");
  for (const name of ["a.js", "a.css", "a.svg", "a.bin"]) writeFileSync(join(folder, "assets", name), name);
  const page = readDashboard(pathToFileURL(`${folder}/`));
  expect(Object.fromEntries([...page].map(([path, { type }]) => [path, type]))).toEqual({
    "/": "text/html; charset=utf-8",
    "/assets/a.js": "text/javascript; charset=utf-8",
    "/assets/a.css": "text/css; charset=utf-8",
    "/assets/a.svg": "image/svg+xml",
    "/assets/a.bin": "application/octet-stream",
  });
  expect(page.get("/assets/a.js")?.body).toBe("a.js");
});
