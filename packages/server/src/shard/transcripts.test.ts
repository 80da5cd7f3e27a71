// The conversations of docs/transcripts are what a real node says today. `UPDATE_TRANSCRIPTS=1 npx vitest run transcripts` rewrites
// them: read the difference, and keep it only when you can explain it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SCENARIOS } from "./testing/scenarios.ts";

const FOLDER = new URL("../../../../docs/transcripts/", import.meta.url);

test.each(Object.keys(SCENARIOS))("the conversation of %s is the one in docs/transcripts", async (name) => {
  const file = new URL(`${name}.txt`, FOLDER);
  const transcript = await SCENARIOS[name]?.();
  const text = transcript?.text ?? "";
  if (process.env["UPDATE_TRANSCRIPTS"] === "1") writeFileSync(file, text);
  expect(existsSync(file) ? readFileSync(file, "utf8") : "").toBe(text);
});

test("every page of docs/transcripts is one of these conversations, and the index names it", () => {
  const pages = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));
  expect(pages.sort()).toEqual(
    Object.keys(SCENARIOS)
      .map((name) => `${name}.txt`)
      .sort(),
  );
  const index = readFileSync(new URL("README.md", FOLDER), "utf8");
  for (const page of pages) expect(index).toContain(`(${page})`);
});
