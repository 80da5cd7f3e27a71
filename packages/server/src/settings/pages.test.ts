import { readFileSync } from "node:fs";
import { ERRORS } from "@forelock/protocol";
import { expect, test } from "vitest";
import { NAME_BYTES_MAX } from "../edge/names.ts";
import { RECORD_BYTES_MAX } from "../log/event-log.ts";
import { LISTED_FILES_MAX } from "./file-names.ts";
import { FIXED_LIMITS } from "./fixed-limits.ts";
import { limitsPage, settingsPage } from "./pages.ts";
import { readSettings } from "./read.ts";
import { SETTINGS } from "./table.ts";

test("the settings page lists every setting", () => {
  const page = settingsPage();
  for (const [key, { help }] of Object.entries(SETTINGS)) {
    expect(page).toContain(`| \`${key}\` |`);
    expect(page).toContain(help);
  }
});

test("the example of the settings page is accepted", () => {
  const fileText = /```toml\n([^`]*)```/.exec(settingsPage())?.[1];
  const { values, principals, fileNames } = readSettings({ flags: {}, env: {}, fileText });
  expect(values["session.ttlMs"]).toBe(10_000);
  expect(principals).toHaveLength(1);
  expect(fileNames).toHaveLength(101);
});

test("every setting is read where the server is wired", () => {
  const wiring = ["serve.ts", "assembly.ts", "storage-embedded.ts", "storage-shared.ts", "storage-workers.ts"]
    .map((file) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8"))
    .join("");
  for (const key of Object.keys(SETTINGS)) {
    const reads = key === "files" ? "fileNames" : key.includes(".") ? `values["${key}"]` : `values.${key}`;
    expect(
      wiring.includes(reads),
      `${key} does nothing: read it in serve.ts or its storage, or take it out of the table.`,
    ).toBe(true);
  }
});

test("every setting that ends in Max has an answer at its limit", () => {
  for (const [key, setting] of Object.entries(SETTINGS)) {
    if (!key.endsWith("Max")) continue;
    expect("atLimit" in setting, `${key} needs atLimit: what happens there?`).toBe(true);
    expect(limitsPage()).toContain(`| \`${key}\` |`);
  }
});

test("the codes on the limits page exist", () => {
  const codes = [...limitsPage().matchAll(/`([a-z]+_[a-z_]+)`/g)].map(([, code = ""]) => code);
  expect(codes.length).toBeGreaterThan(10);
  for (const code of codes) expect(Object.keys(ERRORS)).toContain(code);
});

test("the fixed limits are those that the code enforces", () => {
  const text = JSON.stringify(FIXED_LIMITS);
  const enforced: readonly (readonly [string, number])[] = [
    ["Length of a name", NAME_BYTES_MAX],
    ["One record of the log", RECORD_BYTES_MAX],
    ["Files expanded from the setting `files`", LISTED_FILES_MAX],
  ];
  for (const [what, limit] of enforced) {
    const found = FIXED_LIMITS.find((row) => row.what === what)?.limit;
    expect(found, text).toContain(limit.toLocaleString("en-US"));
  }
});
