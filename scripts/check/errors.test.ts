// Every error code has a test that reaches it: some test outside the table and its pages names the code. To see that a code is
// *answered*, a test must compare it; a name alone in a list of codes does not count, so such files are left out.

import { ERROR_CODES, type ErrorCode } from "@forelock/protocol";
import { expect, test } from "vitest";
import { filesBelow, textOf } from "../workspace.ts";

/** Tests that name codes without reaching them: lists, and the answers of fakes. */
const NOT_REACHING = [
  "scripts/check/errors.test.ts",
  "packages/server/src/cli/table.test.ts",
  "packages/server/src/settings/limits.test.ts",
  "sim/src/torture/outcome.test.ts",
];

/** Codes that no test can reach, each with its reason. */
const UNREACHED: Partial<Record<ErrorCode, string>> = {};

test("every error code has a test that reaches it", () => {
  const tests = filesBelow(".").filter((path) => path.endsWith(".test.ts") && !NOT_REACHING.includes(path));
  const texts = tests.map(textOf);
  const missing = ERROR_CODES.filter((code) => {
    const word = new RegExp(`\\b${code}\\b`);
    return UNREACHED[code] === undefined && !texts.some((text) => word.test(text));
  });
  expect(missing, "write a test that reaches these codes, or say in UNREACHED why none can").toEqual([]);
  const needless = Object.keys(UNREACHED).filter((code) =>
    texts.some((text) => new RegExp(`\\b${code}\\b`).test(text)),
  );
  expect(needless, "these are reached after all: take them out of UNREACHED").toEqual([]);
});
