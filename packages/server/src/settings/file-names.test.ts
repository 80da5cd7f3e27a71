import { expect, test } from "vitest";
import { expandFileNames, LISTED_FILES_MAX } from "./file-names.ts";

test("a range stands for each of its numbers", () => {
  expect(expandFileNames(["audit", "file_{8..11}"])).toEqual(["audit", "file_8", "file_9", "file_10", "file_11"]);
});

test("a range that begins with a zero keeps the width", () => {
  expect(expandFileNames(["{08..10}"])).toEqual(["08", "09", "10"]);
});

test("ranges combine, and a name that comes twice counts once", () => {
  expect(expandFileNames(["{1..2}/{1..2}", "1/2"])).toEqual(["1/1", "1/2", "2/1", "2/2"]);
});

test("braces without a range are part of the name", () => {
  expect(expandFileNames(["{acct-9}/ledger"])).toEqual(["{acct-9}/ledger"]);
});

test("as many names as allowed are taken, and not one more", () => {
  expect(expandFileNames([`f{1..${LISTED_FILES_MAX}}`])).toHaveLength(LISTED_FILES_MAX);
  expect(() => expandFileNames([`f{0..${LISTED_FILES_MAX}}`])).toThrow("bad_setting");
  expect(() => expandFileNames(["{1..1000}/{1..1000}"])).toThrow("bad_setting");
  expect(() => expandFileNames(["{0..999999999999999}"])).toThrow("bad_setting");
});

test.each(["{3..1}", "a//{1..2}", ".."])("%s is refused", (pattern) => {
  expect(() => expandFileNames([pattern])).toThrow("bad_setting");
});
