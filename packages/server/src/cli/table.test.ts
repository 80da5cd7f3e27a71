import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { paletteFor } from "./palette.ts";
import { formatBytes, parseCount, parseToken, printable, toJson } from "./quantity.ts";
import { displayWidth, renderTable } from "./table.ts";

const COLUMNS = [
  { title: "LOCK", align: "left", shrinks: true },
  { title: "WAITING", align: "right" },
] as const;

test("columns are aligned and lines have no trailing blanks", () => {
  expect(
    renderTable(
      COLUMNS,
      [
        ["orders/42", "3"],
        ["a", ""],
      ],
      undefined,
    ),
  ).toEqual(["LOCK       WAITING", "orders/42        3", "a"]);
});

test("wide characters count as two columns", () => {
  expect(displayWidth("注文")).toBe(4);
  expect(displayWidth("e\u0301")).toBe(1);
  expect(renderTable(COLUMNS, [["注文", "3"]], undefined)).toEqual(["LOCK  WAITING", "注文        3"]);
});

test("on a narrow terminal the one column that may shrink is cut with an ellipsis", () => {
  const [, row] = renderTable(COLUMNS, [["a-very-long-name-of-a-lock", "3"]], 24);
  expect(row).toBe("a-very-long-na…        3");
});

test("a name cannot send escape sequences or direction overrides to the terminal", () => {
  expect(printable("a\u001b[2Jb\u202ec\nd\u0000")).toBe("a\\u{1b}[2Jb\\u{202e}c\\u{a}d\\u{0}");
  expect(renderTable(COLUMNS, [["\u001b[31mred", "1"]], undefined)[1]).toContain("\\u{1b}[31mred");
});

test("colours are for terminals only, and NO_COLOR forbids them", () => {
  expect(paletteFor(true, {}).bad("x")).toBe("\u001b[31mx\u001b[39m");
  expect(paletteFor(false, {}).bad("x")).toBe("x");
  expect(paletteFor(true, { NO_COLOR: "1" }).bad("x")).toBe("x");
  expect(paletteFor(true, { NO_COLOR: "" }).bad("x")).not.toBe("x");
  expect(paletteFor(true, { TERM: "dumb" }).bad("x")).toBe("x");
});

test("JSON keeps 64-bit tokens exact, bytes as base64, errors as code and message", () => {
  const message = {
    token: 2n ** 62n + 1n,
    bytes: Buffer.of(1, 2),
    error: new ForelockError("busy", "a is held."),
    none: 0,
  };
  expect(toJson(message)).toBe(
    '{"token":"4611686018427387905","bytes":"AQI=","error":{"code":"busy","message":"[busy] a is held. Wait for it with waitMs, or try again later."},"none":0}',
  );
});

test.each(["0", "", "-1", "abc", "9223372036854775808", "1.5"])('a token "%s" is refused', (text) => {
  expect(() => parseToken("--token", text)).toThrow(`--token is "${text}"`);
});

test("counts outside their range are refused with the range", () => {
  expect(parseCount("--limit", "5", { min: 1, max: 10 })).toBe(5);
  expect(() => parseCount("--limit", "11", { min: 1, max: 10 })).toThrow(
    '--limit is "11": give a whole number from 1 to 10.',
  );
});

test("bytes are given in binary units", () => {
  expect([0, 1_023, 1_024, 1_536, 192 * 1_024, 5 * 1_024 ** 3].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "192 KiB",
    "5.0 GiB",
  ]);
});
