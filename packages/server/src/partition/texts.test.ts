// Names out of bytes: the same text for the same bytes, whatever was read before.
import { expect, test } from "vitest";
import { textAt } from "./texts.ts";

const read = (text: string): string => {
  const bytes = Buffer.from(`<${text}>`);
  return textAt(bytes, 1, bytes.length - 1);
};

test("texts of every kind and length are read as they were written", () => {
  const texts = [
    "",
    "a",
    "held/1",
    "ä",
    "name-ü-€-𝄞",
    "x".repeat(64),
    "x".repeat(65),
    "y".repeat(5_000),
    "\u007f",
    "\0",
  ];
  for (const text of [...texts, ...texts]) expect(read(text)).toBe(text);
});

test("more names than are kept in mind, of equal lengths, do not get mixed up", () => {
  const names = Array.from({ length: 30_000 }, (_, index) => `orders/${String(index).padStart(6, "0")}`);
  for (const name of [...names, ...names.toReversed()]) if (read(name) !== name) expect(read(name)).toBe(name);
  expect(read("orders/000007")).toBe("orders/000007");
});
